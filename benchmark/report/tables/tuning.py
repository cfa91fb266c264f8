"""What tuning tried, what it chose and gained, and which values several datasets agree on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from baselines.registry import METHODS
from benchmark.plan.run_spec import SHARED, settings_to_json
from benchmark.plan.selection import METRIC
from benchmark.plan.tuning import trial_value
from benchmark.report.methods import in_order, title_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.layout import (
    Cell,
    Columns,
    Head,
    Table,
    TablesAndRows,
    latex_label,
    stack,
    synthetic_warning,
    table_of_items,
)
from benchmark.report.tables.notes import notes, setting_notes
from benchmark.report.tables.numbers import DASH, number, signed
from benchmark.store.record import RunRecord

Values = Mapping[str, float]
"""The tuned settings of a trial and their values."""


class TrialRun(NamedTuple):
    """A finished trial."""

    values: Values
    record: RunRecord

    @property
    def validation(self) -> float:
        return trial_value(self.record)


@dataclass(frozen=True)
class MethodTuning:
    """The trials of one method on one dataset. `published`: the published values of the settings it searches."""

    method: str
    groups: tuple[RunGroup, ...]
    published: Values

    @cached_property
    def trials(self) -> list[TrialRun]:
        """The finished trials, in the order in which they were tried."""
        done = [record for runs in self.groups for record in runs.done]
        return [TrialRun(_searched(self.method, record.spec, self.published), record) for record in done]

    @cached_property
    def best(self) -> TrialRun | None:
        """The chosen trial, which is the first of equals; None while a trial is outstanding."""
        is_complete = len(self.trials) == len(self.groups)
        return max(self.trials, key=lambda trial: trial.validation) if is_complete else None

    @property
    def as_published(self) -> float:
        """The validation value of the trial with the published values; NaN if there is none."""
        return next((trial.validation for trial in self.trials if trial.values == self.published), math.nan)

    @property
    def extended(self) -> int:
        """The number of trials beyond the grid."""
        return len(self.groups) - math.prod(map(len, METHODS[self.method].tuning_grid.values()))

    @property
    def hours(self) -> float:
        """Hours of one CPU core that the trials took."""
        return sum(trial.record.timings.get("fit_seconds") or 0.0 for trial in self.trials) / 3600


def tunings(results: Results) -> list[MethodTuning]:
    """The tuning of every method with a finished trial, in display order."""
    groups: dict[str, list[RunGroup]] = {}
    for runs in results.experiment("tune"):
        groups.setdefault(runs.method, []).append(runs)
    found = [MethodTuning(method, tuple(groups[method]), _published(method)) for method in in_order(groups)]
    return [tuning for tuning in found if tuning.trials]


def tuning_tables(shown: Sequence[Results]) -> TablesAndRows | None:
    """Tabulate the choices and all trials by dataset, then where all agree; None without any trial."""
    found = {results: methods for results in shown if (methods := tunings(results))}
    tables, rows = list[Table](), list[Mapping[str, object]]()
    for results, methods in found.items():
        tables += [_choices(results, methods), _trials(results, methods)]
        rows += [results.identity | row for tuning in methods for row in _rows(tuning)]
    tables += [_agreement(found)] if len(found) > 1 else []
    return (tables, rows) if tables else None


def values_text(values: Values) -> str:
    """`dropout 0.5, learning rate 0.001`."""
    return ", ".join(f"{setting_name(key)} {value:g}" for key, value in values.items())


def setting_name(key: str) -> str:
    """`learning rate` for training.learning_rate."""
    word = key.rpartition(".")[2]
    return "lambda" if word == "lambd" else word.replace("_", " ")


def _published(method: str) -> Values:
    """The defaults of the settings that a method searches, most of which are published values.

    They come from the settings classes, because shared.toml may have the values that tuning agreed on.
    """
    shared = {name: settings_to_json(settings) for name, settings in SHARED.items()}
    return _searched(method, {**shared, "method": {"settings": settings_to_json(METHODS[method].settings)}}, {})


def _searched(method: str, spec: Mapping[str, Any], default: Values) -> Values:
    """The values in a record's spec of the settings that its method searches; `default` where it holds no number."""
    tables = {**spec, "settings": spec["method"]["settings"]}
    found: dict[str, Any] = {}
    for key in METHODS[method].tuning_grid:
        value: Any = tables
        for name in key.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        found[key] = value if isinstance(value, int | float) else default.get(key, math.nan)
    return found


# --- the tables -----------------------------------------------------------------------------------------------------

