"""Table 2 in ten windows of time: each window alone, and all of them pooled, which gives many test users."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.paper.printed import BASELINES, BTSR
from benchmark.plan.experiments import PROJECTOR
from benchmark.plan.selection import choose
from benchmark.report.methods import in_order, title_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import (
    PairedBootstrap,
    PairedTest,
    SeedSummary,
    paired_bootstrap,
    paired_t_test,
    smallest_detectable_difference,
    standard_error,
)
from benchmark.report.tables.cells import best_of, row_of
from benchmark.report.tables.layout import Cell, Head, Made, Row, Table, for_machines, table_of
from benchmark.report.tables.notes import machines_note, notes, setting_text
from benchmark.report.tables.numbers import DASH, bare_p, count, number, signed
from benchmark.runs.metrics import is_mean_over_users, shown_in

METRICS = shown_in("windows")
TESTED = tuple(filter(is_mean_over_users, METRICS))

POOLED_RESAMPLES = 2_000
"""Ten thousand of ten thousand users would take most of a report's time."""


@dataclass(frozen=True)
class Windows:
    """The windows in which every method has a finished run, latest first: `groups` by window and method, and how many
    test `users` each window has.
    """

    results: Results
    methods: tuple[str, ...]
    groups: Mapping[float, Mapping[str, RunGroup]]
    users: Mapping[float, int]

    @property
    def tested(self) -> int:
        """Test users of all windows, each as often as it is tested."""
        return sum(self.users.values())

    def mean(self, method: str, metric: str, window: float) -> float:
        """Over the seeds."""
        return self.results.summary(self.groups[window][method], metric).mean

    def pooled(self, method: str, metric: str) -> float:
        """The mean over all test users of all windows; of coverage, which is no mean over users, that over windows."""
        means = [self.mean(method, metric, window) for window in self.groups]
        return float(np.average(means, weights=list(self.users.values()) if is_mean_over_users(metric) else None))


@dataclass(frozen=True)
class PooledDifference:
    """`method` minus `rival`: `by_window` its mean in each, `errors` the sampling errors of these.

    `over_users`: all test users of all windows, where a user who is tested in several is resampled as a whole.
    `over_windows`: a test of the means of the windows.
    """

    metric: str
    method: str
    rival: str
    by_window: Mapping[float, float]
    errors: Mapping[float, float]
    over_users: PairedBootstrap
    over_windows: PairedTest
    detectable: float


def windows_of(results: Results, names: Collection[str] = ()) -> Windows | None:
    """Of the methods `names`, or of all that have a run. None if no run beyond those of Table 2 is done, or no window
    has a run of every method.
    """
    done = [group for group in results.own("windows") if group.done and (not names or group.method in names)]
    methods = tuple(in_order(names or {group.method for group in done}))
    by_window: dict[float, dict[str, RunGroup]] = {}
    for group in done:
        by_window.setdefault(group.swept or 0.0, {})[group.method] = group
    complete = {window: groups for window, groups in by_window.items() if len(groups) == len(methods)}
    users = {window: groups[methods[0]].done[0].data["test_users"] for window, groups in complete.items()}
    return Windows(results, methods, complete, users) if complete else None


def pooled_difference(windows: Windows, method: str, rival: str, metric: str) -> PooledDifference | None:
    """Over the seeds that both have; None where a window lacks one, or its users' ranks or numbers."""
    differences, numbers = [], []
    for window, groups in windows.groups.items():
        found = windows.results.user_differences(groups[method], groups[rival], metric)
        users = windows.results.user_numbers.get(window)
        if found is None or users is None or len(users) != len(found):
            return None
        differences.append(found)
        numbers.append(users)
    means = np.array([each.mean() for each in differences])
    together, owners = np.concatenate(differences), np.concatenate(numbers)
    return PooledDifference(
        metric,
        method,
        rival,
        dict(zip(windows.groups, means.tolist(), strict=True)),
        dict(zip(windows.groups, map(standard_error, differences), strict=True)),
        paired_bootstrap(together, POOLED_RESAMPLES, users=owners),
        paired_t_test(means, np.zeros_like(means)),
        smallest_detectable_difference(together, users=owners),
    )


def pooled_differences(windows: Windows, metrics: Iterable[str] = TESTED) -> list[PooledDifference]:
    """BT-SR on each objective against that objective alone, and the BT-SR that validation chose against the best
    baseline.
    """
    found = []
    for metric in metrics:
        pairs = {
            (method, plain): None
            for method in (*BTSR, PROJECTOR)
            for plain in [RunGroup("windows", method, method).plain]
            if method in windows.methods and plain in windows.methods
        }
        baselines = [method for method in windows.methods if method in BASELINES]
        if (chosen := chosen_btsr(windows)) and baselines:
            pairs[chosen, max(baselines, key=lambda method: windows.pooled(method, metric))] = None
        found += [made for method, rival in pairs if (made := pooled_difference(windows, method, str(rival), metric))]
    return found


