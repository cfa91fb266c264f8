"""The loss terms of CL4SRec, DuoRec and EC4SRec against their formulas, on the views that they should use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.cl4srec import CL4SRec
from baselines.duorec import DuoRec
from baselines.ec4srec import EC4SRec
from baselines.importance import IMPORTANCES
from baselines.method import Terms, TrainedMethod
from baselines.registry import METHODS
from baselines.regularizers import attract_negatives, info_nce
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings, Shares
from baselines.training_data import TrainingData
from baselines.transformer import Transformer
from baselines.views import TwinPool, draw_by_overlap, guided_view, least_important, most_important, two_random_views
from benchmark.plan.run_spec import TrainingSettings
from benchmark.runs.training import train
from datasets.cases import Cases
from datasets.sequences import Batch
from tests.baselines.batches import MakeData, generator, one_by_one, small_encoder

V, L = 20, 12
SMALL = EncoderSettings(width=8, blocks=2, dropout=0.0, maxlen=L)


@pytest.fixture
def data(make_data: MakeData) -> TrainingData:
    """Thirty random sequences that end in one of five items, and two sequences without a twin."""
    random = np.random.default_rng(0)
    sequences = [[*random.integers(0, V, random.integers(1, 16)), random.integers(0, 5)] for _ in range(30)]
    return make_data([*sequences, [1, 2, 3, 18], [4, 5, 6, 7, 19]], V, L)


def loss_of(method: TrainedMethod, encoder: Transformer, data: TrainingData) -> Terms:
    torch.manual_seed(0)
    return method.loss(encoder, data.batch(data.trainable), generator())


def assert_terms(terms: Terms, encoder: Transformer, data: TrainingData, **expected: Tensor) -> None:
    """Assert that the loss has these terms besides SASRec's cross-entropy, and that each has a gradient."""
    plain = loss_of(SASRec(SASRec.Settings()), encoder, data)
    names = {name.replace("_", "-"): term.item() for name, term in (plain | expected).items()}
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(names, rel=1e-4)
    for name in names:
        (gradient,) = torch.autograd.grad(terms[name], encoder.items.weight, retain_graph=True)
        assert gradient.abs().max() > 0


@pytest.fixture
def contrasted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
    """Collects the pairs of views that DuoRec contrasts."""
    pairs: list[tuple[Tensor, Tensor]] = []

    def spy(z_a: Tensor, z_b: Tensor, temperature: float) -> Tensor:
        pairs.append((z_a.detach(), z_b.detach()))
        return info_nce(z_a, z_b, temperature)

    monkeypatch.setattr("baselines.regularizers.info_nce", spy)
    return pairs


# --- CL4SRec --------------------------------------------------------------------------------------------------------


def test_cl4srec_contrasts_two_random_views_of_each_sequence(data: TrainingData) -> None:
    shares = Shares(crop=0.5, mask=0.4, reorder=0.8)
    method = CL4SRec(CL4SRec.Settings(weight=0.3, temperature=0.7, shares=shares))
    encoder, inputs = small_encoder(data), data.batch(data.trainable).inputs
    views = two_random_views(inputs, data, shares, generator())  # cross-entropy draws nothing: the first draws
    z_a, z_b = (one_by_one(encoder, view) for view in views)
    expected = 0.3 * info_nce(z_a, z_b, 0.7)
    assert_terms(loss_of(method, encoder, data), encoder, data, info_nce=expected)


def test_the_defaults_are_the_published_ones() -> None:
    cl4srec, duorec, ec4srec = (METHODS[name].settings for name in ("cl4srec", "duorec", "ec4srec"))
    assert cl4srec == CL4SRec.Settings(weight=0.1, temperature=1.0, shares=Shares(crop=0.6, mask=0.3, reorder=0.6))
    assert duorec == DuoRec.Settings(weight=0.1, temperature=1.0, mode="us_x", twin_pool="final")
    assert (ec4srec.positive, ec4srec.negative, ec4srec.retrieval) == (0.1, 0.05, 0.1)
    assert (ec4srec.positive_share, ec4srec.negative_share, ec4srec.refresh_after) == (0.3, 0.7, (5, 15))
    assert {settings.objective.name for settings in (cl4srec, duorec, ec4srec)} == {"ce"}


# --- DuoRec ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["final", "prefix"])
@pytest.mark.parametrize("mode", ["us_x", "un", "su", "us"])
def test_duorec_contrasts_the_sequence_with_itself_and_its_twin(mode: Any, pool: Any, data: TrainingData) -> None:
    method = DuoRec(DuoRec.Settings(weight=0.3, temperature=0.7, mode=mode, twin_pool=pool))
    method.prepare(data)
    encoder, rows = small_encoder(data), data.trainable
    itself = one_by_one(encoder, data.batch(rows).inputs)
    twin = one_by_one(encoder, TwinPool.build(data, pool).draw(rows, generator()))
    unsupervised, supervised = info_nce(itself, itself, 0.7), info_nce(itself, twin, 0.7)  # there is no dropout here
    expected = {"us_x": supervised, "un": unsupervised, "su": supervised, "us": unsupervised + supervised}[mode]
    assert_terms(loss_of(method, encoder, data), encoder, data, info_nce=0.3 * expected)


