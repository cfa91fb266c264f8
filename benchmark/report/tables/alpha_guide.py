"""A guide to alpha: what each value of the sweep costs in validation accuracy and gains in coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from benchmark.plan.selection import METRIC
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import LEVEL, paired_bootstrap
from benchmark.report.tables.layout import Head, TablesAndRows, table_of_items
from benchmark.report.tables.notes import by_title, notes_on_runs
from benchmark.report.tables.numbers import DASH, number, signed
from benchmark.runs.summary import split_draws, user_means
from benchmark.store.npz import Arrays

COVERAGE, CUTOFF = "cov@10", 10

GOALS: Mapping[str, float] = {"accuracy first": 0.0, "balanced": 0.02, "coverage first": 0.10}
"""For each goal, how much of the best validation NDCG@10 may be given up for the highest coverage, as a share."""

RESAMPLES = 500

PARTS = ("difference", "low", "high")

Effects = dict[str, Any]
"""One value of alpha: its means over the seeds that it shares with alpha 0, and their differences from alpha 0.

Differences come with 95 % intervals over users, and are None for alpha 0 itself.
"""


def alpha_guide(results: Results) -> TablesAndRows | None:
    """Tabulate what each alpha costs and gains against alpha 0; None unless 0 and another value have arrays."""
    groups = results.experiment_beyond_main("alpha")
    zero = next((runs for runs in groups if runs.swept == 0), None)
    found = [(runs, row) for runs in groups if zero and (row := _row(results, runs, zero))]
    if len(found) < 2:
        return None
    rows = [row for _, row in found]
    taken = {goal: best_for(goal, rows) for goal in GOALS}
    seeds = {row["alpha"]: str(row.pop("seeds")) for row in rows}
    for row in rows:
        row["take_for"] = ", ".join(goal for goal, chosen in taken.items() if chosen is row)
    table = table_of_items(
        results,
        "alpha-guide",
        f"Which alpha to take on {results.heading}: validation accuracy and coverage, and their change from alpha 0.",
        [
            (Head("validation", METRIC), lambda row: number(row["validation"])),
            (Head("change from", "alpha 0"), lambda row: _effect(row, "validation")),
            (Head(COVERAGE), lambda row: number(row["coverage"])),
            (Head("change from", "alpha 0"), lambda row: _effect(row, "coverage")),
            (Head("take it for"), lambda row: row["take_for"] or DASH),
            (Head("seeds"), lambda row: seeds[row["alpha"]]),
        ],
        [[(runs.title, row, runs) for runs, row in found]],
        notes_on_runs(
            "alpha-guide",
            results,
            by_title(groups),
            goals=GOALS,
            taken={goal: runs.title for goal, chosen in taken.items() for runs, row in found if row is chosen},
            clear={
                what: [runs.title for runs, row in found if _is_clear(row, measured)]
                for what, measured in (("accuracy", "validation"), ("coverage", "coverage"))
            },
        ),
    )
    return [table], rows


def best_for(goal: str, rows: Sequence[Effects]) -> Effects:
    """Return the alpha with the highest coverage among those that give up no more accuracy than the goal allows."""
    enough = (1 - GOALS[goal]) * max(row["validation"] for row in rows)
    return max((row for row in rows if row["validation"] >= enough), key=lambda row: row["coverage"])


def _row(results: Results, runs: RunGroup, zero: RunGroup) -> Effects | None:
    """Compare one alpha with alpha 0; None unless they share a seed whose arrays are both there."""
    ours, theirs = _arrays(results, runs), _arrays(results, zero)
    covered, usually = results.values(runs, COVERAGE), results.values(zero, COVERAGE)
    seeds = sorted(ours.keys() & theirs.keys() & covered.keys() & usually.keys())
    if not seeds:
        return None
    accuracy, usual = (  # (N,) each, what a user contributes to validation NDCG@10
        np.mean([user_means(METRIC, {"ranks": side[seed]["validation_ranks"]}) for seed in seeds], axis=0)
        for side in (ours, theirs)
    )
    row: Effects = {"alpha": runs.swept, "validation": float(accuracy.mean())}
    row |= {"coverage": float(np.mean([covered[seed] for seed in seeds])), "seeds": len(seeds)}
    row |= dict.fromkeys(f"{name}_{part}" for name in ("validation", "coverage") for part in PARTS)
    if runs is not zero:
        over, gain = paired_bootstrap(accuracy - usual), np.mean([covered[seed] - usually[seed] for seed in seeds])
        pairs, items = [(ours[seed], theirs[seed]) for seed in seeds], int(runs.done[0].data["items"])
        low, high = _coverage_spread(pairs, items, len(accuracy))
        row |= zip([f"validation_{part}" for part in PARTS], (over.difference, over.low, over.high), strict=True)
        row |= zip([f"coverage_{part}" for part in PARTS], (gain, gain + low, gain + high), strict=True)
    return row


def _arrays(results: Results, runs: RunGroup) -> dict[int, Arrays]:
    loaded = {record.seed: results.load(record) for record in runs.done}
    return {seed: each for seed, each in loaded.items() if each and {"validation_ranks", "top_items"} <= each.keys()}


def _coverage_spread(pairs: Sequence[tuple[Arrays, Arrays]], n_items: int, n_users: int) -> tuple[float, float]:
    """How far the difference in coverage falls below and rises above its centre in 95 % of the samples of users.

    A resample has fewer distinct users, who see fewer items. Its coverage is therefore too low, and only the spread of
    the differences is used.
    """
    random = np.random.default_rng(0)
    weights = random.multinomial(n_users, np.full(n_users, 1 / n_users), size=RESAMPLES).T  # (N, R) times drawn
    resampled = [_coverages(ours, n_items, weights) - _coverages(theirs, n_items, weights) for ours, theirs in pairs]
    difference = np.mean(resampled, axis=0)  # (R,)
    low, high = np.quantile(difference - difference.mean(), [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def _coverages(arrays: Arrays, n_items: int, weights: np.ndarray) -> np.ndarray:
    """Coverage@10 of R samples of users, (R,), averaged over tie draws. `weights` (N, R) counts each user's draws."""
    n_users = len(weights)
    users, ones, found = np.repeat(np.arange(n_users), CUTOFF), np.ones(n_users * CUTOFF), []
    for draw in split_draws(arrays):
        items = draw["top_items"][:, :CUTOFF].ravel().astype(np.int64)
        shown = sparse.csr_matrix((ones, (items, users)), shape=(n_items + 1, n_users))[:n_items]  # the last is no item
        found.append((shown @ weights > 0).mean(0))
    return np.asarray(np.mean(found, axis=0))


def _effect(row: Effects, measured: str) -> str:
    """The difference from alpha 0 with its interval."""
    if row[f"{measured}_difference"] is None:
        return DASH
    difference, low, high = (signed(row[f"{measured}_{part}"]) for part in PARTS)
    return f"{difference} [{low}, {high}]"


def _is_clear(row: Effects, measured: str) -> bool:
    """Whether the interval excludes zero."""
    low, high = row[f"{measured}_low"], row[f"{measured}_high"]
    return low is not None and not low <= 0 <= high
