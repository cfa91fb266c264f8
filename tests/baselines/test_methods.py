from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import benchmark.runs.training
from baselines.encoder import Encoder
from baselines.method import FittedMethod, Method, TrainedMethod
from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from benchmark.plan.experiments import ADDED, PRETRAINED
from benchmark.plan.run_spec import TrainingSettings
from benchmark.runs.evaluation import evaluate_ranks
from datasets.cases import Cases
from datasets.sequences import Sequences, windows
from tests.baselines.batches import MakeData

TRAINED = [name for name, entry in METHODS.items() if issubclass(entry.method, TrainedMethod)]
PREDICTING = [name for name in TRAINED if name not in (*PRETRAINED, *ADDED["sets"])]
"""The methods that predict the next item of a sequence."""
FITTED = [name for name, entry in METHODS.items() if issubclass(entry.method, FittedMethod)]

# Losses of the first steps on random_data(). They change if and only if a `version` is raised with them.
GOLDEN: dict[str, tuple[int, int, list[float]]] = {
    "sasrec-bce": (2, 1, [0.715823, 0.651677, 0.583312, 0.531779, 0.487331, 0.433887]),
    "sasrec-ce": (2, 1, [3.710532, 3.666677, 3.568659, 3.474604, 3.503431, 3.410924]),
    "sasrec-sce": (2, 1, [3.713978, 3.663312, 3.576138, 3.484292, 3.525463, 3.428571]),
    "cl4srec": (2, 1, [4.389198, 4.166765, 4.10953, 4.060293, 3.907001, 3.827368]),
    "duorec": (2, 1, [4.316453, 4.213751, 4.102361, 3.91842, 3.940984, 3.755947]),
    # The contrastive terms begin after the refresh that ends epoch 5; until then it is SASRec (CE).
    "ec4srec": (2, 1, [3.710532, 3.666677, 3.568659, 3.474604, 3.503431, 4.658305, 4.548347, 4.448297]),
    "btsr-bce": (2, 1, [0.852447, 0.79202, 0.751646, 0.705216, 0.65509, 0.622018]),
    "btsr-ce": (2, 1, [3.847156, 3.846001, 3.752933, 3.668228, 3.639873, 3.589583]),
    "btsr-sce": (2, 1, [3.850602, 3.83986, 3.786185, 3.674097, 3.632677, 3.592945]),
    "gru4rec-ce": (1, 1, [3.416918, 3.390298, 3.372133, 3.356566, 3.334884, 3.316857]),
    "btsr-gru": (1, 1, [3.518029, 3.551078, 3.500374, 3.451832, 3.436928, 3.420548]),
    "barlow-twins-views": (2, 1, [0.739003, 0.681158, 0.8265, 0.777739, 0.601299, 0.841916]),
    "dual-encoder": (2, 1, [3.242787, 3.179809, 3.104734, 2.941077, 2.915297, 2.829944]),
    "mf": (1, 1, [3.407343, 3.393956, 3.379412, 3.351879, 3.334776, 3.346215]),
    "mf-bt": (1, 1, [3.651643, 3.612612, 3.558477, 3.541486, 3.51006, 3.509535]),
    # Two epochs of eleven pretrain.
    "two-stage": (
        2,
        1,
        [0.739003, 0.681158, 3.764819, 3.634609, 3.506847, 3.562541, 3.425898, 3.399501, 3.398866, 3.329437, 3.31427],
    ),
}

TERMS: dict[str, set[str]] = {
    "cl4srec": {"next-item", "info-nce"},
    "duorec": {"next-item", "info-nce"},
    "ec4srec": {"next-item", "positive", "negative", "retrieval"},
    "barlow-twins-views": {"barlow-twins"},
    "dual-encoder": {"in-batch"},
} | {name: {"next-item", "barlow-twins"} for name in ("btsr-bce", "btsr-ce", "btsr-sce", "btsr-gru", "mf-bt")}
"""The loss terms of methods with more than the next-item loss. Methods of users' own are not checked."""


def construct(name: str) -> Any:
    entry = METHODS[name]
    return entry.method(entry.settings)


def train(name: str, data: TrainingData, steps: int, dropout: float = 0.3) -> tuple[Encoder, list[dict[str, float]]]:
    """Train for `steps` epochs of one full-batch Adam step; return the encoder and the loss terms of every step."""
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    method: TrainedMethod = construct(name)
    settings = EncoderSettings(width=16, dropout=dropout, maxlen=data.maxlen)
    method.prepare(data)
    encoder = method.build_encoder(data.n_items, settings, "fp32").train()
    parameters = [*encoder.parameters(), *method.build(16).parameters()]
    pretraining, history = method.pretraining_epochs(steps), []
    for epoch in range(1, steps + 1):
        if epoch in (1, pretraining + 1):
            optimizer = torch.optim.Adam(parameters, lr=1e-2, betas=(0.9, 0.98))
        terms = method.loss(encoder, data.batch(data.trainable), rng)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
        method.on_epoch(encoder, data, epoch)
        history.append({term: value.item() for term, value in terms.items()})
    return encoder, history


