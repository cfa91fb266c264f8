"""From the store to tables and figures: nothing here trains, reads raw data or needs the machine that ran the runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmark.paper.claim import Claim
from benchmark.plan.config import RunSetting
from benchmark.report.claims.judged_claims import JudgedClaim, judge_claims
from benchmark.report.claims.tables import claims_tables
from benchmark.report.comparison import LoadArrays, MainComparison, main_comparison
from benchmark.report.figures.all_figures import FIGURES
from benchmark.report.figures.style import save, style
from benchmark.report.material import Material, experiment_runs
from benchmark.report.page.page import Shown, write_page
from benchmark.report.rows import RunSet, planned_runs, stored_runs
from benchmark.report.shown_runs import planned_results, stored_results
from benchmark.report.tables.all_tables import TABLES
from benchmark.report.tables.latex import to_latex
from benchmark.report.tables.layout import Table
from benchmark.report.tables.markdown import to_markdown
from benchmark.report.tables.plain import to_plain
from benchmark.report.tables.table1 import table1
from benchmark.report.tables.table2 import table2, table2_frame
from benchmark.store.atomic_files import StoreError, write_file
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord

if TYPE_CHECKING:
    from benchmark.plan.planner import PlannedRun
    from benchmark.store.store import Store

__all__ = ["Rendered", "RunSetting", "claim_findings", "report"]

Notify = Callable[[str], None]

TOGETHER: dict[str, Callable[[Sequence[JudgedClaim]], tuple[Sequence[Table], Sequence[Table], pd.DataFrame]]] = {
    "claims": claims_tables
}
"""What is about all datasets of a setting: tables, further ones with too much text for LaTeX, the same for machines."""


@dataclass
class Rendered:
    """What a report wrote, and what it could not show because nothing was run for it.

    `plain`: each dataset's Table 2 as text for a terminal.
    """

    plain: list[str] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    figures: list[Path] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    page: Path | None = None


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
    by_setting: dict[RunSetting, list[MainComparison]] = {}
    of_setting: dict[RunSetting, list[Material]] = {}
    shown: list[Shown] = []
    findings: list[JudgedClaim] = []
    for dataset in datasets:
        materials = _materials(store, dataset, planned, notify)
        if not any(material.comparison for material in materials):
            _note(rendered, f"{dataset}: nothing of Table 2 has been run", notify)
        for material in materials:
            shown.append(_render(material, store, out_dir, rendered, notify))
            of_setting.setdefault(material.runs.setting, []).append(material)
            if material.comparison:
                by_setting.setdefault(material.runs.setting, []).append(material.comparison)
    for comparisons in by_setting.values():
        if len(comparisons) > 1:
            folder = _shared_folder(out_dir / "tables", [comparison.runs for comparison in comparisons])
            tables = [table2(comparison, comparisons) for comparison in comparisons]
            _write_tables("table2", tables, table2_frame(comparisons), folder, rendered)
    for together in of_setting.values():
        folder = _shared_folder(out_dir / "tables", [material.runs for material in together])
        if len(together) > 1 and (printed := table1(together)):
            _write_tables("table1", *printed, folder, rendered)
        found = judge_claims([material.results for material in together])
        for name, tabulate in TOGETHER.items():
            overview, details, frame = tabulate(found)
            _write_tables(name, overview, frame, folder, rendered, details)
        findings += found
    rendered.page = write_page(store.root, shown, findings)
    return rendered


def claim_findings(
    store: Store, datasets: Sequence[str], planned: Mapping[str, Sequence[PlannedRun]], claim: Claim, notify: Notify
) -> list[JudgedClaim]:
    """What the planned runs of these datasets say on one claim; nothing is written."""
    materials = [material for dataset in datasets for material in _materials(store, dataset, planned, notify)]
    found = judge_claims([material.results for material in materials], [claim])
    return [finding for finding in found if finding.reported]


def _materials(
    store: Store, dataset: str, planned: Mapping[str, Sequence[PlannedRun]] | None, notify: Notify
) -> list[Material]:
    records, data, load = store.records(dataset), store.data(dataset), _cached(store.arrays)
    if planned is None:
        run_sets = stored_runs(records, data, notify)
        stored = stored_results(records, data, load, lambda _: None)
        return [
            Material(runs, main_comparison(runs, load), {}, load, results)
            for runs, results in zip(run_sets, stored, strict=True)
        ]
    mine = planned.get(dataset, ())
    if not mine:
        return []
    runs = planned_runs(mine, records, data)
    results = planned_results(mine, records, data, load)
    comparison = main_comparison(runs, load) if runs.records else None
    return [Material(runs, comparison, experiment_runs(dataset, mine, records), load, results)]


def _render(material: Material, store: Store, out_dir: Path, rendered: Rendered, notify: Notify) -> Shown:
    runs, comparison = material.runs, material.comparison
    tables, figures = _folder(out_dir / "tables", runs), _folder(out_dir / "figures", runs)
    printed, drawn = dict[str, Sequence[Table]](), dict[str, Path]()
    missing: list[str] = []
    if comparison:
        _store_choice(store, comparison, notify)
        rendered.plain.append(to_plain(table2(comparison, [comparison])))
    for name, tabulate in TABLES.items():
        made = tabulate(material)
        if made is None:
            missing.append(name)
        else:
            printed[name] = made[0]
            _write_tables(name, *made, tables, rendered)
    for name, draw in FIGURES.items():
        with style():
            figure = draw(material)
            if figure is None:
                missing.append(name)
            else:
                rendered.figures += save(figure, figures / name)
                drawn[name] = figures / f"{name}.png"
    missing = list(dict.fromkeys(missing))  # some names are those of a table and of a figure
    if missing:
        _note(rendered, f"{runs.dataset}: no run has what these show: {', '.join(missing)}", notify)
    return Shown(material, printed, drawn, tables, missing)


def _folder(base: Path, runs: RunSet) -> Path:
    return base / runs.dataset if runs.setting == RunSetting() else base / runs.dataset / runs.setting.name


def _shared_folder(base: Path, together: Sequence[RunSet]) -> Path:
    """Where stands what is about all these datasets of one setting; what is about one alone stands with it."""
    if len(together) == 1:
        return _folder(base, together[0])
    setting = together[0].setting
    return base if setting == RunSetting() else base / setting.name


def _write_tables(
    name: str,
    tables: Sequence[Table],
    frame: pd.DataFrame,
    folder: Path,
    rendered: Rendered,
    wordy: Sequence[Table] = (),
) -> None:
    """`wordy` tables go to Markdown alone."""
    for suffix, text in {
        "tex": to_latex(tables),
        "md": to_markdown([*tables, *wordy]),
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
