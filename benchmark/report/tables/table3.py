"""Table 3: BT-SR in two regimes of alpha against SASRec (BCE), with HR@1 by popularity bucket as context."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.paper.printed import table3
from benchmark.plan.experiments import experiments
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.layout import (
    Head,
    TablesAndRows,
    columns_of_test,
    contrast,
    dataset_table,
    stack,
)
from benchmark.report.tables.notes import notes_on_runs

METRIC = "ndcg@20"
CONTEXT = ("hr@1/bucket1", "hr@1/bucket2", "hr@1/bucket3")
REFERENCE = "sasrec-bce"


def table_3(results: Results) -> TablesAndRows | None:
    """Tabulate metrics by regime, with what each regime adds to the reference; None if no regime has finished."""
    if not results.experiment_beyond_main("regimes"):
        return None
    planned = experiments(results.dataset)["regimes"].variants
    groups = [results.group("regimes", v.label) or RunGroup("regimes", v.label, v.method) for v in planned]
    groups.sort(key=lambda runs: runs.label != REFERENCE)
    reference, *regimes = groups
    pairs = [(regime, reference) for regime in regimes]
    printed: Mapping[str, float] = {} if results.synthetic else table3().get(results.title, {})
    first, _, second = reference.title.partition(" ")
    heads = [Head(first, second, runs=reference.name)]
    heads += [Head(runs.style.title, runs.title, runs=runs.name) for runs in regimes]
    named = {reference.title: reference} | {f"{runs.style.title}, {runs.title}": runs for runs in regimes}
    table = dataset_table(
        results,
        "table3",
        f"Two regimes of alpha on {results.heading}, in the form of the paper's Table 3.",
        [*heads, *(Head("difference", runs.title) for runs in regimes)],
        [
            [contrast(results, METRIC, METRIC, groups, pairs, printed)],
            [contrast(results, f"hr@1, bucket {metric[-1]}", metric, groups, pairs) for metric in CONTEXT],
            [stack("runs", [*(runs.done_of_planned for runs in groups), *("" for _ in regimes)])],
        ],
        notes_on_runs("table3", results, named, printed=printed, metric=METRIC),
        (("", 1), ("mean", len(groups)), (f"minus {reference.title}", len(regimes))),
    )
    rows = [
        {
            "metric": metric,
            "variant": runs.label,
            "method": runs.method,
            **results.summary(runs, metric).columns,
            **columns_of_test(None if runs is reference else results.difference(runs, reference, metric)),
            "paper_mean": printed.get(runs.label) if metric == METRIC else None,
        }
        for metric in (METRIC, *CONTEXT)
        for runs in groups
    ]
    return [table], rows
