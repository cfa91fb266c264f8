"""Table 1: every objective with and without Barlow Twins, and what the term adds to accuracy and to what is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from baselines.registry import METHODS
from benchmark.paper.printed import BTSR, table1
from benchmark.plan.selection import METRIC
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.cells import contrast, described, done_of_asked, tested
from benchmark.report.tables.layout import Head, Made, Stack, Table, for_machines, latex_label, row_of, warning
from benchmark.report.tables.notes import closing_notes, notes, status_notes
from benchmark.report.tables.numbers import count
from benchmark.runs.metrics import METRICS, shown_in


@dataclass(frozen=True)
class Objective:
    """An objective of one dataset with and without Barlow Twins, such as `CE`: BT-SR (CE) and SASRec (CE)."""

    name: str
    plain: RunGroup
    regularised: RunGroup


Shown = Mapping[Results, Sequence[Objective]]


def objectives(shown: Sequence[Results]) -> Shown:
    """For each dataset the paper's three objectives, and others whose two methods have runs on any of the datasets.

    The runs are those that the experiment planned, or else those of Table 2, which are the same.
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
    """What the paper prints, by method; empty if nothing."""
    return {} if results.synthetic else table1().get(results.title, {})


def table_1(shown: Sequence[Results]) -> Made | None:
    """One line per dataset as in the paper, with deviation, printed number and what the term adds below and beside;
    then the same for the metrics of what is recommended, as far as runs have them.

    Datasets without a run are left out; None if that is all of them.
    """
    ran = {results: found for results, found in objectives(shown).items() if any(runs.done for runs in _groups(found))}
    if not ran:
        return None
    measured = [(results, runs) for results, found in ran.items() for runs in _groups(found)]
    metrics = [m for m in shown_in("lists") if any(results.values(runs, m) for results, runs in measured)]
    tables = [_table(ran, "table1", f"{METRIC.upper()} of", ", in the form of the paper's Table 1", [], _notes(ran))]
    if metrics:
        more = any(not METRICS[metric.partition("@")[0]].paper for metric in metrics)
        said = notes("table1-lists", more=more)
        tables.append(_table(ran, "table1-lists", "What is recommended by", "", metrics, said))
    records = [
        row
        for metric in (METRIC, *metrics)
        for results, found in ran.items()
        for row in for_machines(results, [_record(results, each, metric) for each in found])
    ]
    return tables, records


def _groups(found: Sequence[Objective]) -> list[RunGroup]:
    return [*(each.plain for each in found), *(each.regularised for each in found)]


def _table(shown: Shown, name: str, what: str, form: str, metrics: Sequence[str], said: Sequence[str]) -> Table:
    """Table 1 itself, or of other metrics what is recommended."""
    (one, found), *others = shown.items()
    where, names = "several datasets" if others else one.heading, [each.name for each in found]
    n, heads = len(found), [*names, *(f"{each} + BT" for each in names)]
    alone = "SASRec" if all(each.plain.method.startswith("sasrec-") for each in found) else "alone"
    synthetic = one.synthetic and not others
    return Table(
        name=name if others else latex_label(one.dataset, name),
        caption=f"{warning(synthetic)}{what} {'three' if n == len(BTSR) else n} objectives without and with Barlow "
        f"Twins on {where}{form}.",
        bands=(("", 1), (alone, n), ("with Barlow Twins", n), ("with minus without", n)),
        heads=(
            Head("" if metrics else METRIC, "SYNTHETIC" if synthetic else ""),
            *(Head(head, runs=runs.name) for head, runs in zip(heads, _groups(found), strict=True)),
            *(Head(each, "difference") for each in names),
        ),
        sections=tuple(tuple(_stacks(results, each, metrics, bool(others))) for results, each in shown.items()),
        notes=tuple(said),
    )


def _stacks(results: Results, found: Sequence[Objective], metrics: Sequence[str], together: bool) -> Iterator[Stack]:
    groups, pairs = _groups(found), [(each.regularised, each.plain) for each in found]
    label = f"{results.title} (SYNTHETIC)" if together and results.synthetic else results.title
    for metric in metrics:
        yield contrast(results, f"{label}, {metric}" if together else metric, metric, groups, pairs)
    if not metrics:
        means = contrast(results, label, METRIC, groups, pairs, printed_means(results), seeds_below=False)
        numbers = [count(results.difference(*pair, METRIC).n, "pair") for pair in pairs]
        yield (*means, row_of("runs", [*map(done_of_asked, groups), *numbers], "below"))


def _notes(shown: Shown) -> list[str]:
    cells = [(results, each) for results, found in shown.items() for each in found]
    tests = [results.difference(each.regularised, each.plain, METRIC) for results, each in cells]
    said = notes("table1", printed=any(map(printed_means, shown)), cells=tests, compared=[t for t in tests if t.n])
    for results, found in shown.items():
        groups = {runs.title: runs for runs in _groups(found)}
        prefix = f"{results.title}: " if len(shown) > 1 else ""
        said += [f"{prefix}{note}" for note in status_notes(groups)]
        said += closing_notes(results, list(groups.values())) if len(shown) == 1 else []
    return said


def _record(results: Results, objective: Objective, metric: str) -> dict[str, object]:
    plain, regularised = objective.plain, objective.regularised
    printed = printed_means(results) if metric == METRIC else {}
    return {
        "metric": metric,
        "objective": objective.name,
        **described(results.summary(plain, metric)),
        **{f"{name}_bt": value for name, value in described(results.summary(regularised, metric)).items()},
        **tested(results.difference(regularised, plain, metric)),
        "paper_mean": printed.get(plain.method),
        "paper_mean_bt": printed.get(regularised.method),
    }
