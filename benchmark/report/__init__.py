"""From the store to tables and figures: nothing here trains, reads raw data or needs the machine that ran the runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.arrays import Arrays
from benchmark.atomic import StoreError, write_file
from benchmark.record import RunRecord
from benchmark.report.comparison import LoadArrays, MainComparison, main_comparison
from benchmark.report.cost import cost_tables
from benchmark.report.figures import FIGURES
from benchmark.report.latex import to_latex
from benchmark.report.layout import Table
from benchmark.report.markdown import to_markdown
from benchmark.report.material import Material, experiment_runs
from benchmark.report.plain import to_plain
from benchmark.report.rows import RunSet, Setting, planned_runs, stored_runs
from benchmark.report.style import save, style
from benchmark.report.tables import table2, table2_frame

if TYPE_CHECKING:
    from benchmark.plan import PlannedRun
    from benchmark.store import Store

__all__ = ["Rendered", "Setting", "report"]

Notify = Callable[[str], None]

Tabulate = Callable[[Material], tuple[Sequence[Table], pd.DataFrame] | None]
"""The printed tables and the same for machines; None where no run has what they show."""


def _table2(material: Material) -> tuple[Sequence[Table], pd.DataFrame] | None:
    comparison = material.comparison
    return ([table2(comparison, [comparison])], table2_frame([comparison])) if comparison else None


TABLES: dict[str, Tabulate] = {"table2": _table2, "cost": cost_tables}


@dataclass
class Rendered:
    """What a report wrote, and what it could not show because nothing was run for it.

    `plain`: each dataset's Table 2 as text for a terminal.
    """

    plain: list[str] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    figures: list[Path] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)


def report(
    store: Store,
    out_dir: Path,
    datasets: Sequence[str],
    planned: Mapping[str, Sequence[PlannedRun]] | None,
    notify: Notify,
) -> Rendered:
    """Write tables/ and figures/ below `out_dir` for these datasets.

    `planned` names for each dataset the runs to show, so that missing ones can be told; without it (None) everything in
    the store is shown, one folder per setting. Several datasets also get a table together. What has no runs is named
    through `notify`. Raises StoreError if `out_dir` cannot be written.
    """
    rendered = Rendered()
    by_setting: dict[Setting, list[MainComparison]] = {}
    for dataset in datasets:
        materials = _materials(store, dataset, planned, notify)
        if not any(material.comparison for material in materials):
            _note(rendered, f"{dataset}: nothing of Table 2 has been run", notify)
        for material in materials:
            _render(material, store, out_dir, rendered, notify)
            if material.comparison:
                by_setting.setdefault(material.runs.setting, []).append(material.comparison)
    for setting, comparisons in by_setting.items():
        if len(comparisons) > 1:
            folder = out_dir / "tables" if setting == Setting() else out_dir / "tables" / setting.name
            tables = [table2(comparison, comparisons) for comparison in comparisons]
            _write_tables("table2", tables, table2_frame(comparisons), folder, rendered)
    return rendered


def _materials(
    store: Store, dataset: str, planned: Mapping[str, Sequence[PlannedRun]] | None, notify: Notify
) -> list[Material]:
    records, data, load = store.records(dataset), store.data(dataset), _cached(store.arrays)
    if planned is None:
        run_sets = stored_runs(records, data, notify)
        return [Material(runs, main_comparison(runs, load), {}, load) for runs in run_sets]
    mine = planned.get(dataset, ())
    if not mine:
        return []
    runs = planned_runs(mine, records, data)
    comparison = main_comparison(runs, load) if runs.records else None
    return [Material(runs, comparison, experiment_runs(dataset, mine, records), load)]


def _render(material: Material, store: Store, out_dir: Path, rendered: Rendered, notify: Notify) -> None:
    runs, comparison = material.runs, material.comparison
    tables, figures = _folder(out_dir / "tables", runs), _folder(out_dir / "figures", runs)
    if comparison:
        _store_choice(store, comparison, notify)
        rendered.plain.append(to_plain(table2(comparison, [comparison])))
    for name, tabulate in TABLES.items():
        made = tabulate(material)
        if made is None:
            _note(rendered, f"{runs.dataset}: {name}: no run has what it shows", notify)
        else:
            _write_tables(name, *made, tables, rendered)
    for name, draw in FIGURES.items():
        with style():
            figure = draw(comparison, material.load) if comparison else None
            if figure is None:
                _note(rendered, f"{runs.dataset}: {name}: no run has what it shows", notify)
            else:
                rendered.figures += save(figure, figures / name)


def _folder(base: Path, runs: RunSet) -> Path:
    return base / runs.dataset if runs.setting == Setting() else base / runs.dataset / runs.setting.name


def _write_tables(name: str, tables: Sequence[Table], frame: pd.DataFrame, folder: Path, rendered: Rendered) -> None:
    for suffix, text in {
        "tex": to_latex(tables),
        "md": to_markdown(tables),
        "csv": frame.to_csv(index=False, lineterminator="\n", float_format="%.6f"),
    }.items():
        path = folder / f"{name}.{suffix}"
        write_file(path, text.encode())
        rendered.tables.append(path)


def _store_choice(store: Store, comparison: MainComparison, notify: Notify) -> None:
    """Keep which objective represents BT-SR; a store that cannot be written does not stop a report."""
    if comparison.choice is None:
        return
    runs = comparison.runs
    try:
        store.write_selection(runs.dataset, runs.setting.name, "btsr", comparison.choice.to_json())
    except StoreError as error:
        notify(str(error))


def _cached(load: LoadArrays) -> LoadArrays:
    kept: dict[tuple[str, int], Arrays | None] = {}

    def cached(record: RunRecord) -> Arrays | None:
        identity = (record.key, record.seed)
        if identity not in kept:
            kept[identity] = load(record)
        return kept[identity]

    return cached


def _note(rendered: Rendered, line: str, notify: Notify) -> None:
    rendered.not_run.append(line)
    notify(line)
