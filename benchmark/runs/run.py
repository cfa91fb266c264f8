"""One run: spec -> fit -> evaluate -> record."""

from __future__ import annotations

import statistics
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from baselines.encoder import Encoder
from baselines.method import FittedMethod, Method, Scorer, TrainedMethod
from baselines.registry import METHODS
from baselines.training_data import TrainingData
from benchmark.plan.run_key import run_key, versions
from benchmark.plan.run_spec import RunSpec
from benchmark.runs.checkpoint import Checkpoint
from benchmark.runs.environment import (
    code_version,
    hardware,
    package_versions,
    peak_memory,
    reset_peak_memory,
    seconds_since,
)
from benchmark.runs.evaluation import NonFiniteScores, Ranking, evaluate, evaluate_ranks
from benchmark.runs.metrics import accuracy, summarise
from benchmark.runs.preparation import Prepared
from benchmark.runs.probes import calibration_bins, history_bucket_shares, score_densities, spectrum
from benchmark.runs.training import Diverged, EpochRow, train
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord
from datasets.sequences import windows
from datasets.split import Cases

EMBEDDING_ROWS = 1024

TIE_DRAWS = 5
"""How often the finished model is evaluated again with simultaneous test events in another order (stage `ties-<draw>`).
"""


@dataclass
class RunOutcome:
    """What a run has come to so far; it turns into a record whatever happens."""

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
    command: str,
    on_news: Callable[[EpochRow | str], None] = lambda news: None,
    checkpoint: Path | Checkpoint | None = None,
) -> tuple[RunRecord, Arrays]:
    """Do the run, or go on with it if `checkpoint`, or the file at that path, has its state. A loss or score that is
    not finite gives a record `diverged`, an error of the operating system, such as a full disk, one `interrupted`, for
    that is no fault of the run, any other exception one `failed`.
    """
    outcome = RunOutcome()
    code_version()  # remembered from now on: what is edited while this runs did not make the record

    def follow(news: EpochRow | str) -> None:
        if isinstance(news, dict):
            outcome.epochs.append(news)
        on_news(news)

    try:
        reset_peak_memory(device)
        if isinstance(checkpoint, Path):
            checkpoint = Checkpoint(checkpoint)
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
    return to_record(spec, prepared, device, command, outcome), outcome.arrays


def to_record(spec: RunSpec, prepared: Prepared, device: torch.device, command: str, outcome: RunOutcome) -> RunRecord:
    """The record of an outcome."""
    return RunRecord(
        key=run_key(spec, prepared.fingerprint),
        status=outcome.status,
        spec=spec.to_json(),
        data=prepared.for_record,
        versions={**versions(spec), **code_version(), **package_versions()},
        hardware=hardware(device),
        command=command,
        started=outcome.started.isoformat(timespec="seconds"),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        epochs=outcome.epochs,
        selected_epoch=outcome.selected_epoch,
        timings=outcome.timings,
        peak_memory_bytes=outcome.peak_memory_bytes,
        counts=outcome.counts,
        metrics=outcome.metrics,
        error=outcome.error,
    )


def _fit_and_evaluate(
    spec: RunSpec,
    prepared: Prepared,
    device: torch.device,
    outcome: RunOutcome,
    on_news: Callable[[EpochRow | str], None],
    checkpoint: Checkpoint | None,
) -> None:
    split = prepared.split
    data = TrainingData(split.train, split.n_items, spec.encoder.maxlen)
    data = data.with_noise(spec.training.noise, spec.seed).to(device)
    validation, test = (split.cases(stage).to(device) for stage in ("validation", "test"))
    method: Method = METHODS[spec.method].method(spec.settings)

    clock, seconds_before = time.perf_counter(), 0.0
    encoder: Encoder | None = None
    if isinstance(method, TrainedMethod):
        trained = train(method, data, validation, spec.encoder, spec.training, spec.seed, on_news, checkpoint)
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
    outcome.counts |= method.report()

    clock = time.perf_counter()
    on_news("evaluating validation")
    validation_ranks = evaluate_ranks(scorer, validation, data.n_items, data.maxlen)
    on_news("evaluating test")
    ranking = evaluate(scorer, test, data.n_items, data.maxlen)
    outcome.arrays = _measure(prepared, ranking, validation_ranks, encoder, test, data)
    outcome.metrics["validation"] = accuracy(validation_ranks)
    outcome.metrics["test"] = summarise(outcome.arrays, split.item_buckets)
    for draw in range(1, TIE_DRAWS + 1):
        on_news(f"evaluating ties-{draw}")
        cases = split.cases_redrawn("test", draw).to(device)
        outcome.metrics[f"ties-{draw}"] = accuracy(evaluate_ranks(scorer, cases, data.n_items, data.maxlen))
    outcome.timings["evaluate_seconds"] = seconds_since(clock)


def _measure(
    prepared: Prepared,
    ranking: Ranking,
    validation_ranks: np.ndarray,
    encoder: Encoder | None,
    test: Cases,
    data: TrainingData,
) -> Arrays:
    """The record's arrays; no history, target or raw id is among them (licences)."""
    item_buckets = prepared.split.item_buckets
    count, confidence, accuracy = calibration_bins(ranking.confidence, ranking.correct)
    grid, target_density, negative_density = score_densities(ranking.target_scores, ranking.negative_scores)
    arrays = {
        "ranks": ranking.ranks,
        "validation_ranks": validation_ranks,
        "top_items": ranking.top_items.astype(np.uint16 if data.n_items < 2**16 - 1 else np.int32),
        "target_buckets": item_buckets[test.targets.cpu().numpy()],
        "history_buckets": history_bucket_shares(test.histories, item_buckets),
        "score_grid": grid,
        "target_density": target_density,
        "negative_density": negative_density,
        "calibration_count": count,
        "calibration_confidence": confidence,
        "calibration_accuracy": accuracy,
    }
    if encoder is not None:
        embeddings = _embeddings(encoder, test, data)
        arrays["singular_values"] = spectrum(embeddings)
        arrays["singular_values_centred"] = spectrum(embeddings, centred=True)
    return arrays


@torch.inference_mode()
def _embeddings(encoder: Encoder, cases: Cases, data: TrainingData) -> torch.Tensor:
    """z of every test user's history, (N, D)."""
    rows = torch.arange(len(cases.targets), device=cases.targets.device)
    parts = [
        encoder(windows(cases.histories, chunk, data.maxlen, data.pad_id))[1] for chunk in rows.split(EMBEDDING_ROWS)
    ]
    return torch.cat(parts)
