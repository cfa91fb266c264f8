"""A run's record is compared with the results of calling its parts one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.registry import METHODS
from baselines.training_data import TrainingData
from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.run_spec import RunSpec
from benchmark.runs import metrics, probes, run, summary
from benchmark.runs.checkpoint import Checkpoint
from benchmark.runs.evaluation import NEGATIVE_SEED, evaluate, evaluate_ranks
from benchmark.runs.preparation import Prepared, prepare
from benchmark.runs.run import execute
from benchmark.runs.training import Trained, train
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord
from benchmark.store.store import Store
from datasets import synthetic
from datasets.cases import Cases, ordered_cases, redrawn_cases
from datasets.interactions import Interactions
from datasets.protocol import TIE_DRAWS, Protocol
from datasets.sequences import Sequences, windows

CPU = torch.device("cpu")
TINY = ["training.epochs=2", "training.batch_size=64", "encoder.width=8", "encoder.blocks=1", "encoder.maxlen=8"]


@pytest.fixture
def prepare_with(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[Protocol], Prepared]:
    """Prepares a small dataset with many simultaneous events under a protocol."""

    def demo(seed: int = 0) -> Interactions:
        data = synthetic.generate(200, 40, 2_500, seed=seed)
        timestamps = data.timestamps // 10_000_000 * 10_000_000
        return Interactions(data.user_ids, data.item_ids, timestamps, data.user_labels, data.item_labels)

    monkeypatch.setattr(synthetic, "demo", demo)
    return lambda protocol: prepare("synthetic", tmp_path, None, protocol, tmp_path / "cache", store, lambda _: None)


@pytest.fixture
def prepared(prepare_with: Callable[[Protocol], Prepared]) -> Prepared:
    """In file order."""
    return prepare_with(Protocol(ties="file"))


@pytest.fixture
def drawn(prepare_with: Callable[[Protocol], Prepared]) -> Prepared:
    """Tested on tie draws."""
    return prepare_with(Protocol())


def specify(method: str, *sets: str) -> RunSpec:
    configuration = Configuration("synthetic", "equal", "paper", [*TINY, *sets])
    return configuration.spec(DatasetFacts("Synthetic", True, configuration.protocol(Protocol()), "f"), method, seed=3)


class Watched:
    """A run together with the model that it trained."""

    def __init__(self, spec: RunSpec, prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
        models: list[Trained] = []

        def remember(*arguments: object) -> Trained:
            models.append(train(*arguments))  # type: ignore[arg-type]
            return models[-1]

        monkeypatch.setattr(run, "train", remember)
        self.record: RunRecord
        self.arrays: Arrays
        self.record, self.arrays = execute(spec, prepared, CPU)
        assert self.record.status == "done", self.record.error
        (self.trained,) = models


def test_the_record_agrees_with_its_parts(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "ROWS_AT_ONCE", 7)
    spec, split = specify("sasrec-ce", "training.noise=0.5"), prepared.split
    watched = Watched(spec, prepared, monkeypatch)
    record, arrays, encoder = watched.record, watched.arrays, watched.trained.encoder
    validation, test = split.cases("validation"), split.cases("test")
    ranking = evaluate(encoder.score, test, split.n_items, 8)
    validation_ranks = evaluate_ranks(encoder.score, validation, split.n_items, 8)
    everyone = windows(test.histories, torch.arange(len(test.targets)), 8, split.n_items)
    with torch.inference_mode():
        z = encoder(everyone)[1]
    expected = {
        "ranks": ranking.ranks,
        "validation_ranks": validation_ranks,
        "top_items": ranking.top_items[:, : run.LISTS_KEPT],
        "target_buckets": split.item_buckets[test.targets.numpy()],
        "history_buckets": probes.history_bucket_shares(test.histories, split.item_buckets),
        "singular_values": probes.spectrum(z),
        "singular_values_centred": probes.spectrum(z, centred=True),
    }
    names = ("score_grid", "target_density", "negative_density")
    expected |= dict(zip(names, probes.score_densities(ranking.target_scores, ranking.negative_scores), strict=True))
    names = ("calibration_count", "calibration_confidence", "calibration_accuracy")
    expected |= dict(zip(names, probes.calibration_bins(ranking.confidence, ranking.correct), strict=True))
    assert arrays.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(arrays[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
    assert not np.array_equal(arrays["ranks"], arrays["validation_ranks"])

    assert record.metrics["validation"] == metrics.accuracy(validation_ranks)
    whole = arrays | {"top_items": ranking.top_items}
    assert record.metrics["test"] == summary.summarise([whole], split.item_buckets, split.item_popularity)
    assert record.epochs == watched.trained.epochs
    assert record.selected_epoch == watched.trained.selected_epoch
    assert record.timings["seconds_per_epoch"] == np.median([row["seconds"] for row in record.epochs])
    assert record.counts["parameters"] == sum(parameter.numel() for parameter in encoder.parameters())
    assert "continued" not in record.counts

    data = TrainingData(split.train, split.n_items, 8).with_noise(0.5, seed=3)
    again = train(METHODS["sasrec-ce"].method(spec.settings), data, validation, spec.encoder, spec.training, 3)
    assert [row["loss"] for row in record.epochs] == [row["loss"] for row in again.epochs], "the run's seed, throughout"


@pytest.mark.parametrize("ties", ["file", "draws"])
def test_seen_items_are_ranked_everywhere_without_masking(
    ties: str, prepare_with: Callable[[Protocol], Prepared]
) -> None:
    prepared = prepare_with(Protocol(ties=ties))
    usual, _ = execute(specify("sasrec-ce"), prepared, CPU)
    assert "evaluation" not in usual.spec
    assert usual.metrics["test"]["masked_targets"] > 0
    record, arrays = execute(specify("sasrec-ce", "evaluation.mask_seen=false"), prepared, CPU)
    assert record.spec["evaluation"] == {"mask_seen": False}
    assert record.key != usual.key
    assert record.metrics["test"]["masked_targets"] == 0
    assert arrays["ranks"].min() > 0 < arrays["validation_ranks"].min()
    for stage in usual.metrics:
        assert record.metrics[stage] != usual.metrics[stage], stage
    losses = [[row["loss"] for row in each.epochs] for each in (record, usual)]
    assert losses[0] == losses[1], "training is the same"
    assert [row["validation"] for row in record.epochs] != [row["validation"] for row in usual.epochs]


@pytest.mark.parametrize("protocol", [Protocol(quantile=0.5, until=0.8), Protocol.of_preset("leave-one-out", "none")])
def test_lists_are_measured_but_not_kept_outside_the_last_window(
    protocol: Protocol, prepare_with: Callable[[Protocol], Prepared]
) -> None:
    usual, _ = execute(specify("popularity"), prepare_with(Protocol()), CPU)
    spec = replace(specify("popularity"), protocol=protocol)
    record, arrays = execute(spec, prepare_with(protocol), CPU)
    assert record.status == "done", record.error
    assert arrays.keys().isdisjoint({"top_items", "history_buckets"})
    assert {"cov@50", "shown@10/bucket1", "popularity_kl@10"} <= record.metrics["test"].keys()
    assert record.metrics["test"].keys() == usual.metrics["test"].keys()


def test_the_methods_report_is_in_the_record(prepared: Prepared) -> None:
    record, _ = execute(specify("btsr-ce"), prepared, CPU)
    assert record.status == "done", record.error
    assert record.counts.keys() == {"parameters", "twinless_share"}


def test_each_ties_stage_is_a_different_draw(prepared: Prepared) -> None:
    split = prepared.split
    record, _ = execute(specify("markov"), prepared, CPU)
    scorer = METHODS["markov"].method(specify("markov").settings).fit(TrainingData(split.train, split.n_items, 8))
    drawn = [record.metrics[f"ties-{draw}"] for draw in range(1, run.REDRAWS + 1)]
    for draw, values in enumerate(drawn, start=1):
        ranks = evaluate_ranks(scorer, redrawn_cases(split.events, split.event_ties, "test", draw), split.n_items, 8)
        assert values == metrics.accuracy(ranks)
    assert len({values["ndcg@50"] for values in drawn}) == run.REDRAWS


def test_the_time_before_a_resume_is_part_of_the_time_to_fit(prepared: Prepared, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    execute(specify("sasrec-ce"), prepared, CPU, checkpoint=Checkpoint(path, seconds=0.0))
    torch.save(torch.load(path) | {"seconds": 1000.0}, path)
    record, _ = execute(specify("sasrec-ce"), prepared, CPU, checkpoint=Checkpoint(path, seconds=0.0))
    assert record.counts["continued"] == 1
    assert 1000.0 <= record.timings["fit_seconds"] < 1500.0


class SameForEach:
    """Replaces the generator of negatives: the same row for each case, however many cases there are."""

    def random(self, shape: tuple[int, int]) -> np.ndarray:
        return np.tile(np.linspace(0, 1, shape[1], endpoint=False), (shape[0], 1))


@pytest.mark.parametrize("method", ["sasrec-ce", "markov"])
def test_every_metric_is_the_mean_over_draws_evaluated_one_by_one(
    method: str, drawn: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each draw is written out user by user and evaluated like a run with a single order of events."""
    spec, split = specify(method, "protocol.ties=draws"), drawn.split
    data = TrainingData(split.train, split.n_items, 8)
    if method == "markov":
        scorer = METHODS[method].method(spec.settings).fit(data)
        encoder = None
    else:
        watched = Watched(spec, drawn, monkeypatch)
        encoder = watched.trained.encoder
        scorer = encoder.score
    with monkeypatch.context() as fixed:
        generator = np.random.default_rng
        fixed.setattr(
            np.random, "default_rng", lambda seed: SameForEach() if seed == NEGATIVE_SEED else generator(seed)
        )
        if encoder is not None:
            fixed.setattr(run, "train", lambda *_: watched.trained)
        record, arrays = execute(spec, drawn, CPU)
        assert record.status == "done", record.error
        validation, test = split.cases("validation"), split.cases("test")
        assert validation.draws is not None
        assert test.draws is not None
        alone, expected, validated = [], [], []
        for number, (first, second) in enumerate(zip(validation.draws, test.draws, strict=True)):
            one = [one_by_one(cases, draw) for cases, draw in ((validation, first), (test, second))]
            ranking = evaluate(scorer, one[1], split.n_items, 8)
            z = None if encoder is None else probes.embeddings(encoder, one[1].histories, 8)
            alone.extend(run._measure(ranking, z, one[1], split.item_buckets))
            found = summary.split_draws(arrays)[number]
            for name in found.keys() - {"validation_ranks"}:
                kept = alone[-1][name][:, : run.LISTS_KEPT] if name == "top_items" else alone[-1][name]
                np.testing.assert_allclose(found[name], kept, rtol=1e-4, atol=1e-5, err_msg=name)
            expected.append(summary.summarise(alone[-1:], split.item_buckets, split.item_popularity))
            validated.append(evaluate_ranks(scorer, one[0], split.n_items, 8))
            assert found["validation_ranks"].tolist() == validated[-1].tolist()
    for name in ("singular_values", "calibration_count") if encoder else ("calibration_count",):
        np.testing.assert_allclose(arrays[name], np.mean([draw[name] for draw in alone], axis=0), rtol=1e-4)
    assert len(expected) == TIE_DRAWS
    assert record.metrics["test"].keys() == {name for values in expected for name in values}
    for name, value in record.metrics["test"].items():
        assert value == pytest.approx(np.mean([values[name] for values in expected if name in values]), rel=1e-4), name
    accuracies = [metrics.accuracy(ranks) for ranks in validated]
    for name, value in record.metrics["validation"].items():
        assert value == pytest.approx(np.mean([values[name] for values in accuracies])), name
    ranks = evaluate_ranks(scorer, ordered_cases(split.events, "test"), split.n_items, 8)
    assert record.metrics["ties-file"] == metrics.accuracy(ranks)
    assert record.metrics.keys() == {"test", "validation", "ties-file"}
    assert len({values["ndcg@10"] for values in expected}) == TIE_DRAWS, "the draws differ"


def one_by_one(cases: Cases, draw: np.ndarray) -> Cases:
    """Copy a draw into separate cases, one history per user."""
    histories = [cases.histories[case].tolist() for case in draw]
    offsets = np.cumsum([0, *map(len, histories)])
    return Cases(Sequences.from_arrays(np.concatenate(histories), offsets), cases.targets[torch.from_numpy(draw)])


def test_epochs_are_chosen_by_the_mean_over_the_draws(drawn: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, split = specify("sasrec-ce", "protocol.ties=draws"), drawn.split
    watched = Watched(spec, drawn, monkeypatch)
    validation = split.cases("validation")
    ranks = validation.per_user(evaluate_ranks(watched.trained.encoder.score, validation, split.n_items, 8))
    values = [row["validation"]["ndcg@10"] for row in watched.record.epochs]
    assert ranks.shape == (len(split.events), TIE_DRAWS)
    assert max(values) == pytest.approx(np.mean([metrics.ndcg(draw, 10) for draw in ranks.T]))
