"""Table 2 in ten windows of time: each window on its own, and all of them pooled, which adds up to many test users."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from baselines.registry import METHODS
from benchmark.paper.printed import BASELINES, BTSR
from benchmark.plan.selection import choose
from benchmark.report.methods import in_order, title_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import (
    PairedBootstrap,
    PairedTest,
    paired_bootstrap,
    paired_t_test,
    smallest_detectable_difference,
    standard_error,
)
from benchmark.report.tables.layout import (
    Cell,
    Columns,
    Head,
    Table,
    TablesAndRows,
    only_best,
    table_of_items,
)
from benchmark.report.tables.notes import machines_note, notes, setting_text
from benchmark.report.tables.numbers import MINUS, bare_p, count, in_print, number, signed
from benchmark.runs.metrics import is_mean_over_users, shown_in

METRICS = shown_in("windows")
TESTED = tuple(filter(is_mean_over_users, METRICS))

POOLED_RESAMPLES = 2_000
"""With 10,000 resamples of some 10,000 users, the bootstrap would take most of a report's time."""


@dataclass(frozen=True)
class Windows:
    """The windows in which every method has a finished run, latest first.

    `groups`: by window, then by method. `users`: the number of test users of each window.
    """

    results: Results
    methods: tuple[str, ...]
    groups: Mapping[float, Mapping[str, RunGroup]]
    users: Mapping[float, int]

    @property
    def n_tested(self) -> int:
        """The test users of all windows; a user counts once for each window."""
        return sum(self.users.values())

    def mean(self, method: str, metric: str, window: float) -> float:
        """The mean over the seeds."""
        return self.results.summary(self.groups[window][method], metric).mean

    def pooled(self, method: str, metric: str) -> float:
        """The mean over all test users of all windows; for coverage, which is not a mean over users, over windows."""
        means = [self.mean(method, metric, window) for window in self.groups]
        return float(np.average(means, weights=list(self.users.values()) if is_mean_over_users(metric) else None))


@dataclass(frozen=True)
class PooledDifference:
    """`method` minus `rival` in each window, with the sampling `errors` of these means, and pooled.

    `over_users`: a bootstrap of all test users, in which a user tested in several windows is resampled as a whole.
    `over_windows`: a t-test of the windows' means. `detectable`: the smallest difference these users can reveal.
    """

    metric: str
    method: str
    rival: str
    by_window: Mapping[float, float]
    errors: Mapping[float, float]
    over_users: PairedBootstrap
    over_windows: PairedTest
    detectable: float

    @property
    def n_ahead(self) -> int:
        """The number of windows in which the method is ahead."""
        return sum(value > 0 for value in self.by_window.values())


def windows_of(results: Results, names: Collection[str] = ()) -> Windows | None:
    """Find the windows in which all the named methods, or all that were run, have finished runs; None without any."""
    experiment = results.experiment_beyond_main("windows")
    done = [group for group in experiment if group.done and (not names or group.method in names)]
    methods = tuple(in_order(names or {group.method for group in done}))
    by_window: dict[float, dict[str, RunGroup]] = {}
    for group in done:
        by_window.setdefault(group.swept or 0.0, {})[group.method] = group
    complete = {window: groups for window, groups in by_window.items() if len(groups) == len(methods)}
    users = {window: groups[methods[0]].done[0].data["test_users"] for window, groups in complete.items()}
    return Windows(results, methods, complete, users) if complete else None


def pooled_difference(windows: Windows, method: str, rival: str, metric: str) -> PooledDifference | None:
    """Compare two methods over the seeds that both have; None if a window lacks a seed, ranks or user numbers."""
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
    """Compare every method, in each metric, with the same method without Barlow Twins or else with its rival.

    The BT-SR that validation chose is also compared with the best baseline.
    """
    found = []
    for metric in metrics:
        rivals = {name: METHODS[name].plain or METHODS[name].rival for name in windows.methods if name in METHODS}
        pairs = {pair: None for pair in rivals.items() if pair[1] in windows.methods}
        baselines = [method for method in windows.methods if method in BASELINES]
        if (chosen := chosen_btsr(windows)) and baselines:
            pairs[chosen, max(baselines, key=lambda method: windows.pooled(method, metric))] = None
        found += [each for method, rival in pairs if (each := pooled_difference(windows, method, str(rival), metric))]
    return found


