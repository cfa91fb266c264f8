"""Results in windows of time, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from benchmark.paper.printed import BTSR
from benchmark.plan.run_spec import RunSetting
from benchmark.report.query import Results, RunGroup

USERS = 40
"""Test users per window. Each window shares 30 of them with the one before."""
WINDOWS = (0.95, 0.9, 0.85, 0.8)
NUMBERS = {window: np.arange(USERS) + 10 * place for place, window in enumerate(WINDOWS)}


@pytest.fixture
def in_time(handmade: Callable[..., Any]) -> Callable[..., Results]:
    """Makes Results of four windows. `hits`: the share of users that a method hits in the first window; BT-SR hits one
    more user in each further window. `groups`: groups of other experiments.
    """
    maker = handmade(users=USERS)

    def make(
        hits: Mapping[str, float],
        groups: Sequence[RunGroup] = (),
        windows: Sequence[float] = WINDOWS,
        numbers: Mapping[float, np.ndarray] = NUMBERS,
    ) -> Results:
        arrays, in_windows = dict[str, Any](), []
        rng = np.random.default_rng(0)
        for place, window in enumerate(windows):
            for method, share in hits.items():
                served = round(share * USERS) + (place if method in BTSR else 0)
                ranks = np.where(rng.permutation(USERS) < served, 1, 100)
                test = dict.fromkeys(("ndcg@10", "hr@10"), float((ranks == 1).mean()))
                record = maker.record(method, 0, test=test, validation=test, protocol={"quantile": window})
                arrays[record.key] = maker.arrays(tuple(ranks))
                in_windows.append(RunGroup("windows", f"{window:g} {method}", method, window, (record,)))
        everything = (*groups, *in_windows)
        load = lambda record: arrays.get(record.key)  # noqa: E731
        return Results("ml-1m", "ML-1M", False, RunSetting(), everything, load, user_numbers=numbers)

    return make
