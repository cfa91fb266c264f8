from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.method import Terms, TrainedMethod
from baselines.registry import METHODS
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings
from baselines.training_data import TrainBatch, TrainingData
from baselines.transformer import Transformer
from benchmark.plan.run_spec import TrainingSettings
from benchmark.runs.checkpoint import Checkpoint
from benchmark.runs.evaluation import evaluate_ranks
from benchmark.runs.metrics import hit_rate, ndcg
from benchmark.runs.training import Diverged, train
from datasets import synthetic
from datasets.cases import Cases
from datasets.protocol import Protocol
from datasets.sequences import Sequences
from datasets.split import split

SMALL = EncoderSettings(width=16, blocks=1, dropout=0.2, maxlen=10)


def cyclic_data(users: int = 60, items: int = 12) -> tuple[TrainingData, Cases]:
    """All users walk the same circle: the next item is the last one plus one."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, users)
    sequences = [
        (start + np.arange(n)) % items for start, n in zip(rng.integers(0, items, users), lengths, strict=True)
    ]
    packed = Sequences.from_arrays(np.concatenate(sequences), np.concatenate([[0], np.cumsum(lengths)]))
    return TrainingData(packed, items, SMALL.maxlen), Cases(packed.without_last(1), packed.final_items())


def unlearnable_data(users: int = 60, items: int = 30) -> tuple[TrainingData, Cases]:
    """All users walk at random, so validation goes up and down by luck and stays far from 1."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, users)
    packed = Sequences.from_arrays(rng.integers(0, items, lengths.sum()), np.concatenate([[0], np.cumsum(lengths)]))
    return TrainingData(packed, items, SMALL.maxlen), Cases(packed.without_last(1), packed.final_items())


def validated(encoder: Transformer, data: TrainingData, validation: Cases) -> float:
    """Compute NDCG@10 with the encoder in its current mode."""
    return ndcg(evaluate_ranks(encoder.score, validation, data.n_items, data.maxlen), 10)


class Recorder(TrainedMethod):
    """Plain SASRec that records the rows of every batch."""

    version = 1

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.epochs: list[int] = []
        self.inner = SASRec(SASRec.Settings())

    def loss(self, encoder: Transformer, batch: TrainBatch, rng: torch.Generator) -> Terms:
        self.batches.append(batch.rows.tolist())
        return self.inner.loss(encoder, batch, rng)

    def on_epoch(self, encoder: Transformer, data: TrainingData, epoch: int) -> None:
        self.epochs.append(epoch)


class Snapshots(Recorder):
    """Copies the encoder after every epoch and records its mode at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders: list[Transformer] = []
        self.modes: list[bool] = []

    def loss(self, encoder: Transformer, batch: TrainBatch, rng: torch.Generator) -> Terms:
        self.modes.append(encoder.training)
        return super().loss(encoder, batch, rng)

    def on_epoch(self, encoder: Transformer, data: TrainingData, epoch: int) -> None:
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


def test_fewer_rows_than_a_batch_are_trained_on() -> None:
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


def test_dropout_is_off_after_resuming_a_run_that_was_interrupted_after_its_last_epoch(tmp_path: Path) -> None:
    """Such a run does not train or validate again, so no other code puts its encoder into evaluation mode."""
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


def test_patience_ends_training_with_the_last_epoch_of_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.runs.training.PLATEAU", 0.0)
    monkeypatch.setattr("benchmark.runs.training._validate", lambda *_: {"ndcg@10": 0.5, "hr@10": 0.5})
    data, validation = cyclic_data(users=20)
    trained = train(SASRec(SASRec.Settings()), data, validation, SMALL, settings(epochs=60, patience=1), seed=1)
    assert (trained.selected_epoch, len(trained.epochs)) == (1, 30)


def with_projector(name: str) -> TrainedMethod:
    """Return a method with its defaults, but with a projector if it uses Barlow Twins."""
    settings = METHODS[name].settings
    if "btsr" in name:
        settings = replace(settings, projector_layers=2, projector_width=8)
    method: TrainedMethod = METHODS[name].method(settings)
    return method


def trained_plainly(name: str, data: TrainingData, settings: TrainingSettings, seed: int) -> list[dict[str, Any]]:
    """A plain implementation of the loop. Returns the encoder's weights and the mean loss after each epoch."""
    init_seed, order_seed, method_seed = np.random.SeedSequence(seed).generate_state(3).tolist()
    torch.manual_seed(init_seed)
    encoder = Transformer(data.n_items, SMALL).train()
    method = with_projector(name)
    parameters = [*encoder.parameters(), *method.build(SMALL.width).parameters()]
    method.prepare(data)
    # Fused as in the loop: a bias whose gradient is zero but for rounding moves as the rounding has it.
    adam = torch.optim.Adam(
        parameters, settings.learning_rate, settings.betas, weight_decay=settings.weight_decay, fused=True
    )
    order, rng = torch.Generator().manual_seed(order_seed), torch.Generator().manual_seed(method_seed)
    history = []
    for _ in range(settings.epochs):
        shuffled, losses = data.trainable[torch.randperm(len(data.trainable), generator=order)], []
        for first in range(0, len(shuffled) - settings.batch_size + 1, settings.batch_size):
            loss = sum(method.loss(encoder, data.batch(shuffled[first : first + settings.batch_size]), rng).values())
            for parameter in parameters:
                parameter.grad = None
            loss.backward()
            adam.step()
            losses.append(loss.item())
        history.append({"weights": deepcopy(encoder.state_dict()), "loss": np.mean(losses)})
    return history