def circle(make_data: MakeData) -> tuple[TrainingData, Cases]:
    """All users walk the same circle of 20 items, so the next item is the last one plus one.

    Every validation user walks the same way as two of the training users.
    """
    walks = np.array([[(start + i) % 20 for i in range(5)] for start in range(20)])
    histories = Sequences.from_arrays(walks[:, :-1].ravel(), np.arange(0, 81, 4))
    return make_data([*walks, *walks], 20), Cases(histories, torch.from_numpy(walks[:, -1]))


@pytest.mark.parametrize("name", METHODS)
def test_an_entry_names_only_registered_methods(name: str) -> None:
    assert {METHODS[name].plain, METHODS[name].rival} <= {None, *METHODS}


@pytest.mark.parametrize("name", METHODS)
def test_every_entry_is_a_method_with_frozen_settings(name: str) -> None:
    entry, method = METHODS[name], construct(name)
    assert isinstance(method, Method)
    assert isinstance(method.version, int)
    assert method.version >= 1
    assert entry.title
    assert entry.settings.__dataclass_params__.frozen
    assert hash(entry.settings) == hash(METHODS[name].settings)


@pytest.mark.parametrize("name", TRAINED)
def test_every_term_of_every_trained_method_falls(name: str, random_data: MakeData) -> None:
    _, history = train(name, random_data(), 25)
    assert set(history[-1]) == TERMS.get(name, {"next-item"}) or name not in GOLDEN
    falling = set(history[-1])  # of the last stage, once its terms are there
    if name == "mf-bt":
        falling.remove("barlow-twins")  # who shares one item of random ones has nothing else in common
    for term in falling:
        values = [terms[term] for terms in history if term in terms]
        assert len(values) >= 20
        assert sum(values[-5:]) < sum(values[:5])


@pytest.mark.parametrize("name", PREDICTING)
def test_every_method_that_predicts_overfits_a_circle(name: str, make_data: MakeData) -> None:
    data, validation = circle(make_data)
    epochs = 200 if name.endswith("bce") else 80
    settings = TrainingSettings(batch_size=1000, epochs=epochs, patience=epochs, learning_rate=1e-2)
    encoder = EncoderSettings(width=16, dropout=0.0, maxlen=data.maxlen)
    trained = benchmark.runs.training.train(construct(name), data, validation, encoder, settings, seed=0)
    assert trained.epochs[trained.selected_epoch - 1]["validation"]["ndcg@10"] > 0.95


def test_the_markov_chain_overfits_a_circle(make_data: MakeData) -> None:
    data, validation = circle(make_data)
    score = construct("markov").fit(data)
    assert (evaluate_ranks(score, validation, data.n_items, data.maxlen) == 1).all()


@pytest.mark.parametrize("name", TRAINED)
def test_the_same_seeds_give_the_same_bits(name: str, random_data: MakeData) -> None:
    first, again = (train(name, random_data(), 7) for _ in range(2))
    assert first[1] == again[1]
    assert all(torch.equal(value, again[0].state_dict()[key]) for key, value in first[0].state_dict().items())


@pytest.mark.parametrize("name", GOLDEN)
def test_losses_follow_the_recorded_trajectory(name: str, random_data: MakeData) -> None:
    *recorded, expected = GOLDEN[name]
    method = METHODS[name].method
    assert [method.encoder_version, method.version] == recorded, "record the trajectory again"
    _, history = train(name, random_data(), len(expected))
    assert [sum(terms.values()) for terms in history] == pytest.approx(expected, abs=1e-4), (
        "the numbers changed: raise the version"
    )


@pytest.mark.parametrize("name", FITTED)
def test_fitted_methods_score_the_whole_catalogue(name: str, random_data: MakeData) -> None:
    data = random_data()
    histories = windows(data.inputs, data.trainable, data.maxlen, data.pad_id)
    scores = construct(name).fit(data)(histories)
    assert scores.shape == (len(data.trainable), data.n_items)
    assert scores.isfinite().all()


def test_most_popular_counts_interactions(make_data: MakeData) -> None:
    data = make_data([[0, 2, 2], [2, 1], [1]], 4)
    scores = construct("popularity").fit(data)(windows(data.inputs, torch.tensor([0, 1]), 3, 4))
    assert scores.tolist() == [[1, 2, 3, 0]] * 2
