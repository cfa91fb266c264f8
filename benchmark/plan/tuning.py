"""Grid search: of each method's trials the one with the best validation NDCG@10, kept for later runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.plan.config import MAX_ASSIGNMENT, SECTIONS, ConfigError
from benchmark.plan.experiments import Changes, trials
from benchmark.plan.planner import PlannedRun
from benchmark.plan.selection import METRIC
from benchmark.store.record import RunRecord
from benchmark.store.store import Store

ALIAS = "tuned"
"""The alias under which selection.json keeps the choices of a setting."""


def tuned(planned: Sequence[PlannedRun], records: Sequence[RunRecord]) -> dict[str, Any]:
    """For each method all of whose trials are done: the changes that won, and every trial's validation value.

    A method with trials outstanding is left out, for the comparison is fair only if all methods have the same budget.
    """
    values = {(record.key, record.seed): _value(record) for record in records if record.done}
    found: dict[str, dict[str, float | None]] = {}
    for run in planned:
        for label in run.uses.get("tune", ()):
            found.setdefault(run.spec.method, {})[label] = values.get((run.key, run.spec.seed))
    return {method: _choice(method, scores) for method, scores in sorted(found.items()) if None not in scores.values()}


def stored_changes(store: Store, dataset: str, setting: str, methods: Sequence[str]) -> dict[str, Changes]:
    """What tuning chose for these methods under a setting; raises ConfigError if one that has trials lacks a choice."""
    choices = store.selection(dataset, setting).get(ALIAS, {})
    missing = [method for method in methods if any(True for _ in trials(method)) and method not in choices]
    if missing:
        raise ConfigError(
            f"--hparams tuned: {dataset} has no complete tuning of {', '.join(missing)} under {setting}; "
            f"run --hparams equal --experiments tune with --methods {','.join(missing)} first"
        )
    chosen = [method for method in methods if method in choices]
    return {method: _changes(choices[method], f"--hparams tuned: {dataset}: {method}") for method in chosen}


def _changes(choice: Any, where: str) -> Changes:
    """The changes of a stored choice; raises ConfigError unless they could be those of a trial."""
    changes = choice.get("changes") if isinstance(choice, dict) else None
    if not isinstance(changes, dict) or not all(map(_is_key, changes)):
        raise ConfigError(f"{where}: selection.json does not say what was chosen; run --experiments tune again")
    return tuple(changes.items())


def _is_key(text: str) -> bool:
    return text.partition(".")[0] in SECTIONS and len(text) <= MAX_ASSIGNMENT


def _value(record: RunRecord) -> float | None:
    return record.metrics["validation"].get(METRIC)


def _choice(method: str, scores: Mapping[str, float | None]) -> dict[str, Any]:
    changes = {variant.label: variant.changes for variant in trials(method)}
    best = max(scores, key=lambda label: scores[label] or 0.0)
    return {
        "choice": best,
        "changes": dict(changes[best]),
        "stage": "validation",
        "metric": METRIC,
        "trials": dict(scores),
    }
