from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from baselines.btsr import BTSR
from baselines.method import Terms
from baselines.objectives import BinaryCrossEntropy, CrossEntropy, Objective, SampledCrossEntropy, ScalableCrossEntropy
from baselines.regularizers import barlow_twins, cross_correlation
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings, Shares
from baselines.training_data import TrainingData
from baselines.transformer import Transformer
from baselines.views import TwinPool, crop, mask, nearest_items, reorder, scattered, substitute
from benchmark.plan.run_spec import TrainingSettings
from benchmark.runs.training import train
from datasets.cases import Cases
from datasets.sequences import Batch
from tests.baselines.batches import MakeData, one_by_one, small_encoder

# Rows 0 to 2 end in item 5, rows 3 and 4 in item 6, row 5 alone in item 7; row 6 is too short to train on.
SEQUENCES = [[0, 1, 5], [2, 3, 4, 5], [1, 0, 2, 5], [8, 9, 6], [9, 8, 3, 1, 6], [4, 2, 0, 7], [7]]
ALONE = 5


@pytest.fixture
def data(make_data: MakeData) -> TrainingData:
    return make_data(SEQUENCES, 10)


def btsr(data: TrainingData, **settings: Any) -> BTSR:
    method = BTSR(BTSR.Settings(**settings))
    method.prepare(data)
    return method


def loss_of(method: Any, encoder: Transformer, data: TrainingData, rows: torch.Tensor, seed: int = 0) -> Terms:
    torch.manual_seed(seed)
    return method.loss(encoder, data.batch(rows), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "objective", [BinaryCrossEntropy(), CrossEntropy(), ScalableCrossEntropy(), SampledCrossEntropy()]
)
def test_with_alpha_zero_it_is_sasrec_bit_for_bit(objective: Objective, random_data: MakeData) -> None:
    data = random_data()
    encoders = []
    for method in (SASRec(SASRec.Settings(objective)), btsr(data, objective=objective, alpha=0.0)):
        torch.manual_seed(0)
        rng = torch.Generator().manual_seed(0)
        encoder = Transformer(data.n_items, EncoderSettings(width=8, dropout=0.3, maxlen=12)).train()
        optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-2)
        for _ in range(3):
            terms = method.loss(encoder, data.batch(data.trainable), rng)
            assert set(terms) == {"next-item"}
            optimizer.zero_grad()
            sum(terms.values()).backward()
            optimizer.step()
        encoders.append(encoder.state_dict())
    assert all(torch.equal(value, encoders[1][key]) for key, value in encoders[0].items())


@pytest.mark.parametrize("per_dimension", [True, False])
def test_the_term_compares_both_views_without_their_final_item(data: TrainingData, per_dimension: bool) -> None:
    method = btsr(data, alpha=0.7, lambd=0.2, normalise="per-dimension" if per_dimension else "sum")
    encoder, rows = small_encoder(data), data.trainable
    terms = loss_of(method, encoder, data, rows)

    rng = torch.Generator().manual_seed(0)  # cross-entropy draws nothing: the twins are the first draw
    twins = method.twins.index.draw(rows, rng).tolist()

    def view(row: int) -> torch.Tensor:
        return encoder(data.__class__(data.sequences, 10, 12).batch(torch.tensor([row])).inputs)[1][0]

    z_a, z_b = (torch.stack([view(row) for row in chosen]) for chosen in (rows.tolist(), twins))
    expected = 0.7 * barlow_twins(z_a, z_b, 0.2, per_dimension=per_dimension)
    assert terms["barlow-twins"].item() == pytest.approx(expected.item(), rel=1e-4)
    alone = loss_of(SASRec(SASRec.Settings(CrossEntropy())), encoder, data, rows)
    assert terms["next-item"].item() == pytest.approx(alone["next-item"].item())


