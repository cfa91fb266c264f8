from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.encoder import Encoder
from baselines.method import Terms, TrainedMethod
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings
from baselines.training_data import TrainBatch, TrainingData
from benchmark.plan.run_spec import TrainingSettings
from benchmark.runs.checkpoint import Checkpoint
from benchmark.runs.evaluation import evaluate_ranks
from benchmark.runs.metrics import ndcg
from benchmark.runs.training import Diverged, train
from datasets import synthetic
from datasets.protocol import Protocol
from datasets.sequences import Sequences
from datasets.split import Cases, split

SMALL = EncoderSettings(width=16, blocks=1, dropout=0.2, maxlen=10)


def cyclic_data(users: int = 60, items: int = 12) -> tuple[TrainingData, Cases]:
    """Everybody walks the same circle: the next item is the last one plus one."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, users)
    sequences = [
        (start + np.arange(n)) % items for start, n in zip(rng.integers(0, items, users), lengths, strict=True)
    ]
    packed = Sequences.from_arrays(np.concatenate(sequences), np.concatenate([[0], np.cumsum(lengths)]))
    return TrainingData(packed, items, SMALL.maxlen), Cases(packed.without_last(1), packed.final_items())


def unlearnable_data(users: int = 60, items: int = 30) -> tuple[TrainingData, Cases]:
    """Everybody walks at random: validation rises and falls by luck and never comes near perfection."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, users)
    packed = Sequences.from_arrays(rng.integers(0, items, lengths.sum()), np.concatenate([[0], np.cumsum(lengths)]))
    return TrainingData(packed, items, SMALL.maxlen), Cases(packed.without_last(1), packed.final_items())


def validated(encoder: Encoder, data: TrainingData, validation: Cases) -> float:
    """NDCG@10 with the encoder in the mode that it is in."""
    return ndcg(evaluate_ranks(encoder.score, validation, data.n_items, data.maxlen), 10)


class Recorder(TrainedMethod):
    """Plain SASRec that notes the rows of every batch."""

    version = 1

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.epochs: list[int] = []
        self.inner = SASRec(SASRec.Settings())

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        self.batches.append(batch.rows.tolist())
        return self.inner.loss(encoder, batch, rng)

    def on_epoch(self, encoder: Encoder, data: TrainingData, epoch: int) -> None:
        self.epochs.append(epoch)


