"""Execute one run: specification -> fit -> evaluate -> record."""

from __future__ import annotations

import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from baselines.encoder import Encoder
from baselines.method import FittedMethod, Method, Scorer, TrainedMethod
from baselines.registry import METHODS
from baselines.training_data import TrainingData
from benchmark.plan.repeat import command_of
from benchmark.plan.run_spec import RunSpec, run_key, versions
from benchmark.runs.checkpoint import Checkpoint
from benchmark.runs.downstream import downstream_metrics
from benchmark.runs.environment import (
    code_version,
    hardware,
    package_versions,
    peak_memory,
    reset_peak_memory,
    seconds_since,
)
from benchmark.runs.evaluation import NonFiniteScores, Ranking, evaluate, evaluate_ranks
from benchmark.runs.metrics import accuracy
from benchmark.runs.preparation import Prepared
from benchmark.runs.probes import calibration_bins, embeddings, history_bucket_shares, score_densities, spectrum
from benchmark.runs.summary import as_small_items, combine_draws, summarise
from benchmark.runs.training import Diverged, EpochRow, train
from benchmark.store.npz import Arrays
from benchmark.store.record import CALIBRATION, DENSITIES, RunRecord
from datasets.cases import Cases, ordered_cases, redrawn_cases
from datasets.protocol import OPEN, Protocol
from datasets.sequences import Sequences
from datasets.split import Split

REDRAWS = 5
"""How often a model is tested again with simultaneous events in another order, as the stages `ties-1`, `ties-2`, ...
A run on tie draws is instead tested once more in file order, as the stage `ties-file`."""

LISTS_KEPT = 10
"""How many items of each list a record keeps. The paper measures coverage of at most ten. Metrics of longer lists are
computed before the rest is dropped. Earlier windows and leave-one-out keep no lists at all."""


@dataclass(frozen=True, eq=False)
class SelectedWeights:
    """The weights of a trained encoder by name, sent before evaluation for callers that want to keep them."""

    arrays: Arrays


News = EpochRow | SelectedWeights | str
"""What a run reports to its caller: the row of an epoch, the weights, or a description of what it is doing."""


@dataclass
class RunOutcome:
    """The results of a run so far. Becomes a record even if the run fails."""

    status: str = "done"
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    epochs: list[EpochRow] = field(default_factory=list)
    selected_epoch: int | None = None
    timings: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = field(default_factory=lambda: {"test": {}, "validation": {}})
    arrays: Arrays = field(default_factory=dict)
    error: dict[str, str] | None = None
    peak_memory_bytes: int | None = None


def execute(
    spec: RunSpec,
    prepared: Prepared,
    device: torch.device,
    on_news: Callable[[News], None] = lambda news: None,
    checkpoint: Checkpoint | None = None,
) -> tuple[RunRecord, Arrays]:
    """Execute a run, resuming from the checkpoint if it has a state, and return its record and arrays.

    The record's status is "diverged" if a loss or score is not finite, "interrupted" after an operating system error
    such as a full disk, for which the run is not to blame, and "failed" after any other exception.
    """
    outcome = RunOutcome()
    code_version()  # cached now, because files may be edited while this runs

    def follow(news: News) -> None:
        if isinstance(news, dict):
            outcome.epochs.append(news)
        on_news(news)

    try:
        reset_peak_memory(device)
        _fit_and_evaluate(spec, prepared, device, outcome, follow, checkpoint)
    except (Diverged, NonFiniteScores) as reason:
        outcome.status, outcome.error = "diverged", {"type": type(reason).__name__, "message": str(reason)}
    except Exception as error:
        outcome.status = "interrupted" if isinstance(error, OSError) else "failed"
        outcome.error = {
            "type": type(error).__name__,
            "message": str(error).partition("\n")[0],
            "traceback": traceback.format_exc(),
        }
    outcome.peak_memory_bytes = peak_memory(device)
    if outcome.status != "done":
        outcome.metrics, outcome.arrays = {"test": {}, "validation": {}}, {}
    return to_record(spec, prepared, device, outcome), outcome.arrays


def to_record(spec: RunSpec, prepared: Prepared, device: torch.device, outcome: RunOutcome) -> RunRecord:
    """Build the record of a run from its outcome."""
    key, command = run_key(spec, prepared.fingerprint), command_of(spec, prepared.summary["source"])
    return record_of(key, spec.to_json(), versions(spec), prepared, device, command, outcome)