def test_gradients_flow_through_both_views(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    views = []

    def spy(z_a: torch.Tensor, z_b: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        for z in (z_a, z_b):
            z.retain_grad()
            views.append(z)
        return barlow_twins(z_a, z_b, *args, **kwargs)

    monkeypatch.setattr("baselines.regularizers.barlow_twins", spy)
    loss_of(btsr(data), small_encoder(data), data, data.trainable)["barlow-twins"].backward()
    assert all(z.grad is not None and z.grad.abs().sum() > 0 for z in views)


def test_skip_leaves_twinless_anchors_out(data: TrainingData) -> None:
    encoder, rows = small_encoder(data), data.trainable
    skipped = loss_of(btsr(data, no_twin="skip"), encoder, data, rows)
    paired = rows[rows != ALONE]
    z = {int(row): vector for row, vector in zip(rows, encoder(data.batch(rows).inputs)[1], strict=True)}
    twins = btsr(data).twins.index.draw(rows, torch.Generator().manual_seed(0))
    partner = dict(zip(rows.tolist(), twins.tolist(), strict=True))
    z_a = torch.stack([z[row] for row in paired.tolist()])
    z_b = torch.stack([z[partner[row]] for row in paired.tolist()])
    assert skipped["barlow-twins"].item() == pytest.approx(0.2 * barlow_twins(z_a, z_b, 0.05).item(), rel=1e-4)


def test_skip_without_any_pair_leaves_only_the_next_item_loss(data: TrainingData) -> None:
    terms = loss_of(btsr(data, no_twin="skip"), small_encoder(data), data, torch.tensor([ALONE]))
    assert set(terms) == {"next-item"}


def test_an_anchor_that_is_its_own_twin_sees_another_dropout_mask(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = []

    def spy(z_a: torch.Tensor, z_b: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        views.append((z_a, z_b))
        return barlow_twins(z_a, z_b, *args, **kwargs)

    monkeypatch.setattr("baselines.regularizers.barlow_twins", spy)
    loss_of(btsr(data), small_encoder(data, dropout=0.5), data, torch.tensor([ALONE, ALONE]))
    loss_of(btsr(data), small_encoder(data, dropout=0.0), data, torch.tensor([ALONE, ALONE]))
    (first, second), (same, again) = views
    assert not torch.allclose(first, second)
    assert torch.allclose(same, again, atol=1e-6)


def test_the_twinless_share_is_reported(data: TrainingData) -> None:
    assert btsr(data).facts() == {"twinless_share": pytest.approx(1 / 6)}


# --- variants -------------------------------------------------------------------------------------------------------

SHARES = Shares(crop=0.5, mask=0.4, reorder=0.8, substitute=0.6)
VIEWS: dict[str, Callable[[Batch, TrainingData, torch.Generator], Batch]] = {
    "mask": lambda batch, data, rng: mask(batch, scattered(batch, 0.4, rng), data.mask_id),
    "crop": lambda batch, data, rng: crop(batch, 0.5, data.pad_id, rng),
    "reorder": lambda batch, data, rng: reorder(batch, 0.8, rng),
    "substitute": lambda batch, data, rng: substitute(batch, scattered(batch, 0.6, rng), nearest_items(data)),
    "dropout": lambda batch, data, rng: batch,
}


@pytest.mark.parametrize("view", VIEWS)
def test_every_other_view_can_replace_the_twin(view: str, random_data: MakeData) -> None:
    data = random_data()
    inputs, encoder = data.batch(data.trainable).inputs, small_encoder(data)
    terms = loss_of(btsr(data, view=view, shares=SHARES, no_twin="skip"), encoder, data, data.trainable)
    seen = VIEWS[view](inputs, data, torch.Generator().manual_seed(0))
    expected = 0.2 * barlow_twins(one_by_one(encoder, inputs), one_by_one(encoder, seen), 0.05)
    assert terms["barlow-twins"].item() == pytest.approx(expected.item(), rel=1e-3)


def test_the_dropout_view_is_the_sequence_under_another_mask(
    random_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, pairs = random_data(), []
    monkeypatch.setattr(
        "baselines.regularizers.barlow_twins", lambda *args, **kwargs: pairs.append(args[:2]) or args[0].sum()
    )
    for dropout in (0.5, 0.0):
        loss_of(btsr(data, view="dropout"), small_encoder(data, dropout), data, data.trainable)
    (z_a, z_b), (same, again) = pairs
    assert (~torch.isclose(z_a, z_b)).any(1).all()
    assert torch.allclose(same, again, atol=1e-5)


def test_twins_may_come_from_the_larger_pool_of_prefixes(random_data: MakeData) -> None:
    data = random_data()
    encoder, rows = small_encoder(data), data.trainable
    method = btsr(data, twin_pool="prefix")
    twins = TwinPool.build(data, "prefix").draw(rows, torch.Generator().manual_seed(0))
    z_a, z_b = one_by_one(encoder, data.batch(rows).inputs), one_by_one(encoder, twins)
    term = loss_of(method, encoder, data, rows)["barlow-twins"].item()
    assert term == pytest.approx(0.2 * barlow_twins(z_a, z_b, 0.05).item(), rel=1e-3)
    assert method.facts()["twinless_share"] < btsr(data).facts()["twinless_share"]


def test_without_lambda_only_the_diagonal_counts(data: TrainingData) -> None:
    encoder, rows = small_encoder(data), data.trainable
    twins = btsr(data).twins.draw(rows, torch.Generator().manual_seed(0))
    correlation = cross_correlation(one_by_one(encoder, data.batch(rows).inputs), one_by_one(encoder, twins))
    expected = sum((1 - correlation[i, i].item()) ** 2 for i in range(8)) / 8
    with_alpha_one = loss_of(btsr(data, alpha=1.0, lambd=0.0), encoder, data, rows)["barlow-twins"].item()
    assert with_alpha_one == pytest.approx(expected, rel=1e-4)
    assert loss_of(btsr(data, alpha=1.0), encoder, data, rows)["barlow-twins"].item() > expected


@pytest.mark.parametrize("layers", [1, 2])
def test_a_projector_replaces_the_normalisation_of_rows(layers: int, random_data: MakeData) -> None:
    data = random_data()
    encoder, rows = small_encoder(data), data.trainable
    method = btsr(data, projector_layers=layers, projector_width=11)
    projector = method.build(8)
    weights = dict(projector.named_parameters())

    def project(z: torch.Tensor) -> torch.Tensor:
        z = z @ weights["0.weight"].T + weights["0.bias"]
        if layers == 2:
            deviation, mean = torch.std_mean(z, 0, correction=0)
            z = ((z - mean) / (deviation.square() + 1e-5).sqrt() * weights["1.weight"] + weights["1.bias"]).relu()
            z = z @ weights["3.weight"].T + weights["3.bias"]
        return z

    twins = method.twins.draw(rows, torch.Generator().manual_seed(0))
    z_a, z_b = (project(one_by_one(encoder, batch)) for batch in (data.batch(rows).inputs, twins))
    assert z_a.shape[1] == 11
    term = loss_of(method, encoder, data, rows)["barlow-twins"]
    assert term.item() == pytest.approx(0.2 * barlow_twins(z_a, z_b, 0.05, l2=False).item(), rel=1e-3)
    assert term.item() != pytest.approx(0.2 * barlow_twins(z_a, z_b, 0.05, l2=True).item(), rel=1e-3)
    term.backward()
    matrices = [weight for name, weight in weights.items() if name.endswith("weight") and weight.dim() == 2]
    assert len(matrices) == layers
    assert all(weight.grad.abs().max() > 0 for weight in matrices)
    assert encoder.items.weight.grad.abs().max() > 0


@pytest.mark.parametrize("layers", [0, 2])
def test_the_training_loop_trains_the_projector_too(layers: int, random_data: MakeData) -> None:
    data, initial = random_data(), {}

    class Watched(BTSR):
        def build(self, width: int) -> torch.nn.Module:
            projector = super().build(width)
            initial.update({name: weight.detach().clone() for name, weight in projector.named_parameters()})
            return projector

    method = Watched(BTSR.Settings(projector_layers=layers, projector_width=11))
    cases = Cases(data.inputs.select(data.trainable), data.sequences.final_items()[data.trainable])
    encoder_settings = EncoderSettings(width=8, blocks=1, dropout=0.2, maxlen=12)
    train(method, data, cases, encoder_settings, TrainingSettings(batch_size=12, epochs=2), seed=0)
    assert len(initial) == (6 if layers else 0)
    # The bias before a normalisation of the batch changes nothing, nor does the very last one before standardisation.
    trained = {name for name, weight in method.projector.named_parameters() if not torch.equal(weight, initial[name])}
    assert trained >= set(initial) - {"0.bias", "3.bias"}


def test_a_single_pair_has_no_correlation_and_no_term(data: TrainingData) -> None:
    method = btsr(data, projector_layers=2, no_twin="skip")
    method.build(8)
    terms = loss_of(method, small_encoder(data), data, torch.tensor([0, ALONE]))
    assert set(terms) == {"next-item"}
