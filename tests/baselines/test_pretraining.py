"""Pretraining: the dual encoder against a loop over its batch, Barlow Twins against its parts, both stages of a run."""

from __future__ import annotations

from itertools import count, pairwise
from typing import Any

import pytest
import torch

from baselines.method import TrainedMethod
from baselines.pretraining import DualEncoder, RandomViews, TwoStage
from baselines.regularizers import barlow_twins
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings, Shares
from baselines.training_data import TrainingData
from baselines.transformer import Transformer
from baselines.views import two_random_views
from benchmark.plan.run_spec import TrainingSettings
from benchmark.runs.training import Trained, train
from datasets.cases import Cases
from datasets.sequences import Batch
from tests.baselines.batches import MakeData, one_by_one, small_encoder

SMALL = EncoderSettings(width=8, blocks=1, dropout=0.2, maxlen=12)


# --- alone ------------------------------------------------------------------------------------------------------------


def slow_dual_encoder(method: DualEncoder, encoder: Transformer, sequences: list[list[int]]) -> torch.Tensor:
    """Softmax of each row's target against the other distinct targets of the batch, one row at a time."""
    targets = [sequence[-1] for sequence in sequences]
    share = {item: targets.count(item) / len(targets) for item in targets}
    losses = []
    for sequence, target in zip(sequences, targets, strict=True):
        inputs = torch.tensor([sequence[:-1]])
        z = encoder.last(Batch(inputs, torch.tensor([inputs.shape[1]])))[0]

        def corrected(item: int, z: torch.Tensor = z) -> torch.Tensor:
            vector = encoder.items.weight[item] @ method.tower.weight.T + method.tower.bias
            return torch.exp(z @ vector / method.settings.temperature) / share[item]

        others = sum(corrected(item) for item in targets if item != target)
        losses.append(-torch.log(corrected(target) / (corrected(target) + others)))
    return torch.stack(losses).mean()


def test_the_dual_encoder_equals_a_loop_over_its_batch(make_data: MakeData) -> None:
    sequences = [[1, 2, 3], [0, 4, 2, 5], [2, 1, 3], [4, 0]]  # two end in item 3
    data = make_data(sequences, 6)
    encoder, method = small_encoder(data), DualEncoder(DualEncoder.Settings(temperature=0.5))
    method.build(8)
    method.prepare(data)
    terms = method.loss(encoder, data.batch(data.trainable), torch.Generator().manual_seed(0))
    assert torch.allclose(terms["in-batch"], slow_dual_encoder(method, encoder, sequences), atol=1e-5)


def test_an_item_that_is_often_a_target_is_not_favoured_for_it(make_data: MakeData) -> None:
    """If all items score alike, the corrected logits are the reciprocals of the items' shares of the targets."""
    data = make_data([[1, 2], [0, 2], [3, 2], [1, 4]], 5)
    encoder, method = small_encoder(data), DualEncoder(DualEncoder.Settings())
    tower = method.build(8)
    method.prepare(data)
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.zero_()
    loss = method.loss(encoder, data.batch(data.trainable), torch.Generator())["in-batch"]
    often, seldom = 4 / 3, 4.0
    expected = (
        -(3 * torch.tensor(often / (often + seldom)).log() + torch.tensor(seldom / (seldom + 3 * often)).log()) / 4
    )
    assert torch.allclose(loss, expected)


def test_pretraining_on_views_is_barlow_twins_of_two_random_views(random_data: MakeData) -> None:
    data = random_data()
    encoder, method, batch = small_encoder(data), RandomViews(RandomViews.Settings()), data.batch(data.trainable)
    terms = method.loss(encoder, batch, torch.Generator().manual_seed(3))
    first, second = two_random_views(batch.inputs, data, method.settings.shares, torch.Generator().manual_seed(3))
    expected = barlow_twins(encoder.last(first), encoder.last(second), 0.05)
    assert terms.keys() == {"barlow-twins"}
    assert torch.allclose(terms["barlow-twins"], expected, atol=1e-6)


# --- before prediction ------------------------------------------------------------------------------------------------


def trained_on(data: TrainingData, method: TrainedMethod, **settings: Any) -> Trained:
    cases = Cases(data.inputs.select(data.trainable), data.sequences.final_items()[data.trainable])
    return train(method, data, cases, SMALL, TrainingSettings(**{"batch_size": 12, "epochs": 10} | settings), seed=0)


def two_stage(**settings: Any) -> TwoStage:
    return TwoStage(TwoStage.Settings(**settings))


