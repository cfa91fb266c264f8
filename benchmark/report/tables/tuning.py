"""What tuning tried, what it chose, what that was worth, and on which values several datasets agree."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from baselines.registry import METHODS
from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import UNKNOWN
from benchmark.plan.selection import METRIC
from benchmark.plan.tuning import trial_value
from benchmark.report.methods import in_order, title_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import improvement
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import (
    Cell,
    Head,
    Made,
    Row,
    Stack,
    Table,
    for_machines,
    label_of,
    table_of,
    warning,
)
from benchmark.report.tables.notes import closing_notes, notes
from benchmark.report.tables.numbers import DASH, number, percent, signed
from benchmark.store.record import RunRecord

Values = Mapping[str, float]
"""What a trial sets of the settings that its method searches."""


@dataclass(frozen=True)
class MethodTuning:
    """The trials of one method on one dataset; `published`: its usual values of what is searched."""

    method: str
    groups: tuple[RunGroup, ...]
    published: Values

    @cached_property
    def trials(self) -> list[tuple[Values, RunRecord]]:
        """Those that are done, in the order in which they were tried."""
        done = [record for runs in self.groups for record in runs.done]
        return [(_searched(self.method, record.spec, self.published), record) for record in done]

    @property
    def best(self) -> tuple[Values, RunRecord] | None:
        """What was chosen, the first of equals; None while a trial is outstanding."""
        is_complete = len(self.trials) == len(self.groups)
        return max(self.trials, key=lambda trial: trial_value(trial[1])) if is_complete else None

    @property
    def as_published(self) -> float:
        """The value of the trial with the usual settings, NaN if there is none."""
        return next((trial_value(record) for values, record in self.trials if values == self.published), math.nan)

    @property
    def extended(self) -> int:
        return len(self.groups) - math.prod(map(len, METHODS[self.method].searched.values()))

    @property
    def hours(self) -> float:
        """Of one CPU core."""
        return sum(record.timings.get("fit_seconds") or 0.0 for _, record in self.trials) / 3600


def tunings(results: Results) -> list[MethodTuning]:
    """Of every method with a finished trial, in the order of presentation."""
    groups: dict[str, list[RunGroup]] = {}
    for runs in results.experiment("tune"):
        groups.setdefault(runs.method, []).append(runs)
    found = [MethodTuning(method, tuple(groups[method]), _usual(results, method)) for method in in_order(groups)]
    return [tuning for tuning in found if tuning.trials]


def tuning_tables(shown: Sequence[Results]) -> Made | None:
    """Per dataset the choices, every trial, and what tuning was worth; then where all of them agree. None without any
    finished trial.
    """
    found = {results: tunings(results) for results in shown}
    tables = [
        table
        for results, methods in found.items()
        if methods
        for table in (_choices(results, methods), _worth(results, methods), _trials(results, methods))
        if table
    ]
    if len([methods for methods in found.values() if methods]) > 1:
        tables.append(_agreement(found))
    records = [
        row for results, methods in found.items() for each in methods for row in for_machines(results, _records(each))
    ]
    return (tables, records) if tables else None


def in_words(values: Values) -> str:
    """`dropout 0.5, learning rate 0.001`."""
    return ", ".join(f"{_name(key)} {value:g}" for key, value in values.items())


def _name(key: str) -> str:
    word = key.rpartition(".")[2]
    return "lambda" if word == "lambd" else word.replace("_", " ")


def _searched(method: str, spec: Mapping[str, Any], otherwise: Values) -> Values:
    """What a record's spec has of the settings that its method searches, `otherwise` where it has no such number."""
    tables = {**spec, "settings": spec["method"]["settings"]}
    found: dict[str, Any] = {}
    for key in METHODS[method].searched:
        value: Any = tables
        for name in key.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        found[key] = value if isinstance(value, int | float) else otherwise.get(key, math.nan)
    return found


def _usual(results: Results, method: str) -> Values:
    spec = Configuration(results.dataset, "equal", "paper").spec(UNKNOWN, method, 0)
    return _searched(method, spec.to_json(), {})


# --- the tables -----------------------------------------------------------------------------------------------------


def _choices(results: Results, methods: Sequence[MethodTuning]) -> Table:
    def line(tuning: MethodTuning) -> Stack:
        best = tuning.best
        gain = signed(trial_value(best[1]) - tuning.as_published) if best else DASH
        texts = [
            f"{len(tuning.trials)}/{len(tuning.groups)}",
            in_words(best[0]) if best else DASH,
            number(trial_value(best[1])) if best else DASH,
            number(tuning.as_published),
            gain,
            f"{tuning.hours:.1f}",
        ]
        return (row_of(title_of(tuning.method), texts),)

    return table_of(
        results,
        "tuning",
        f"What tuning chose on {results.heading}, on validation.",
        [
            *(Head("trials"), Head("chosen"), Head("validation", METRIC), Head("at published", "values")),
            *(Head("gain"), Head("CPU", "hours")),
        ],
        [[line(tuning) for tuning in methods]],
        [
            *notes("tuning", tunings=methods, total=sum(tuning.hours for tuning in methods)),
            *closing_notes(results, [runs for tuning in methods for runs in tuning.groups]),
        ],
    )


