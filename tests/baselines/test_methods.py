from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from baselines.method import FittedMethod, Method, TrainedMethod, TrainingData
from baselines.registry import METHODS
from baselines.sasrec import ENCODER_VERSION, Encoder, EncoderSettings
from datasets.sequences import windows

MakeData = Callable[..., TrainingData]
TRAINED = [name for name, entry in METHODS.items() if issubclass(entry.method, TrainedMethod)]
FITTED = [name for name, entry in METHODS.items() if issubclass(entry.method, FittedMethod)]

# Losses of the first steps on random_data(). They change if and only if a `version` is raised with them.
GOLDEN: dict[str, tuple[int, int, list[float]]] = {
    "sasrec-bce": (2, 1, [0.715823, 0.651677, 0.583312, 0.531779, 0.487331, 0.433887]),
    "sasrec-ce": (2, 1, [3.710532, 3.666677, 3.568659, 3.474604, 3.503431, 3.410924]),
    "sasrec-sce": (2, 1, [3.713978, 3.663312, 3.576138, 3.484292, 3.525463, 3.428571]),
    "btsr-bce": (2, 1, [0.852447, 0.79202, 0.751646, 0.705216, 0.65509, 0.622018]),
    "btsr-ce": (2, 1, [3.847156, 3.846001, 3.752933, 3.668228, 3.639873, 3.589583]),
    "btsr-sce": (2, 1, [3.850602, 3.83986, 3.786185, 3.674097, 3.632677, 3.592945]),
}


def construct(name: str) -> Any:
    entry = METHODS[name]
    return entry.method(entry.settings)


def train(name: str, data: TrainingData, steps: int, dropout: float = 0.3) -> tuple[Encoder, list[float]]:
    """`steps` full-batch steps with Adam; returns the encoder and the loss of every step."""
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    encoder = Encoder(data.n_items, EncoderSettings(width=16, dropout=dropout, maxlen=data.maxlen)).train()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-2, betas=(0.9, 0.98))
    method, losses = construct(name), []
    method.prepare(data)
    for _ in range(steps):
        loss = sum(method.loss(encoder, data.batch(data.trainable), rng).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return encoder, losses


def circle(make_data: MakeData) -> TrainingData:
    """Everybody walks the same circle of 20 items: the next item is the last one plus one."""
    return make_data([[(start + i) % 20 for i in range(5)] for start in range(40)], 20)


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
def test_the_loss_of_every_trained_method_falls(name: str, random_data: MakeData) -> None:
    _, losses = train(name, random_data(), 25)
    assert sum(losses[-5:]) < sum(losses[:5])


@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_method_overfits_a_circle(name: str, make_data: MakeData) -> None:
    data = circle(make_data)
    encoder, _ = train(name, data, 200 if name.endswith("bce") else 80, dropout=0.0)
    encoder.eval()
    histories = windows(data.inputs, data.trainable, data.maxlen, data.pad_id)
    with torch.no_grad():
        scores = torch.nn.functional.pad(encoder.score(histories), (0, 1))  # a column for the padding's id
    scores.scatter_(
        1, histories.items, -torch.inf
    )  # what a user already has does not compete, nor is it a BCE negative
    targets = data.sequences.final_items()[data.trainable]
    ranks = 1 + (scores > scores.gather(1, targets[:, None])).sum(1)
    assert (1 / torch.log2(1 + ranks)).mean() > 0.95


@pytest.mark.parametrize("name", TRAINED)
def test_the_same_seeds_give_the_same_bits(name: str, random_data: MakeData) -> None:
    first, again = (train(name, random_data(), 3) for _ in range(2))
    assert first[1] == again[1]
    assert all(torch.equal(value, again[0].state_dict()[key]) for key, value in first[0].state_dict().items())


@pytest.mark.parametrize("name", GOLDEN)
def test_losses_follow_the_recorded_trajectory(name: str, random_data: MakeData) -> None:
    encoder_version, version, expected = GOLDEN[name]
    assert (ENCODER_VERSION, construct(name).version) == (encoder_version, version), "record the trajectory again"
    _, losses = train(name, random_data(), len(expected))
    assert losses == pytest.approx(expected, abs=1e-4), "the numbers changed: raise the version"


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