@pytest.mark.parametrize("name", ["sasrec-ce", "btsr-ce"])
def test_the_loop_agrees_with_a_plain_implementation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Covers all settings of the optimiser, the three random streams, and the training of the projector."""
    values = iter([0.1, 0.2, 0.3, 0.4])  # that of most-popular, then a rise, so that the last epoch is kept
    monkeypatch.setattr(
        "benchmark.runs.training._validate", lambda *_: dict.fromkeys(("ndcg@10", "hr@10"), next(values))
    )
    data, validation = unlearnable_data()
    chosen = settings(betas=(0.5, 0.7), weight_decay=0.3)
    method = with_projector(name)
    trained = train(method, data, validation, SMALL, chosen, seed=3)
    plain = trained_plainly(name, data, chosen, seed=3)
    assert [row["loss"] for row in trained.epochs] == pytest.approx([row["loss"] for row in plain], rel=1e-4)
    for parameter, weights in trained.encoder.state_dict().items():
        torch.testing.assert_close(weights, plain[-1]["weights"][parameter], rtol=1e-3, atol=1e-5)


PARTS = ("encoder", "optimizer", "epochs", "order", "rng", "torch", "seconds", "method")


@pytest.mark.parametrize(
    "damage",
    [*({name: ...} for name in PARTS), *({name: "no such thing"} for name in ("order", "torch", "best"))],
    ids=str,
)
def test_a_checkpoint_that_fits_only_in_part_is_ignored(damage: dict[str, Any], tmp_path: Path) -> None:
    """Restoring fails after part of the state was restored. None of that part may remain."""
    path, (data, validation) = tmp_path / "run.pt", unlearnable_data()
    kept = [Checkpoint(path, seconds=0.0) for _ in range(2)]
    whole = train(SASRec(SASRec.Settings()), data, validation, SMALL, settings(), seed=0)
    train(SASRec(SASRec.Settings()), data, validation, SMALL, settings(epochs=2), seed=0, checkpoint=kept[0])
    state = torch.load(path) | damage
    torch.save({name: value for name, value in state.items() if value is not ...}, path)
    again = train(SASRec(SASRec.Settings()), data, validation, SMALL, settings(), seed=0, checkpoint=kept[1])
    assert again.continued == 0
    assert [row["loss"] for row in again.epochs] == [row["loss"] for row in whole.epochs]
    first, second = whole.encoder.state_dict(), again.encoder.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_time_before_every_resume_is_counted(tmp_path: Path) -> None:
    path, (data, validation) = tmp_path / "run.pt", unlearnable_data()
    for epochs, expected in ((1, 0.0), (2, 1000.0), (3, 2000.0)):
        kept = Checkpoint(path, seconds=0.0)
        trained = train(
            SASRec(SASRec.Settings()), data, validation, SMALL, settings(epochs=epochs), seed=0, checkpoint=kept
        )
        assert expected <= trained.seconds_before < expected + 500
        state = torch.load(path)
        assert expected < state["seconds"] < expected + 500
        torch.save(state | {"seconds": expected + 1000.0}, path)


def test_the_seed_determines_every_bit() -> None:
    data, validation = cyclic_data()

    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(99)  # the state that happens to be around must not matter
        return train(SASRec(SASRec.Settings()), data, validation, SMALL, settings(), seed).encoder.state_dict()

    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["items.weight"], other["items.weight"])


class Exploding(Recorder):
    def loss(self, encoder: Transformer, batch: TrainBatch, rng: torch.Generator) -> Terms:
        terms = super().loss(encoder, batch, rng)
        factor = math.nan if len(self.batches) > 4 else 1.0
        return {name: term * factor for name, term in terms.items()}


def test_a_loss_that_is_not_finite_raises_diverged_after_reporting_the_epoch() -> None:
    data, validation = cyclic_data(users=60)
    seen: list[dict[str, Any]] = []
    with pytest.raises(Diverged, match="epoch 2"):
        train(Exploding(), data, validation, SMALL, settings(), seed=0, on_epoch=seen.append)
    assert [row["epoch"] for row in seen] == [1, 2]
    assert math.isfinite(seen[0]["loss"])


def test_terms_are_means_over_the_epoch_and_the_loss_is_their_sum() -> None:
    data, validation = cyclic_data()

    class Constant(Recorder):
        def loss(self, encoder: Transformer, batch: TrainBatch, rng: torch.Generator) -> Terms:
            terms = super().loss(encoder, batch, rng)
            return {"next-item": terms["next-item"] * 0 + len(self.batches), "other": terms["next-item"] * 0 + 1.0}

    trained = train(Constant(), data, validation, SMALL, settings(epochs=1), seed=0)
    assert trained.epochs[0]["terms"] == pytest.approx({"next-item": 2.0, "other": 1.0})
    assert trained.epochs[0]["loss"] == pytest.approx(3.0)


def test_no_test_user_reaches_training() -> None:
    """A method sees only the items of training users."""
    whole = split(synthetic.generate(150, 40, 2_000, seed=1), Protocol())
    data = TrainingData(whole.train, whole.n_items, 10)
    assert len(data.sequences) == len(whole.train_user_labels)
    assert not set(whole.train_user_labels) & set(whole.test_user_labels)
    assert len(data.sequences.items) == whole.summary["train_interactions"]
    method = Recorder()
    train(method, data, whole.cases("validation"), SMALL, settings(epochs=1), seed=0)
    assert max(row for rows in method.batches for row in rows) < len(data.sequences)


def test_early_stopping_waits_on_the_plateau_of_most_popular(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_sequences_without_a_next_item_are_not_trained_on() -> None:
    packed = Sequences.from_arrays(np.arange(36) % 12, np.array([0, 1, 2, 12, 24, 36]))
    data, method = TrainingData(packed, 12, SMALL.maxlen), Recorder()
    validation = Cases(packed.select(data.trainable).without_last(1), packed.final_items()[data.trainable])
    train(method, data, validation, SMALL, settings(epochs=1), seed=0)
    assert sorted(row for rows in method.batches for row in rows) == [2, 3, 4]


def test_if_most_popular_is_good_the_plateau_is_half_way_to_perfection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.runs.training.WARM_UP_EPOCHS", 0)
    data, validation = unlearnable_data()
    for reached, epochs in ((0.75, 9), (0.85, 3)):
        values = iter([0.6, *[reached] * 9])  # first of all that of most-popular: half way from there is 0.8
        monkeypatch.setattr(
            "benchmark.runs.training._validate",
            lambda *_, values=values: dict.fromkeys(("ndcg@10", "hr@10"), next(values)),
        )
        trained = train(SASRec(SASRec.Settings()), data, validation, SMALL, settings(epochs=9, patience=2), seed=1)
        assert len(trained.epochs) == epochs


def test_an_epoch_reports_both_of_its_validation_metrics() -> None:
    method, (data, validation) = Snapshots(), unlearnable_data()
    trained = train(method, data, validation, SMALL, settings(), seed=0)
    for row, encoder in zip(trained.epochs, method.encoders, strict=True):
        ranks = evaluate_ranks(encoder.eval().score, validation, data.n_items, data.maxlen)
        assert row["validation"] == {"ndcg@10": ndcg(ranks, 10), "hr@10": hit_rate(ranks, 10)}
        assert hit_rate(ranks, 10) > hit_rate(ranks, 5)
