"""Table 2 in ten windows of time: each window alone, and all of them pooled, which gives many test users."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.paper.printed import BASELINES, BTSR
from benchmark.plan.planner import PROJECTOR
from benchmark.plan.selection import choose
from benchmark.report.methods import in_order, title_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import (
    POWER,
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
from benchmark.report.tables.notes import machines_note, setting_text
from benchmark.report.tables.numbers import DASH, count, number, p_value, signed
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
    if differences:
        tables.append(_difference_table(windows, differences))
    return tables, for_machines(results, [*_mean_rows(windows), *_difference_rows(windows, differences)])


def _metric_table(windows: Windows, metric: str) -> Table:
    results, total = windows.results, sum(windows.users.values())
    columns = [{m: windows.mean(m, metric, window) for m in windows.methods} for window in windows.groups]
    columns.append({method: windows.pooled(method, metric) for method in windows.methods})
    best = [best_of({method: SeedSummary(1, value, 0.0) for method, value in each.items()}) for each in columns]
    rows = [
        Row(
            title_of(method),
            tuple(Cell(number(each[method]), place=places[method]) for each, places in zip(columns, best, strict=True)),
        )
        for method in windows.methods
    ]
    heads = [Head(f"{window:g}", count(n, "user")) for window, n in windows.users.items()]
    return table_of(
        results,
        f"windows-{metric}",
        f"{metric} on {results.heading} in {count(len(windows.groups), 'window')} of time, and pooled.",
        [*heads, Head("pooled", f"{total} users")],
        [[(row,) for row in rows]],
        list(_notes(windows)),
    )


def _notes(windows: Windows) -> Iterable[str]:
    yield (
        "A window begins at the quantile of the timestamps above its column and ends where the next later one begins; "
        "that at 0.95 has no end. Every window has models of its own, which are trained on what its test users did not "
        "do and what happened before it. Means over seeds. Pooled is the mean over the test users of all windows, for "
        "coverage the mean over windows. The best of a column is bold."
    )
    asked = {group.swept for group in windows.results.experiment("windows")} - set(windows.groups)
    if asked:
        missing = ", ".join(f"{window:g}" for window in sorted(filter(None, asked), reverse=True))
        yield f"Not every method has a finished run in the windows {missing}, which are left out."
    records = [record for groups in windows.groups.values() for group in groups.values() for record in group.done]
    yield f"{setting_text(windows.results.setting)}."
    yield machines_note(records)


def _difference_table(windows: Windows, differences: Sequence[PooledDifference]) -> Table:
    results = windows.results
    rows = [
        row_of(
            f"{title_of(each.method)} {DASH} {title_of(each.rival)}, {each.metric}",
            [
                signed(each.over_users.difference),
                f"{signed(each.over_users.low)} to {signed(each.over_users.high)}",
                p_value(each.over_users.p).removeprefix("= "),
                f"{sum(value > 0 for value in each.by_window.values())}/{len(each.by_window)}",
                DASH if np.isnan(each.over_windows.p) else p_value(each.over_windows.p).removeprefix("= "),
                number(each.detectable),
            ],
        )
        for each in differences
    ]
    tested, users = sum(windows.users.values()), differences[0].over_users.n
    return table_of(
        results,
        "windows-differences",
        f"What Barlow Twins adds on {results.heading}, pooled over {count(len(windows.groups), 'window')} of time.",
        [
            Head("pooled", "difference"),
            Head("95 %", "interval"),
            Head("p", "over users"),
            Head("windows", "above 0"),
            Head("p", "over windows"),
            Head("smallest", "detectable"),
        ],
        [[(row,) for row in rows if row.label.endswith(metric)] for metric in TESTED],
        [
            f"{tested} test users in {count(len(windows.groups), 'window')}, {users} different ones. The interval and "
            "the p over users resample users with all their windows. The p over windows is that of a paired t-test of "
            "the windows' means, whose training data overlap. The smallest detectable difference is the true "
            f"difference that a test over these users would find with {POWER:.0%} power. Differences are over the "
            "seeds that both have.",
            "Besides every BT-SR and its own objective alone, the one with the highest mean NDCG@10 on validation is "
            "compared with the baseline of the paper that has the highest pooled value here.",
            f"{setting_text(results.setting)}.",
        ],
    )


def _mean_rows(windows: Windows) -> Iterable[dict[str, object]]:
    for metric in METRICS:
        for method in windows.methods:
            for window, groups in windows.groups.items():
                runs, mean = len(groups[method].done), windows.mean(method, metric, window)
                about = {"metric": metric, "method": method, "window": window}
                yield {**about, "mean": mean, "users": windows.users[window], "runs": runs}
            pooled = windows.pooled(method, metric)
            yield {"metric": metric, "method": method, "mean": pooled, "users": sum(windows.users.values())}


def _difference_rows(windows: Windows, differences: Iterable[PooledDifference]) -> Iterable[dict[str, object]]:
    for each in differences:
        about = {"metric": each.metric, "method": each.method, "rival": each.rival}
        for window, mean in each.by_window.items():
            yield {**about, "window": window, "mean": mean, "users": windows.users[window]}
        over = each.over_users
        yield {
            **about,
            "mean": over.difference,
            "users": sum(windows.users.values()),
            "different_users": over.n,
            "low": over.low,
            "high": over.high,
            "p": over.p,
            "p_over_windows": each.over_windows.p,
            "detectable": each.detectable,
        }