class Snapshots(Recorder):
    """Keeps the encoder as it is after every epoch, and in which mode it was at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders: list[Encoder] = []
        self.modes: list[bool] = []

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        self.modes.append(encoder.training)
        return super().loss(encoder, batch, rng)

    def on_epoch(self, encoder: Encoder, data: TrainingData, epoch: int) -> None:
        self.encoders.append(deepcopy(encoder))


def settings(**changes: Any) -> TrainingSettings:
    return TrainingSettings(**({"batch_size": 20, "epochs": 3, "patience": 9, "learning_rate": 1e-2} | changes))


def test_each_epoch_sees_every_row_once_and_drops_the_last_incomplete_batch() -> None:
    data, validation = cyclic_data(users=65)
    method = Recorder()
    train(method, data, validation, SMALL, settings(), seed=0)
    assert [len(rows) for rows in method.batches] == [20] * 9
    first = [row for rows in method.batches[:3] for row in rows]
    second = [row for rows in method.batches[3:6] for row in rows]
    assert len(set(first)) == 60
    assert first != second, "another order in every epoch"
    assert method.epochs == [1, 2, 3]


def test_fewer_rows_than_a_batch_still_train() -> None:
    data, validation = cyclic_data(users=7)
    method = Recorder()
    train(method, data, validation, SMALL, settings(epochs=1), seed=0)
    assert [len(rows) for rows in method.batches] == [7]


def test_it_learns_a_circle() -> None:
    data, validation = cyclic_data()
    trained = train(SASRec(SASRec.Settings()), data, validation, SMALL, settings(epochs=40), seed=0)
    assert ndcg(evaluate_ranks(trained.encoder.score, validation, data.n_items, data.maxlen), 10) > 0.95


def test_the_best_epoch_is_kept_and_patience_ends_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.runs.training.WARM_UP_EPOCHS", 0)
    monkeypatch.setattr("benchmark.runs.training.PLATEAU", 0.0)
    data, validation = unlearnable_data()
    trained = train(SASRec(SASRec.Settings()), data, validation, SMALL, settings(epochs=60, patience=3), seed=1)
    values = [row["validation"]["ndcg@10"] for row in trained.epochs]
    assert trained.selected_epoch == 1 + values.index(max(values))
    assert 1 < trained.selected_epoch < len(values) == trained.selected_epoch + 3 < 60
    assert values.count(max(values)) == 1, "no other epoch's weights would do"
    assert validated(trained.encoder, data, validation) == max(values), "the weights are those of the best epoch"


def test_the_first_of_equally_good_epochs_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.runs.training._validate", lambda *_: {"ndcg@10": 0.5, "hr@10": 0.5})
    method, (data, validation) = Snapshots(), unlearnable_data()
    trained = train(method, data, validation, SMALL, settings(), seed=0)
    assert trained.selected_epoch == 1
    first, kept = method.encoders[0].state_dict(), trained.encoder.state_dict()
    assert all(torch.equal(first[name], kept[name]) for name in first)


def test_dropout_is_active_at_every_step_and_in_no_validation() -> None:
    method, (data, validation) = Snapshots(), unlearnable_data()
    trained = train(method, data, validation, SMALL, settings(), seed=0)
    assert method.modes == [True] * 9
    values = [row["validation"]["ndcg@10"] for row in trained.epochs]
    assert values == [validated(encoder.eval(), data, validation) for encoder in method.encoders]
    assert values != [validated(encoder.train(), data, validation) for encoder in method.encoders], (
        "dropout would have shown"
    )


def test_dropout_is_off_in_what_is_tested_even_if_a_run_was_cut_short_after_its_last_epoch(tmp_path: Path) -> None:
    """Such a run has nothing left to train or to validate, so that nothing else puts its encoder into that mode."""
    data, validation = unlearnable_data()
    whole, continued = (
        train(
            SASRec(SASRec.Settings()),
            data,
            validation,
            SMALL,
            settings(),
            seed=0,
            checkpoint=Checkpoint(tmp_path / "run.pt", seconds=0.0),
        )
        for _ in range(2)
    )
    assert (whole.continued, continued.continued) == (0, 1)
    best = whole.epochs[whole.selected_epoch - 1]["validation"]["ndcg@10"]
    for trained in (whole, continued):
        assert not any(module.training for module in trained.encoder.modules())
        assert validated(trained.encoder, data, validation) == best


def test_patience_does_not_end_training_during_warm_up() -> None:
    data, validation = cyclic_data()
    trained = train(SASRec(SASRec.Settings()), data, validation, SMALL, settings(epochs=60, patience=1), seed=1)
    assert len(trained.epochs) >= 30
    values = [row["validation"]["ndcg@10"] for row in trained.epochs]
    assert trained.selected_epoch == 1 + values.index(max(values))


def test_same_seed_same_bits_other_seed_other_everything() -> None:
    data, validation = cyclic_data()

    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(99)  # the state that happens to be around must not matter
        return train(SASRec(SASRec.Settings()), data, validation, SMALL, settings(), seed).encoder.state_dict()

    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["items.weight"], other["items.weight"])


class Exploding(Recorder):
    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        terms = super().loss(encoder, batch, rng)
        factor = math.nan if len(self.batches) > 4 else 1.0
        return {name: term * factor for name, term in terms.items()}


def test_a_loss_that_is_not_finite_is_a_divergence_with_its_history() -> None:
    data, validation = cyclic_data(users=60)
    seen: list[dict[str, Any]] = []
    with pytest.raises(Diverged, match="epoch 2"):
        train(Exploding(), data, validation, SMALL, settings(), seed=0, on_epoch=seen.append)
    assert [row["epoch"] for row in seen] == [1, 2]
    assert math.isfinite(seen[0]["loss"])


def test_terms_are_means_over_the_epoch_and_the_loss_is_their_sum() -> None:
    data, validation = cyclic_data()

    class Constant(Recorder):
        def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
            terms = super().loss(encoder, batch, rng)
            return {"next-item": terms["next-item"] * 0 + len(self.batches), "other": terms["next-item"] * 0 + 1.0}

    trained = train(Constant(), data, validation, SMALL, settings(epochs=1), seed=0)
    assert trained.epochs[0]["terms"] == pytest.approx({"next-item": 2.0, "other": 1.0})
    assert trained.epochs[0]["loss"] == pytest.approx(3.0)


def test_no_test_user_reaches_training() -> None:
    """The rows that a method sees hold the training users' items and nothing else."""
    whole = split(synthetic.stand_in(150, 40, 2_000, seed=1), Protocol())
    data = TrainingData(whole.train, whole.n_items, 10)
    assert len(data.sequences) == len(whole.train_user_labels)
    assert not set(whole.train_user_labels) & set(whole.test_user_labels)
    assert len(data.sequences.items) == whole.summary["train_interactions"]
    method = Recorder()
    train(method, data, whole.cases("validation"), SMALL, settings(epochs=1), seed=0)
    assert max(row for rows in method.batches for row in rows) < len(data.sequences)


def test_patience_does_not_count_on_the_plateau_of_most_popular(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.runs.training.WARM_UP_EPOCHS", 0)
    data, validation = cyclic_data()
    frozen = settings(epochs=12, patience=2, learning_rate=1e-12)  # it never gets better than it begins
    stuck = train(SASRec(SASRec.Settings()), data, validation, SMALL, frozen, seed=1)
    assert len(stuck.epochs) == 12
    monkeypatch.setattr("benchmark.runs.training.PLATEAU", 0.0)
    stopped = train(SASRec(SASRec.Settings()), data, validation, SMALL, frozen, seed=1)
    assert len(stopped.epochs) == stopped.selected_epoch + 2 < 12


def test_a_lucky_epoch_does_not_end_a_run_on_the_plateau(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.runs.training.WARM_UP_EPOCHS", 0)
    values = iter([0.1, 0.05, 0.3, *[0.1] * 7, 0.4, 0.35, 0.35, 0.35, 0.9])  # first of all that of most-popular
    monkeypatch.setattr(
        "benchmark.runs.training._validate", lambda *_: dict.fromkeys(("ndcg@10", "hr@10"), next(values))
    )
    data, validation = cyclic_data()
    trained = train(SASRec(SASRec.Settings()), data, validation, SMALL, settings(epochs=60, patience=3), seed=1)
    assert (trained.selected_epoch, len(trained.epochs)) == (10, 13)