def _trials(results: Results, methods: Sequence[MethodTuning]) -> Table:
    """The grids with their values, the best of each in bold."""

    def line(tuning: MethodTuning, values: Values, record: RunRecord) -> Stack:
        is_best = tuning.best is not None and record is tuning.best[1]
        cells = [Cell(number(trial_value(record)), place="best" if is_best else "")]
        cells += [Cell(str(record.selected_epoch)), Cell(str(len(record.epochs)))]
        return (Row(f"{title_of(tuning.method)}, {in_words(values)}", tuple(cells)),)

    return table_of(
        results,
        "tuning-trials",
        f"Every trial of tuning on {results.heading}, the best of each method in bold.",
        [Head("validation", METRIC), Head("best", "epoch"), Head("epochs")],
        [[line(tuning, values, record) for values, record in tuning.trials] for tuning in methods],
        [],
    )


def _worth(results: Results, methods: Sequence[MethodTuning]) -> Table | None:
    """Whole runs with what was chosen beside those with published values, over the seeds that both have."""
    lines = []
    for tuning in methods:
        usual, tuned = results.method(tuning.method), results.group("tuned", tuning.method)
        if tuned is None or not results.paired(tuned, usual, METRIC)[0]:
            continue
        texts = list[str]()
        for stage in ("validation", "test"):
            seeds, ours, theirs = results.paired(tuned, usual, METRIC, stage)
            change = improvement(float(ours.mean()), float(theirs.mean()))
            texts += [number(theirs.mean()), number(ours.mean()), percent(change)]
        lines.append((row_of(title_of(tuning.method), [*texts, str(len(seeds))]),))
    if not lines:
        return None
    heads = [Head("published"), Head("tuned"), Head("change")]
    return table_of(
        results,
        "tuning-worth",
        f"What tuning was worth on {results.heading}: {METRIC} of whole runs with published and with chosen values.",
        [*heads, *heads, Head("seeds")],
        [lines],
        ["Means over the seeds that both have. The choice was made on validation alone, by other runs."],
        [("", 1), ("validation", 3), ("test", 3), ("", 1)],
    )


def _agreement(found: Mapping[Results, Sequence[MethodTuning]]) -> Table:
    """Values chosen on every dataset and how many steps of the grid they lie apart; what belongs into shared.toml."""
    by_method: dict[str, list[MethodTuning]] = {}
    for methods in found.values():
        for tuning in methods:
            by_method.setdefault(tuning.method, []).append(tuning)
    datasets = [results for results, methods in found.items() if methods]
    lines: list[Stack] = []
    for method, each in by_method.items():
        for key in METHODS[method].searched:
            best = [tuning.best for tuning in each]
            if len(each) < len(datasets) or None in best:
                texts = [*(f"{b[0][key]:g}" if b else DASH for b in best), DASH, DASH]
                texts = [DASH] * (len(datasets) + 2 - len(texts)) + texts
            else:
                values = [b[0][key] for b in best if b]
                apart = steps_apart(each, key, values)
                default = f"{_where(method, key)} = {agreed_value(each, key, values):g}" if apart <= 1 else DASH
                texts = [*(f"{value:g}" for value in values), str(apart), default]
            lines.append((row_of(f"{title_of(method)}, {_name(key)}", texts),))
    titles = " and ".join(results.title for results in datasets)
    return Table(
        label_of("tuning-agreement"),
        warning(any(results.synthetic for results in datasets)) + f"Values that were chosen on {titles}.",
        (Head(""), *(Head(results.title) for results in datasets), Head("steps", "apart"), Head("for", "shared.toml")),
        (tuple(lines),),
        tuple(notes("tuning-agreement", titles=titles)),
    )


def steps_apart(each: Sequence[MethodTuning], key: str, values: Sequence[float]) -> int:
    """How many steps lie between the lowest and the highest of the chosen values, among all values that were tried."""
    tried = sorted({trial[key] for tuning in each for trial, _ in tuning.trials})
    return tried.index(max(values)) - tried.index(min(values))


def agreed_value(each: Sequence[MethodTuning], key: str, values: Sequence[float]) -> float:
    """Of the chosen values the one whose best trials, as shares of the best of all, are highest on average."""

    def share(tuning: MethodTuning, value: float) -> float:
        mine = [trial_value(record) for trial, record in tuning.trials if trial[key] == value]
        return max(mine, default=0.0) / max(trial_value(record) for _, record in tuning.trials)

    return max(dict.fromkeys(values), key=lambda value: sum(share(tuning, value) for tuning in each))


def _where(method: str, key: str) -> str:
    """The key of a setting in shared.toml; what SASRec (CE) found is everybody's."""
    return f"equal.{key}" if method == "sasrec-ce" else f"equal.methods.{method}.{key}"


def _records(tuning: MethodTuning) -> Iterator[dict[str, object]]:
    for values, record in tuning.trials:
        yield {
            "method": tuning.method,
            "trial": in_words(values),
            "metric": METRIC,
            "validation": trial_value(record),
            "selected_epoch": record.selected_epoch,
            "epochs": len(record.epochs),
            "chosen": tuning.best is not None and record is tuning.best[1],
        }