def chosen_btsr(windows: Windows) -> str | None:
    """The BT-SR with the highest validation NDCG@10 over these windows."""
    frame = windows.results.frame
    rows = frame[(frame["experiment"] == "windows") & frame["swept"].isin(list(windows.groups))]
    choice = choose(rows, [method for method in BTSR if method in windows.methods])
    return choice.choice if choice else None


def window_tables(results: Results) -> TablesAndRows | None:
    """Build one table per metric, methods by windows, then one of pooled differences; None without a window."""
    windows = windows_of(results)
    if windows is None:
        return None
    differences = pooled_differences(windows)
    tables = [_metric_table(windows, metric) for metric in METRICS]
    tables += [_difference_table(windows, differences)] if differences else []
    return tables, list(_rows(windows, differences))


def _metric_table(windows: Windows, metric: str) -> Table:
    results, n_windows = windows.results, count(len(windows.groups), "window")

    def column(value: Callable[[str], float]) -> Callable[[str], Cell]:
        means = {method: value(method) for method in windows.methods}
        best = only_best(means, metric)
        return lambda method: Cell(number(means[method]), place=best[method])

    columns = [
        (Head(f"{window:g}", count(users, "user")), column(partial(windows.mean, metric=metric, window=window)))
        for window, users in windows.users.items()
    ]
    columns.append((Head("pooled", count(windows.n_tested, "user")), column(partial(windows.pooled, metric=metric))))
    planned = {group.swept for group in results.experiment("windows")} - set(windows.groups)
    records = [record for groups in windows.groups.values() for runs in groups.values() for record in runs.done]
    found = notes(
        "windows",
        missing=[f"{window:g}" for window in sorted(filter(None, planned), reverse=True)],
        setting=setting_text(results.setting),
        machines=machines_note(records),
    )
    caption = f"{in_print(metric)} on {results.heading} in {n_windows} of time, and pooled."
    lines = [[(title_of(method), method, None) for method in windows.methods]]
    return table_of_items(results, f"windows-{metric}", caption, columns, lines, found)


DIFFERENCES: Columns[PooledDifference] = (
    (Head("pooled", "difference"), lambda each: signed(each.over_users.difference)),
    (Head("95 %", "interval"), lambda each: f"{signed(each.over_users.low)} to {signed(each.over_users.high)}"),
    (Head("p", "over users"), lambda each: bare_p(each.over_users.p)),
    (Head("windows", "above 0"), lambda each: f"{each.n_ahead}/{len(each.by_window)}"),
    (Head("p", "over windows"), lambda each: bare_p(each.over_windows.p)),
    (Head("smallest", "detectable"), lambda each: number(each.detectable)),
)


def _difference_table(windows: Windows, differences: Sequence[PooledDifference]) -> Table:
    results, n_windows = windows.results, len(windows.groups)
    found = notes(
        "windows-differences",
        tested=windows.n_tested,
        windows=n_windows,
        users=differences[0].over_users.n,
        setting=setting_text(results.setting),
    )
    caption = f"Differences between methods on {results.heading}, pooled over {count(n_windows, 'window')} of time."
    lines = [
        [
            (f"{title_of(each.method)} {MINUS} {title_of(each.rival)}, {metric}", each, None)
            for each in differences
            if each.metric == metric
        ]
        for metric in TESTED
    ]
    return table_of_items(results, "windows-differences", caption, DIFFERENCES, lines, found)


def _rows(windows: Windows, differences: Sequence[PooledDifference]) -> Iterator[dict[str, object]]:
    for metric in METRICS:
        for method in windows.methods:
            about = {"metric": metric, "method": method}
            for window, groups in windows.groups.items():
                runs, mean = len(groups[method].done), windows.mean(method, metric, window)
                yield about | {"window": window, "mean": mean, "users": windows.users[window], "runs": runs}
            yield about | {"mean": windows.pooled(method, metric), "users": windows.n_tested}
    for each in differences:
        about = {"metric": each.metric, "method": each.method, "rival": each.rival}
        for window, mean in each.by_window.items():
            yield about | {"window": window, "mean": mean, "users": windows.users[window]}
        over = each.over_users
        yield about | {
            "mean": over.difference,
            "users": windows.n_tested,
            "different_users": over.n,
            "low": over.low,
            "high": over.high,
            "p": over.p,
            "p_over_windows": each.over_windows.p,
            "detectable": each.detectable,
        }
