"""Table 1: every objective with and without Barlow Twins, and what the term adds to accuracy and to what is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from baselines.registry import METHODS
from benchmark.paper.printed import BTSR, table1
from benchmark.plan.selection import METRIC
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.cells import contrast, described, done_of_asked, tested
from benchmark.report.tables.layout import Cell, Head, Made, Row, Stack, Table, for_machines, label_of, warning
from benchmark.report.tables.notes import closing_notes, notes, status_notes
from benchmark.report.tables.numbers import count
from benchmark.runs.metrics import METRICS, shown_in


@dataclass(frozen=True)
class Objective:
    """An objective of one dataset with and without Barlow Twins, such as `CE`: BT-SR (CE) and SASRec (CE)."""

    name: str
    plain: RunGroup
    regularised: RunGroup


def objectives(shown: Sequence[Results]) -> Mapping[Results, list[Objective]]:
    """Of each dataset the paper's three, and others whose two methods have runs on any of them.

    The runs are those that the experiment planned, or else those of Table 2, which are the same.
    """
    pairs: dict[str, str] = {}
    for method, entry in METHODS.items():
        if entry.plain:
            pairs.setdefault(entry.plain, method)  # not BT-SR (CE, projector), which is another way to regularise CE

    def group(results: Results, method: str) -> RunGroup:
        return results.group("objectives", method) or results.method(method)

    kept = [
        names
        for names in pairs.items()
        if names[1] in BTSR or any(all(group(results, name).records for name in names) for results in shown)
    ]
    return {
        results: [Objective(_name(second), group(results, first), group(results, second)) for first, second in kept]
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
    metrics = [
        metric
        for metric in shown_in("lists")
        if any(results.summary(runs, metric).n for results, found in ran.items() for runs in _groups(found))
    ]
    records = [
        row
        for metric in (METRIC, *metrics)
        for results, found in ran.items()
        for row in for_machines(results, [_record(results, each, metric) for each in found])
    ]
    tables = [_table(ran), *([_table(ran, metrics)] if metrics else [])] if ran else []
    return (tables, records) if ran else None


def _name(method: str) -> str:
    """`CE` of `BT-SR (CE)`."""
    title = METHODS[method].title
    return title.partition("(")[2].removesuffix(")") or title


def _groups(found: Sequence[Objective]) -> list[RunGroup]:
    return [*(each.plain for each in found), *(each.regularised for each in found)]


def _table(shown: Mapping[Results, list[Objective]], metrics: Sequence[str] = ()) -> Table:
    """Table 1 itself, or of other metrics what is recommended."""
    one = next(iter(shown)) if len(shown) == 1 else None
    first = next(iter(shown.values()))
    if metrics:
        name, form, more = "table1-lists", "", any(not METRICS[metric.partition("@")[0]].paper for metric in metrics)
        what, said = "What is recommended by", notes("table1-lists", more=more)
    else:
        name, form, what, said = "table1", ", in the form of the paper's Table 1", "NDCG@10 of", _notes(shown)
    number = "three" if len(first) == len(BTSR) else len(first)
    text = f"{what} {number} objectives without and with Barlow Twins"
    where = one.heading if one else "several datasets"
    groups = [Head("", runs=runs.name if one and runs.records else "") for runs in _groups(first)]
    names = [*(each.name for each in first), *(f"{each.name} + BT" for each in first)]
    alone = "SASRec" if all(each.plain.method.startswith("sasrec-") for each in first) else "alone"
    return Table(
        name=label_of(one.dataset, name) if one else name,
        caption=f"{warning(bool(one and one.synthetic))}{text} on {where}{form}.",
        bands=(("", 1), (alone, len(first)), ("with Barlow Twins", len(first)), ("with minus without", len(first))),
        heads=(
            Head("" if metrics else METRIC, "SYNTHETIC" if one and one.synthetic else ""),
            *(replace(head, first=name) for head, name in zip(groups, names, strict=True)),
            *(Head(each.name, "difference") for each in first),
        ),
        sections=tuple(tuple(_stacks(results, found, metrics, one is None)) for results, found in shown.items()),
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
        yield (*means, Row("runs", (*map(done_of_asked, groups), *map(Cell, numbers)), "below"))


def _notes(shown: Mapping[Results, list[Objective]]) -> list[str]:
    cells = [(results, each) for results, found in shown.items() for each in found]
    tests = [results.difference(each.regularised, each.plain, METRIC) for results, each in cells]
    compared = [test for test in tests if test.n]
    said = notes(
        "table1",
        printed=any(map(printed_means, shown)),
        cells=len(cells),
        compared=len(compared),
        higher=sum(test.difference > 0 for test in compared),
        starred=sum(test.star for test in compared),
    )
    for results, found in shown.items():
        prefix = f"{results.title}: " if len(shown) > 1 else ""
        said += [f"{prefix}{note}" for note in status_notes({runs.title: runs for runs in _groups(found)})]
        if len(shown) == 1:
            said += closing_notes(results, [runs for each in found for runs in (each.plain, each.regularised)])
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
