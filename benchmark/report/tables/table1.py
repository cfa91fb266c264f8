"""Table 1: every objective with and without Barlow Twins, and what the term adds to accuracy and to the lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from baselines.registry import METHODS
from benchmark.paper.printed import BTSR, table1
from benchmark.plan.selection import METRIC
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.layout import (
    Head,
    Stack,
    Table,
    TablesAndRows,
    below_row,
    columns_of_test,
    contrast,
    latex_label,
    synthetic_warning,
)
from benchmark.report.tables.notes import by_title, notes, setting_notes, status_notes
from benchmark.report.tables.numbers import count
from benchmark.runs.metrics import METRICS, shown_in


@dataclass(frozen=True)
class Objective:
    """One objective on one dataset, such as CE, with the runs of SASRec (CE) and of BT-SR (CE)."""

    name: str
    plain: RunGroup
    regularised: RunGroup


ObjectivesByDataset = Mapping[Results, Sequence[Objective]]


def objectives(shown: Sequence[Results]) -> ObjectivesByDataset:
    """Find the paper's three objectives on each dataset, and any other that has runs of both methods on some dataset.

    The runs are those of the experiment `objectives`, or, where it was not planned, the same runs in Table 2.
    """
    pairs: dict[str, str] = {}
    for method, entry in METHODS.items():
        if entry.plain:
            pairs.setdefault(entry.plain, method)  # not BT-SR (CE, projector), which is another way to regularise CE

    def group(results: Results, method: str) -> RunGroup:
        return results.group("objectives", method) or results.method(method)

    def was_run(*methods: str) -> bool:
        return any(all(group(results, method).records for method in methods) for results in shown)

    names = {method: METHODS[method].title.partition("(")[2].rstrip(")") or METHODS[method].title for method in METHODS}
    kept = [(plain, method) for plain, method in pairs.items() if method in BTSR or was_run(plain, method)]
    return {
        results: [Objective(names[method], group(results, plain), group(results, method)) for plain, method in kept]
        for results in shown
    }


def printed_means(results: Results) -> Mapping[str, float]:
    """The paper's numbers by method; empty if it has none for this dataset."""
    return {} if results.synthetic else table1().get(results.title, {})


def table_1(shown: Sequence[Results]) -> TablesAndRows | None:
    """Tabulate the objectives by dataset, then metrics of the lists as far as measured; None if nothing has run."""
    ran = {results: found for results, found in objectives(shown).items() if any(runs.done for runs in _groups(found))}
    if not ran:
        return None
    measured = [(results, runs) for results, found in ran.items() for runs in _groups(found)]
    metrics = [m for m in shown_in("lists") if any(results.values(runs, m) for results, runs in measured)]
    tables = [_table(ran, "table1", f"{METRIC.upper()} of", ", in the form of the paper's Table 1", [], _notes(ran))]
    if metrics:
        more = any(not METRICS[metric.partition("@")[0]].paper for metric in metrics)
        list_notes = notes("table1-lists", more=more)
        tables.append(_table(ran, "table1-lists", "What is recommended by", "", metrics, list_notes))
    rows = [
        results.identity | _row(results, each, metric)
        for metric in (METRIC, *metrics)
        for results, found in ran.items()
        for each in found
    ]
    return tables, rows


def _groups(found: Sequence[Objective]) -> list[RunGroup]:
    return [*(each.plain for each in found), *(each.regularised for each in found)]


def _table(
    shown: ObjectivesByDataset, name: str, what: str, form: str, metrics: Sequence[str], notes: Sequence[str]
) -> Table:
    """Build Table 1 itself, or the same table for other `metrics`, one line each."""
    (one, found), *others = shown.items()
    where, names = "several datasets" if others else one.heading, [each.name for each in found]
    n, heads = len(found), [*names, *(f"{each} + BT" for each in names)]
    alone = "SASRec" if all(each.plain.method.startswith("sasrec-") for each in found) else "alone"
    synthetic = one.synthetic and not others
    return Table(
        name=name if others else latex_label(one.dataset, name),
        caption=f"{synthetic_warning(synthetic)}{what} {'three' if n == len(BTSR) else n} objectives without and with "
        f"Barlow Twins on {where}{form}.",
        bands=(("", 1), (alone, n), ("with Barlow Twins", n), ("with minus without", n)),
        heads=(
            Head("" if metrics else METRIC, "SYNTHETIC" if synthetic else ""),
            *(Head(head, runs=runs.name) for head, runs in zip(heads, _groups(found), strict=True)),
            *(Head(each, "difference") for each in names),
        ),
        sections=tuple(tuple(_stacks(results, each, metrics, bool(others))) for results, each in shown.items()),
        notes=tuple(notes),
    )


def _stacks(results: Results, found: Sequence[Objective], metrics: Sequence[str], together: bool) -> Iterator[Stack]:
    groups, pairs = _groups(found), [(each.regularised, each.plain) for each in found]
    label = f"{results.title} (SYNTHETIC)" if together and results.synthetic else results.title
    for metric in metrics:
        yield contrast(results, f"{label}, {metric}" if together else metric, metric, groups, pairs)
    if not metrics:
        means = contrast(results, label, METRIC, groups, pairs, printed_means(results), seeds_below=False)
        n_pairs = [count(results.difference(*pair, METRIC).n, "pair") for pair in pairs]
        yield (*means, below_row("runs", [*(runs.done_of_planned for runs in groups), *n_pairs]))


def _notes(shown: ObjectivesByDataset) -> list[str]:
    cells = [(results, each) for results, found in shown.items() for each in found]
    tests = [results.difference(each.regularised, each.plain, METRIC) for results, each in cells]
    found = notes("table1", printed=any(map(printed_means, shown)), cells=tests, compared=[t for t in tests if t.n])
    for results, each in shown.items():
        prefix = f"{results.title}: " if len(shown) > 1 else ""
        found += [f"{prefix}{note}" for note in status_notes(by_title(_groups(each)))]
        found += setting_notes(results, _groups(each)) if len(shown) == 1 else []
    return found


def _row(results: Results, objective: Objective, metric: str) -> dict[str, object]:
    plain, regularised = objective.plain, objective.regularised
    printed = printed_means(results) if metric == METRIC else {}
    return {
        "metric": metric,
        "objective": objective.name,
        **results.summary(plain, metric).columns,
        **{f"{name}_bt": value for name, value in results.summary(regularised, metric).columns.items()},
        **columns_of_test(results.difference(regularised, plain, metric)),
        "paper_mean": printed.get(plain.method),
        "paper_mean_bt": printed.get(regularised.method),
    }