CHOICES: Columns[MethodTuning] = (
    (Head("trials"), lambda tuning: f"{len(tuning.trials)}/{len(tuning.groups)}"),
    (Head("chosen"), lambda tuning: values_text(tuning.best.values) if tuning.best else DASH),
    (Head("validation", METRIC), lambda tuning: number(tuning.best.validation) if tuning.best else DASH),
    (Head("at published", "values"), lambda tuning: number(tuning.as_published)),
    (Head("gain"), lambda tuning: signed(tuning.best.validation - tuning.as_published) if tuning.best else DASH),
    (Head("CPU", "hours"), lambda tuning: f"{tuning.hours:.1f}"),
)


def _choices(results: Results, methods: Sequence[MethodTuning]) -> Table:
    found = notes("tuning", tunings=methods, total=sum(tuning.hours for tuning in methods))
    found += setting_notes(results, [runs for tuning in methods for runs in tuning.groups])
    lines = [[(title_of(tuning.method), tuning, None) for tuning in methods]]
    caption = f"What tuning chose on {results.heading}, on validation."
    return table_of_items(results, "tuning", caption, CHOICES, lines, found)


def _trials(results: Results, methods: Sequence[MethodTuning]) -> Table:
    """Every trial with its values; the best of each method is bold."""
    best = [tuning.best for tuning in methods]
    columns: Columns[TrialRun] = (
        (
            Head("validation", METRIC),
            lambda trial: Cell(number(trial.validation), place="best" if trial in best else ""),
        ),
        (Head("best", "epoch"), lambda trial: str(trial.record.selected_epoch)),
        (Head("epochs"), lambda trial: str(len(trial.record.epochs))),
    )
    lines = [
        [(f"{title_of(tuning.method)}, {values_text(trial.values)}", trial, None) for trial in tuning.trials]
        for tuning in methods
    ]
    caption = f"Every trial of tuning on {results.heading}, the best of each method in bold."
    return table_of_items(results, "tuning-trials", caption, columns, lines, [])


def _agreement(found: Mapping[Results, Sequence[MethodTuning]]) -> Table:
    """The chosen values by dataset, how many steps of the grid they are apart, and the line for shared.toml."""
    lines = []
    for method in dict.fromkeys(tuning.method for methods in found.values() for tuning in methods):
        prefix = "equal" if method == "sasrec-ce" else f"equal.methods.{method}"  # all methods start from SASRec (CE)'s
        mine = [[tuning for tuning in methods if tuning.method == method] for methods in found.values()]
        each = [tuning for tunings in mine for tuning in tunings]
        for key in METHODS[method].tuning_grid:
            chosen = [tunings[0].best.values[key] if tunings and tunings[0].best else math.nan for tunings in mine]
            apart = default = DASH
            if not any(map(math.isnan, chosen)):
                steps = _steps_apart(each, key, chosen)
                apart = str(steps)
                default = f"{prefix}.{key} = {_agreed_value(each, key, chosen):g}" if steps <= 1 else DASH
            texts = [DASH if math.isnan(value) else f"{value:g}" for value in chosen]
            lines.append(stack(f"{title_of(method)}, {setting_name(key)}", [*texts, apart, default]))
    titles = " and ".join(results.title for results in found)
    return Table(
        latex_label("tuning-agreement"),
        synthetic_warning(any(results.synthetic for results in found)) + f"Values that were chosen on {titles}.",
        (Head(""), *(Head(results.title) for results in found), Head("steps", "apart"), Head("for", "shared.toml")),
        (tuple(lines),),
        tuple(notes("tuning-agreement", titles=titles)),
    )


def _steps_apart(each: Sequence[MethodTuning], key: str, values: Sequence[float]) -> int:
    """The number of steps from the lowest to the highest chosen value, among all values tried on any dataset."""
    tried = sorted({trial.values[key] for tuning in each for trial in tuning.trials})
    return tried.index(max(values)) - tried.index(min(values))


def _agreed_value(each: Sequence[MethodTuning], key: str, values: Sequence[float]) -> float:
    """The chosen value that loses least on average: its best trial as a share of the best of all, over datasets."""

    def share(tuning: MethodTuning, value: float) -> float:
        mine = [trial.validation for trial in tuning.trials if trial.values[key] == value]
        return max(mine, default=0.0) / max(trial.validation for trial in tuning.trials)

    return max(dict.fromkeys(values), key=lambda value: sum(share(tuning, value) for tuning in each))


def _rows(tuning: MethodTuning) -> Iterator[dict[str, object]]:
    for trial in tuning.trials:
        yield {
            "method": tuning.method,
            "trial": values_text(trial.values),
            "metric": METRIC,
            "validation": trial.validation,
            "selected_epoch": trial.record.selected_epoch,
            "epochs": len(trial.record.epochs),
            "chosen": trial is tuning.best,
        }