def chosen_btsr(windows: Windows) -> str | None:
    """The BT-SR with the highest validation NDCG@10 over these windows."""
    frame = windows.results.frame
    rows = frame[(frame["experiment"] == "windows") & frame["swept"].isin(list(windows.groups))]
    choice = choose(rows, [method for method in BTSR if method in windows.methods])
    return choice.choice if choice else None


def window_tables(results: Results) -> Made | None:
    """One table per metric, methods down and windows across, then the pooled differences; None without a window."""
    windows = windows_of(results)
    if windows is None:
        return None
    differences = pooled_differences(windows)
    tables = [_metric_table(windows, metric) for metric in METRICS]
    tables += [_difference_table(windows, differences)] if differences else []
    rows = [*_mean_rows(windows), *(row for each in differences for row in _difference_rows(windows, each))]
    return tables, for_machines(results, rows)


def _metric_table(windows: Windows, metric: str) -> Table:
    results, groups = windows.results, windows.groups
    columns = [{m: windows.mean(m, metric, window) for m in windows.methods} for window in groups]
    columns.append({method: windows.pooled(method, metric) for method in windows.methods})
    best = [best_of({m: SeedSummary(1, value, 0.0) for m, value in each.items()}, metric) for each in columns]
    rows = [
        Row(title_of(m), tuple(Cell(number(each[m]), place=at[m]) for each, at in zip(columns, best, strict=True)))
        for m in windows.methods
    ]
    asked = {group.swept for group in results.experiment("windows")} - set(groups)
    said = notes(
        "windows",
        missing=[f"{window:g}" for window in sorted(filter(None, asked), reverse=True)],
        setting=setting_text(results.setting),
        machines=machines_note([r for each in groups.values() for runs in each.values() for r in runs.done]),
    )
    heads = [Head(f"{window:g}", count(n, "user")) for window, n in windows.users.items()]
    return table_of(
        results,
        f"windows-{metric}",
        f"{metric} on {results.heading} in {count(len(groups), 'window')} of time, and pooled.",
        [*heads, Head("pooled", f"{windows.tested} users")],
        [[(row,) for row in rows]],
        said,
    )


def _difference_table(windows: Windows, differences: Sequence[PooledDifference]) -> Table:
    results, n_windows = windows.results, len(windows.groups)

    def line(each: PooledDifference) -> Row:
        over, above = each.over_users, sum(value > 0 for value in each.by_window.values())
        texts = [signed(over.difference), f"{signed(over.low)} to {signed(over.high)}"]
        texts += [bare_p(over.p), f"{above}/{len(each.by_window)}", bare_p(each.over_windows.p)]
        label = f"{title_of(each.method)} {DASH} {title_of(each.rival)}, {each.metric}"
        return row_of(label, [*texts, number(each.detectable)])

    return table_of(
        results,
        "windows-differences",
        f"What Barlow Twins adds on {results.heading}, pooled over {count(n_windows, 'window')} of time.",
        [
            Head("pooled", "difference"),
            Head("95 %", "interval"),
            Head("p", "over users"),
            Head("windows", "above 0"),
            Head("p", "over windows"),
            Head("smallest", "detectable"),
        ],
        [[(line(each),) for each in differences if each.metric == metric] for metric in TESTED],
        notes(
            "windows-differences",
            tested=windows.tested,
            windows=n_windows,
            users=differences[0].over_users.n,
            setting=setting_text(results.setting),
        ),
    )


def _mean_rows(windows: Windows) -> Iterable[dict[str, object]]:
    for metric, method in itertools.product(METRICS, windows.methods):
        about = {"metric": metric, "method": method}
        for window, groups in windows.groups.items():
            runs, mean = len(groups[method].done), windows.mean(method, metric, window)
            yield about | {"window": window, "mean": mean, "users": windows.users[window], "runs": runs}
        yield about | {"mean": windows.pooled(method, metric), "users": windows.tested}


def _difference_rows(windows: Windows, each: PooledDifference) -> Iterable[dict[str, object]]:
    about = {"metric": each.metric, "method": each.method, "rival": each.rival}
    for window, mean in each.by_window.items():
        yield about | {"window": window, "mean": mean, "users": windows.users[window]}
    over = each.over_users
    yield about | {
        "mean": over.difference,
        "users": windows.tested,
        "different_users": over.n,
        "low": over.low,
        "high": over.high,
        "p": over.p,
        "p_over_windows": each.over_windows.p,
        "detectable": each.detectable,
    }
