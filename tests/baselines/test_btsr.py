from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from baselines.btsr import BTSR
from baselines.method import Terms, TrainingData
from baselines.objectives import OBJECTIVES, CrossEntropy
from baselines.regularizers import barlow_twins
from baselines.sasrec import Encoder, EncoderSettings, SASRec

MakeData = Callable[..., TrainingData]

# Rows 0 to 2 end in item 5, rows 3 and 4 in item 6, row 5 alone in item 7; row 6 is too short to train on.
SEQUENCES = [[0, 1, 5], [2, 3, 4, 5], [1, 0, 2, 5], [8, 9, 6], [9, 8, 3, 1, 6], [4, 2, 0, 7], [7]]
ALONE = 5


@pytest.fixture
def data(make_data: MakeData) -> TrainingData:
    return make_data(SEQUENCES, 10)


def small_encoder(dropout: float = 0.0) -> Encoder:
    torch.manual_seed(0)
    return Encoder(10, EncoderSettings(width=8, blocks=2, dropout=dropout, maxlen=12)).train()


def btsr(data: TrainingData, **settings: Any) -> BTSR:
    method = BTSR(BTSR.Settings(**settings))
    method.prepare(data)
    return method


def loss_of(method: Any, encoder: Encoder, data: TrainingData, rows: torch.Tensor, seed: int = 0) -> Terms:
    torch.manual_seed(seed)
    return method.loss(encoder, data.batch(rows), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_without_the_term_it_is_sasrec_bit_for_bit(name: str, random_data: MakeData) -> None:
    data = random_data()
    encoders = []
    for method in (
        SASRec(SASRec.Settings(OBJECTIVES[name]())),
        btsr(data, objective=OBJECTIVES[name](), alpha=0.0),
    ):
        torch.manual_seed(0)
        rng = torch.Generator().manual_seed(0)
        encoder = Encoder(data.n_items, EncoderSettings(width=8, dropout=0.3, maxlen=12)).train()
        optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-2)
        for _ in range(3):
            terms = method.loss(encoder, data.batch(data.trainable), rng)
            assert set(terms) == {"next-item"}
            optimizer.zero_grad()
            sum(terms.values()).backward()
            optimizer.step()
        encoders.append(encoder.state_dict())
    assert all(torch.equal(value, encoders[1][key]) for key, value in encoders[0].items())


def test_twins_share_the_final_item_and_are_never_the_anchor_unless_alone(data: TrainingData) -> None:
    method, rows = btsr(data), data.trainable
    rng = torch.Generator().manual_seed(0)
    seen: set[tuple[int, int]] = set()
    for _ in range(100):
        twins = method.twins.index.draw(rows, rng)
        seen |= set(zip(rows.tolist(), twins.tolist(), strict=True))
    groups = [{0, 1, 2}, {3, 4}]
    assert seen == {(a, b) for group in groups for a in group for b in group if a != b} | {(ALONE, ALONE)}


@pytest.mark.parametrize("per_dimension", [True, False])
def test_the_term_compares_both_views_without_their_final_item(data: TrainingData, per_dimension: bool) -> None:
    method = btsr(data, alpha=0.7, lambd=0.2, normalise="per-dimension" if per_dimension else "sum")
    encoder, rows = small_encoder(), data.trainable
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

    monkeypatch.setattr("baselines.btsr.barlow_twins", spy)
    loss_of(btsr(data), small_encoder(), data, data.trainable)["barlow-twins"].backward()
    assert all(z.grad is not None and z.grad.abs().sum() > 0 for z in views)


def test_skip_leaves_twinless_anchors_out(data: TrainingData) -> None:
    encoder, rows = small_encoder(), data.trainable
    skipped = loss_of(btsr(data, no_twin="skip"), encoder, data, rows)
    paired = rows[rows != ALONE]
    z = {int(row): vector for row, vector in zip(rows, encoder(data.batch(rows).inputs)[1], strict=True)}
    twins = btsr(data).twins.index.draw(rows, torch.Generator().manual_seed(0))
    partner = dict(zip(rows.tolist(), twins.tolist(), strict=True))
    z_a = torch.stack([z[row] for row in paired.tolist()])
    z_b = torch.stack([z[partner[row]] for row in paired.tolist()])
    assert skipped["barlow-twins"].item() == pytest.approx(0.2 * barlow_twins(z_a, z_b, 0.05).item(), rel=1e-4)


def test_skip_without_any_pair_leaves_the_prediction(data: TrainingData) -> None:
    terms = loss_of(btsr(data, no_twin="skip"), small_encoder(), data, torch.tensor([ALONE]))
    assert set(terms) == {"next-item"}


def test_an_anchor_that_is_its_own_twin_sees_another_dropout_mask(
    data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = []

    def spy(z_a: torch.Tensor, z_b: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        views.append((z_a, z_b))
        return barlow_twins(z_a, z_b, *args, **kwargs)

    monkeypatch.setattr("baselines.btsr.barlow_twins", spy)
    loss_of(btsr(data), small_encoder(dropout=0.5), data, torch.tensor([ALONE]))
    loss_of(btsr(data), small_encoder(dropout=0.0), data, torch.tensor([ALONE]))
    (first, second), (same, again) = views
    assert not torch.allclose(first, second)
    assert torch.allclose(same, again, atol=1e-6)


def test_the_twinless_share_is_reported(data: TrainingData) -> None:
    assert btsr(data).report() == {"twinless_share": pytest.approx(1 / 6)}