@pytest.fixture
def falling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every epoch validate worse than the one before, but all of them above the plateau."""
    numbers = count(1)
    monkeypatch.setattr("benchmark.runs.training.PLATEAU", 0.0)
    monkeypatch.setattr(
        "benchmark.runs.training._validate", lambda *args: dict.fromkeys(("ndcg@10", "hr@10"), 1 / next(numbers))
    )


def test_the_first_stage_is_barlow_twins_of_two_random_views_alone(random_data: MakeData) -> None:
    data, shares = random_data(), Shares(crop=0.5, mask=0.4, reorder=0.8)
    method = two_stage(lambd=0.3, shares=shares)
    assert method.pretraining_epochs(10) == 1
    encoder = small_encoder(data)
    batch = data.batch(data.trainable)
    terms = method.loss(encoder, batch, torch.Generator().manual_seed(0))

    views = two_random_views(batch.inputs, data, shares, torch.Generator().manual_seed(0))
    expected = barlow_twins(*(one_by_one(encoder, view) for view in views), 0.3)
    assert set(terms) == {"barlow-twins"}
    assert terms["barlow-twins"].item() == pytest.approx(expected.item(), rel=1e-4)

    method.on_epoch(encoder, data, 1)
    terms = method.loss(encoder, batch, torch.Generator().manual_seed(0))
    plain = SASRec(SASRec.Settings()).loss(encoder, batch, torch.Generator().manual_seed(0))
    assert {name: term.item() for name, term in terms.items()} == {"next-item": plain["next-item"].item()}


@pytest.mark.parametrize(
    ("share", "budget", "epochs"),
    [(0.1, 200, 20), (0.1, 10, 1), (0.25, 10, 3), (0.3, 10, 3), (0.0, 10, 0), (1.0, 10, 9), (0.5, 1, 0)],
)
def test_pretraining_is_a_share_of_the_budget_and_leaves_an_epoch_to_fine_tune(
    share: float, budget: int, epochs: int
) -> None:
    assert two_stage(pretraining=share).pretraining_epochs(budget) == epochs


@pytest.mark.parametrize(("share", "pretraining"), [(0.3, 3), (0.0, 0), (1.0, 9)])
def test_the_loop_switches_the_loss_after_pretraining_within_the_same_budget(
    share: float, pretraining: int, random_data: MakeData
) -> None:
    rows = trained_on(random_data(), two_stage(pretraining=share)).epochs
    stages = [["barlow-twins"]] * pretraining + [["next-item"]] * (10 - pretraining)
    assert [list(row["terms"]) for row in rows] == stages


@pytest.mark.usefixtures("falling")
def test_no_pretraining_epoch_is_selected_however_well_it_validates(random_data: MakeData) -> None:
    trained = trained_on(random_data(), two_stage(pretraining=0.3))
    joint = trained_on(random_data(), SASRec(SASRec.Settings()))
    assert (trained.selected_epoch, joint.selected_epoch) == (4, 1)
    assert len(trained.epochs) == len(joint.epochs) == 10, "the same budget"


@pytest.mark.usefixtures("falling")
def test_patience_and_warm_up_count_from_the_end_of_pretraining(
    random_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.runs.training.WARM_UP_EPOCHS", 2)
    trained = trained_on(random_data(), two_stage(pretraining=0.5), patience=1)
    assert (trained.selected_epoch, len(trained.epochs)) == (6, 7)


@pytest.mark.parametrize(("share", "starts"), [(0.3, {0, 3}), (0.0, {0})])
def test_the_optimiser_starts_anew_with_the_second_stage(
    share: float, starts: set[int], random_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    adam, ended, seen = torch.optim.Adam, [], set()

    class Watched(TwoStage):
        def on_epoch(self, encoder: Transformer, data: TrainingData, epoch: int) -> None:
            super().on_epoch(encoder, data, epoch)
            ended.append(epoch)

    def start(*args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        seen.add(len(ended))
        return adam(*args, **kwargs)

    monkeypatch.setattr("torch.optim.Adam", start)
    trained_on(random_data(), Watched(TwoStage.Settings(pretraining=share)))
    assert seen == starts


def test_what_was_pretrained_is_what_is_fine_tuned(random_data: MakeData) -> None:
    data = random_data()
    weights: list[torch.Tensor] = []

    class Watched(TwoStage):
        def on_epoch(self, encoder: Transformer, data: TrainingData, epoch: int) -> None:
            super().on_epoch(encoder, data, epoch)
            weights.append(encoder.items.weight.detach().clone())

    trained_on(data, Watched(TwoStage.Settings(pretraining=0.5)), epochs=4, learning_rate=1e-4)
    steps = [(after - before).norm().item() for before, after in pairwise(weights)]
    assert max(steps) < 0.2 * weights[0].norm().item(), "no new start between the stages"
    assert min(steps) > 0


def test_pretraining_makes_the_views_agree(random_data: MakeData) -> None:
    trained = trained_on(random_data(), two_stage(pretraining=0.9), epochs=20, learning_rate=3e-3)
    losses = [row["terms"]["barlow-twins"] for row in trained.epochs[:18]]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
