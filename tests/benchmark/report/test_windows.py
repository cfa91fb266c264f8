"""Tables of windows compared with plain sums over users, and what they leave out if runs are missing."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmark.plan.run_spec import RunSetting
from benchmark.report.figures.canvas import appearance
from benchmark.report.query import Results, RunGroup
from benchmark.report.report import FIGURES
from benchmark.report.tables.windows import pooled_difference, pooled_differences, window_tables, windows_of
from benchmark.runs.metrics import accuracy
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord

USERS = {0.95: 40, 0.9: 60, 0.85: 50}
SEEDS = {"sasrec-bce": (0,), "sasrec-ce": (0, 1), "markov": (0,), "btsr-ce": (0, 1)}
NUMBERS = {window: np.random.default_rng(n).permutation(70)[:n] for window, n in USERS.items()}


@pytest.fixture
def results(handmade: Callable[..., Any]) -> Results:
    """Four methods in three windows with overlapping users; BT-SR ranks targets slightly higher than the others."""
    rng, groups, kept = np.random.default_rng(0), [], dict[str, Arrays]()
    for window, users in USERS.items():
        maker = handmade(users=users)
        for method, seeds in SEEDS.items():
            records = []
            for seed in seeds:
                ranks = rng.integers(1, 25 if method == "btsr-ce" else 35, users)
                metrics = accuracy(ranks) | {"cov@10": float(rng.random())}
                record = maker.record(method, seed, test=metrics, protocol={"quantile": window})
                kept[record.key] = maker.arrays() | {"ranks": ranks}
                records.append(record)
            groups.append(RunGroup("windows", f"{window:g} {method}", method, window, tuple(records)))
    return with_groups(groups, lambda record: kept[record.key])


def with_groups(groups: Any, load: Callable[[RunRecord], Arrays | None], numbers: Any = NUMBERS) -> Results:
    return Results("ml-1m", "ML-1M", False, RunSetting(), groups, load, user_numbers=numbers)


def ndcg_of_users(results: Results, method: str) -> list[tuple[int, float]]:
    """(number, NDCG@10 averaged over seeds) of every user in every window."""
    found = []
    for group in results.experiment("windows"):
        if group.method == method:
            ranks = [results.load(record)["ranks"].tolist() for record in group.records]  # type: ignore[index]
            for user, mine in zip(NUMBERS[group.swept or 0].tolist(), zip(*ranks, strict=True), strict=True):
                gains = [1 / np.log2(rank + 1) if rank <= 10 else 0.0 for rank in mine]
                found.append((user, sum(gains) / len(gains)))
    return found


def test_means_and_pooled_means_are_those_of_plain_sums(results: Results) -> None:
    windows = windows_of(results)
    assert windows is not None
    assert dict(windows.users) == USERS
    for method in SEEDS:
        gains = [gain for _, gain in ndcg_of_users(results, method)]
        assert windows.pooled(method, "ndcg@10") == pytest.approx(sum(gains) / 150)
        assert windows.mean(method, "ndcg@10", 0.95) == pytest.approx(sum(gains[:40]) / 40)
        covered = [windows.mean(method, "cov@10", window) for window in USERS]
        assert windows.pooled(method, "cov@10") == pytest.approx(sum(covered) / 3)


def test_a_pooled_difference_resamples_users_with_all_their_windows(results: Results) -> None:
    windows = windows_of(results)
    assert windows is not None
    found = pooled_difference(windows, "btsr-ce", "sasrec-ce", "ndcg@10")
    assert found is not None
    ours, theirs = (ndcg_of_users(results, method) for method in ("btsr-ce", "sasrec-ce"))
    of_user = defaultdict(list)
    for (user, gain), (_, other) in zip(ours, theirs, strict=True):
        of_user[user].append(gain - other)
    assert any(len(own) > 1 for own in of_user.values())
    assert found.over_users.n == len(of_user) < 150
    everything = [value for own in of_user.values() for value in own]
    assert found.over_users.difference == pytest.approx(sum(everything) / 150)
    rng, means = random.Random(1), []
    for _ in range(4000):
        drawn = [value for own in rng.choices(list(of_user.values()), k=len(of_user)) for value in own]
        means.append(sum(drawn) / len(drawn))
    assert (found.over_users.low, found.over_users.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.005)
    assert found.detectable == pytest.approx(2.8016 * np.std(means), rel=0.06)
    assert found.over_windows.n == 3
    assert found.over_windows.difference == pytest.approx(np.mean(list(found.by_window.values())))


def test_the_figure_shows_each_window_and_the_pooled_difference_at_the_bottom(results: Results) -> None:
    windows = windows_of(results)
    assert windows is not None
    found = pooled_differences(windows, ["ndcg@10"])
    with appearance():
        figure = FIGURES["windows"](results)
    assert figure is not None
    axis = figure.axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["0.95 (40 users)", "0.9 (60 users)", "0.85 (50 users)", "pooled (150 users)"]
    assert len(axis.containers) == len(found)
    for drawn, each in zip(axis.containers, found, strict=True):
        points, _, (bars,) = drawn.lines
        assert points.get_xdata().tolist() == pytest.approx([*each.by_window.values(), each.over_users.difference])
        ends = [segment[:, 0].tolist() for segment in bars.get_segments()]
        assert ends[-1] == pytest.approx([each.over_users.low, each.over_users.high])
        reach = 1.96 * each.errors[0.9]
        assert ends[1] == pytest.approx([each.by_window[0.9] - reach, each.by_window[0.9] + reach])
    assert FIGURES["windows"](with_groups((), results.load)) is None


def test_btsr_is_compared_with_its_objective_alone_and_with_the_best_baseline(results: Results) -> None:
    windows = windows_of(results)
    assert windows is not None
    best = max(("sasrec-bce", "sasrec-ce"), key=lambda method: windows.pooled(method, "ndcg@10"))
    pairs = [(each.method, each.rival) for each in pooled_differences(windows) if each.metric == "ndcg@10"]
    assert pairs == list(dict.fromkeys([("btsr-ce", "sasrec-ce"), ("btsr-ce", best)]))


def test_every_method_is_compared_with_itself_without_barlow_twins_or_with_its_rival(results: Results) -> None:
    names = {"btsr-ce": "btsr-gru", "sasrec-ce": "gru4rec-ce", "sasrec-bce": "mf", "markov": "mf-bt"}
    renamed = [replace(group, method=names[group.method]) for group in results.groups]
    windows = windows_of(with_groups(renamed, results.load))
    assert windows is not None
    pairs = {(each.method, each.rival) for each in pooled_differences(windows, ["ndcg@10"])}
    assert pairs == {("btsr-gru", "gru4rec-ce"), ("mf-bt", "mf")}


def test_a_window_that_lacks_a_method_is_left_out_and_named(results: Results) -> None:
    groups = [
        replace(group, records=(), missing=(0,)) if group.label == "0.85 markov" else group for group in results.groups
    ]
    made = window_tables(with_groups(groups, results.load))
    assert made is not None
    tables, rows = made
    assert [table.name for table in tables] == [
        *(f"ml-1m-windows-{metric}" for metric in ("ndcg-10", "hr-10", "cov-10")),
        "ml-1m-windows-differences",
    ]
    assert [head.first for head in tables[0].heads[1:]] == ["0.95", "0.9", "pooled"]
    assert tables[0].heads[-1].second == "100 users"
    assert any("windows 0.85, which are left out" in note for note in tables[0].notes)
    assert {row.get("window") for row in rows} == {0.95, 0.9, None}


def test_without_the_users_numbers_nothing_is_pooled_over_them(results: Results) -> None:
    made = window_tables(with_groups(results.groups, results.load, {0.95: NUMBERS[0.95]}))
    assert made is not None
    assert [table.name for table in made[0]] == [f"ml-1m-windows-{metric}" for metric in ("ndcg-10", "hr-10", "cov-10")]


def test_without_a_run_there_is_no_table(results: Results) -> None:
    assert window_tables(with_groups((), results.load)) is None