def record_of(
    key: str,
    spec: dict[str, Any],
    versions: dict[str, int],
    prepared: Prepared,
    device: torch.device,
    command: str,
    outcome: RunOutcome,
) -> RunRecord:
    """Build a record from an outcome, with any `spec`. `versions` are those of the code that computes the results."""
    results = {each.name: getattr(outcome, each.name) for each in fields(outcome)}
    del results["started"], results["arrays"]
    return RunRecord(
        **results,
        key=key,
        spec=spec,
        data=prepared.for_record,
        versions={**versions, **code_version(), **package_versions()},
        hardware=hardware(device),
        command=command,
        started=outcome.started.isoformat(timespec="milliseconds"),
        finished=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def _fit_and_evaluate(
    spec: RunSpec,
    prepared: Prepared,
    device: torch.device,
    outcome: RunOutcome,
    on_news: Callable[[News], None],
    checkpoint: Checkpoint | None,
) -> None:
    split = prepared.split
    known = prepared.labels if spec.evaluation.downstream else None
    if spec.evaluation.downstream and known is None:
        raise ValueError("the data was prepared without the labels of downstream tasks")
    sequences = split.train if known is None else known.histories
    data = training_data(spec, sequences, split.n_items, device)
    mask_seen = spec.evaluation.mask_seen
    validation, test = (replace(split.cases(stage), mask_seen=mask_seen).to(device) for stage in ("validation", "test"))
    method: Method = METHODS[spec.method].method(spec.settings)

    clock, seconds_before = time.perf_counter(), 0.0
    encoder: Encoder | None = None
    if isinstance(method, TrainedMethod):
        selection = validation if known is None else spec.training.epochs
        trained = train(method, data, selection, spec.encoder, spec.training, spec.seed, on_news, checkpoint)
        encoder, outcome.selected_epoch = trained.encoder, trained.selected_epoch
        scorer: Scorer = encoder.score
        seconds_before = trained.seconds_before
        if trained.continued:
            outcome.counts["continued"] = trained.continued
        outcome.timings["seconds_per_epoch"] = statistics.median(row["seconds"] for row in trained.epochs)
        outcome.counts["parameters"] = sum(p.numel() for p in encoder.parameters())
    else:
        assert isinstance(method, FittedMethod)
        scorer = method.fit(data)
    outcome.timings["fit_seconds"] = seconds_before + seconds_since(clock)
    outcome.counts |= method.facts()

    if spec.is_trial:  # trials are never tested
        outcome.metrics["validation"] = outcome.epochs[trained.selected_epoch - 1]["validation"]
        return
    if encoder:
        on_news(SelectedWeights({name: tensor.cpu().numpy() for name, tensor in encoder.state_dict().items()}))
    clock = time.perf_counter()
    on_news("evaluating validation")
    validation_ranks = evaluate_ranks(scorer, validation, data.n_items, data.maxlen)
    on_news("evaluating test")
    ranking = evaluate(scorer, test, data.n_items, data.maxlen)
    z = embeddings(encoder, test.histories, data.maxlen) if encoder else None
    draws = _measure(ranking, z, test, split.item_buckets)
    outcome.metrics["test"] = summarise(draws, split.item_buckets, split.item_popularity)
    outcome.arrays = combine_draws([_without_long_lists(draw, spec.protocol) for draw in draws])
    outcome.arrays["validation_ranks"] = validation.per_user(validation_ranks)
    outcome.metrics["validation"] = accuracy(outcome.arrays["validation_ranks"])
    if known is not None:
        outcome.metrics["downstream"] = downstream_metrics(spec, known, split.n_items, encoder, device, on_news)
    for stage, cases in _other_orders(split):
        on_news(f"evaluating {stage}")
        ranks = evaluate_ranks(scorer, replace(cases, mask_seen=mask_seen).to(device), data.n_items, data.maxlen)
        outcome.metrics[stage] = accuracy(ranks)
    outcome.timings["evaluate_seconds"] = seconds_since(clock)


def training_data(spec: RunSpec, sequences: Sequences, n_items: int, device: torch.device) -> TrainingData:
    """Build a run's training data from the users' sequences, with noise and prefix rows if the spec asks for them."""
    data = TrainingData(sequences, n_items, spec.encoder.maxlen).with_noise(spec.training.noise, spec.seed).to(device)
    return data.with_prefix_rows() if spec.training.rows == "prefix" else data


def _other_orders(split: Split) -> Iterator[tuple[str, Cases]]:
    """Yield the further stages of testing, in which simultaneous events come in another order."""
    if split.tie_draws:
        yield "ties-file", ordered_cases(split.events, "test")
        return
    for draw in range(1, REDRAWS + 1):
        yield f"ties-{draw}", redrawn_cases(split.events, split.event_ties, "test", draw)


def _measure(ranking: Ranking, z: torch.Tensor | None, test: Cases, item_buckets: np.ndarray) -> list[Arrays]:
    """Return a run's arrays for each tie draw, or for the only order of events.

    They must not contain histories, targets or original ids, because the datasets' licences forbid publishing these.
    `z` (C, D): the representation of each case's history. `item_buckets` (V,).
    """
    per_case = {
        "ranks": ranking.ranks,
        "top_items": as_small_items(ranking.top_items, len(item_buckets)),
        "target_buckets": item_buckets[test.targets.cpu().numpy()],
        "history_buckets": history_bucket_shares(test.histories, item_buckets),
    }
    return [
        {name: array[cases] for name, array in per_case.items()} | _probe(ranking, z, cases)
        for cases in ([slice(None)] if test.draws is None else test.draws)
    ]


def _without_long_lists(draw: Arrays, protocol: Protocol) -> Arrays:
    """Shorten or drop the lists of a draw as LISTS_KEPT explains."""
    if protocol.until == OPEN and not protocol.is_leave_one_out:
        return draw | {"top_items": draw["top_items"][:, :LISTS_KEPT]}
    return {name: array for name, array in draw.items() if name not in ("top_items", "history_buckets")}


def _probe(ranking: Ranking, z: torch.Tensor | None, cases: slice | np.ndarray) -> Arrays:
    """Compute score densities, calibration bins and singular values over the given cases."""
    arrays = dict(zip(CALIBRATION, calibration_bins(ranking.confidence[cases], ranking.correct[cases]), strict=True))
    densities = score_densities(ranking.target_scores[cases], ranking.negative_scores[cases])
    arrays |= dict(zip(DENSITIES, densities, strict=True))
    if z is not None:
        arrays["singular_values"] = spectrum(z[cases])
        arrays["singular_values_centred"] = spectrum(z[cases], centred=True)
    return arrays