@pytest.mark.parametrize("mode", ["us_x", "un", "su", "us"])
def test_duorecs_passes_see_different_dropout_masks(
    mode: Any, data: TrainingData, contrasted: list[tuple[Tensor, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    method, alone = DuoRec(DuoRec.Settings(mode=mode)), data.trainable[-2:]
    method.prepare(data)
    assert method.twins.is_twinless(alone).all()
    predicting: list[Tensor] = []
    forward = Transformer.forward

    def spy(self: Transformer, batch: Batch, last_only: bool) -> tuple[Tensor, Tensor]:
        states, z = forward(self, batch, last_only)
        predicting.append(z.detach())
        return states, z

    monkeypatch.setattr(Transformer, "forward", spy)
    for dropout in (0.5, 0.0):
        method.loss(small_encoder(data, dropout), data.batch(alone), generator())
    with_dropout, without = contrasted[: len(contrasted) // 2], contrasted[len(contrasted) // 2 :]
    assert len(with_dropout) == (2 if mode == "us" else 1)
    for z_a, z_b in with_dropout:
        assert (~torch.isclose(z_a, z_b)).any(1).all(), "an anchor that is its own twin is not its own copy"
        assert torch.equal(z_a, predicting[0]) == (mode != "us_x"), "us_x contrasts two passes, not the prediction's"
        assert not torch.equal(z_b, predicting[0])
    for same, again in without:
        assert torch.allclose(same, again, atol=1e-6)
    if mode == "us":
        assert (~torch.isclose(with_dropout[0][1], with_dropout[1][1])).any(1).all(), "the two views are two passes"


def test_duorec_reports_the_twinless_share(data: TrainingData) -> None:
    method = DuoRec(DuoRec.Settings())
    method.prepare(data)
    assert method.facts() == {"twinless_share": pytest.approx(2 / 32)}


# --- EC4SRec --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("importance", IMPORTANCES)
def test_ec4srec_contrasts_the_views_that_the_importances_guide(importance: Any, data: TrainingData) -> None:
    weights = {"positive": 0.3, "negative": 0.7, "retrieval": 0.9}
    shares = {"positive_share": 0.4, "negative_share": 0.6}
    method = EC4SRec(EC4SRec.Settings(importance=importance, temperature=0.7, **weights, **shares))
    method.prepare(data)
    encoder, rows, rng = small_encoder(data), data.trainable, generator()
    method.on_epoch(encoder, data, 5)
    batch = data.batch(rows)
    explained = IMPORTANCES[importance](encoder, data)[rows][:, : batch.inputs.items.shape[1]]

    least = least_important(batch.inputs, explained, 0.4)
    first, operator = guided_view(batch.inputs, data, least, rng)
    second, _ = guided_view(batch.inputs, data, least, rng, avoid=operator)
    negative, _ = guided_view(batch.inputs, data, most_important(batch.inputs, explained, 0.6), rng)
    retrieved = draw_by_overlap(TwinPool.build(data), batch, explained, rng)
    z, z_a, z_b, z_negative, z_retrieved = (
        one_by_one(encoder, view) for view in (batch.inputs, first, second, negative, retrieved)
    )
    assert_terms(
        loss_of(method, encoder, data),
        encoder,
        data,
        positive=0.3 * info_nce(z_a, z_b, 0.7),
        negative=0.7 * attract_negatives(z_negative, torch.cat([z_b, z_a]), 0.7),
        retrieval=0.9 * info_nce(z, z_retrieved, 0.7),
    )


def test_ec4srec_is_plain_prediction_before_the_first_refresh(data: TrainingData) -> None:
    method, encoder = EC4SRec(EC4SRec.Settings()), small_encoder(data, 0.3)
    method.prepare(data)
    for epoch in range(1, 5):
        method.on_epoch(encoder, data, epoch)
        terms, plain = loss_of(method, encoder, data), loss_of(SASRec(SASRec.Settings()), encoder, data)
        assert {name: term.item() for name, term in terms.items()} == {"next-item": plain["next-item"].item()}


def test_ec4srec_computes_importances_only_after_epochs_5_and_15(data: TrainingData) -> None:
    method, encoder = EC4SRec(EC4SRec.Settings()), small_encoder(data, 0.3)
    method.prepare(data)
    refreshed = []
    for epoch in range(1, 31):
        before = method.importance
        with torch.no_grad():
            encoder.items.weight += 0.1 * torch.randn_like(encoder.items.weight)
        method.on_epoch(encoder, data, epoch)
        if method.importance is not before:
            refreshed.append(epoch)
            assert torch.equal(method.importance, IMPORTANCES["saliency"](encoder, data))
            assert before is None or not torch.allclose(method.importance, before, atol=1e-2)
    assert refreshed == [5, 15]


def test_the_training_loop_adds_the_views_after_the_first_refresh(data: TrainingData) -> None:
    method = EC4SRec(EC4SRec.Settings(refresh_after=(2,)))
    cases = Cases(data.inputs.select(data.trainable), data.sequences.final_items()[data.trainable])
    trained = train(method, data, cases, SMALL, TrainingSettings(batch_size=16, epochs=4), seed=0)
    all_terms = ["next-item", "positive", "negative", "retrieval"]
    assert [list(row["terms"]) for row in trained.epochs] == [["next-item"]] * 2 + [all_terms] * 2


def test_a_batch_of_one_sequence_trains_under_every_method(data: TrainingData) -> None:
    for method in (CL4SRec(CL4SRec.Settings()), DuoRec(DuoRec.Settings()), EC4SRec(EC4SRec.Settings())):
        encoder = small_encoder(data, 0.3)
        method.prepare(data)
        method.on_epoch(encoder, data, 5)
        loss = sum(method.loss(encoder, data.batch(data.trainable[:1]), generator()).values())
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())
