"""From the store to tables, figures and the page. Nothing here trains, reads raw data or needs the training machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from benchmark.paper.claim import Claim
from benchmark.plan.experiments import NAMES, SWEEPS
from benchmark.plan.planner import PlannedRun
from benchmark.plan.run_spec import RunSetting
from benchmark.report.claims.judged_claims import CommandOptions, JudgedClaim, claims_tables, judge_claims
from benchmark.report.figures import accuracy, curves, popularity, scores, sweeps
from benchmark.report.figures.canvas import appearance, save
from benchmark.report.page.page import DatasetReport, write_page
from benchmark.report.query import Results
from benchmark.report.shown_runs import planned_results
from benchmark.report.tables.alpha_guide import alpha_guide
from benchmark.report.tables.buckets import bucket_tables, diversity_table
from benchmark.report.tables.cost import cost_table
from benchmark.report.tables.data import data_table
from benchmark.report.tables.downstream import downstream_tables
from benchmark.report.tables.formats import to_latex, to_markdown, to_plain
from benchmark.report.tables.home import home_table
from benchmark.report.tables.layout import Table, TablesAndRows, latex_label
from benchmark.report.tables.sets import sets_table
from benchmark.report.tables.side_by_side import side_by_side_tables
from benchmark.report.tables.sweeps import sweep_table
from benchmark.report.tables.table1 import table_1
from benchmark.report.tables.table2 import table_2
from benchmark.report.tables.table3 import table_3
from benchmark.report.tables.ties import tie_tables
from benchmark.report.tables.tuning import tuning_tables
from benchmark.report.tables.windows import window_tables
from benchmark.store.atomic_files import StoreError, write_file
from benchmark.store.record import RunRecord
from benchmark.store.store import Store

Notify = Callable[[str], None]
Plans = Mapping[str, Sequence[PlannedRun]]
Records = Mapping[str, Sequence[RunRecord]]

TABLES: dict[str, Callable[[Results], TablesAndRows | None]] = {
    "table1": lambda results: table_1([results]),
    "table2": lambda results: table_2([results]),
    "table3": table_3,
    "data": data_table,
    "side-by-side": side_by_side_tables,
    "buckets": bucket_tables,
    "diversity": diversity_table,
    **{name: partial(sweep_table, name) for name in SWEEPS},
    "alpha-guide": alpha_guide,
    "ties": tie_tables,
    "windows": window_tables,
    "home": home_table,
    "tuning": lambda results: tuning_tables([results]),
    "downstream": downstream_tables,
    "sets": sets_table,
    "cost": cost_table,
}
"""The tables of one dataset, keyed by file name. A function returns None if no run has what its table shows."""

FIGURES: dict[str, Callable[[Results], Figure | None]] = {
    "figure1-buckets": popularity.bucket_accuracy,
    "figure2-scores": scores.score_densities,
    "figure2-spectrum": curves.singular_values,
    "learning-curves": curves.learning_curves,
    "accuracy-coverage": accuracy.accuracy_and_coverage,
    "sensitivity-alpha": partial(sweeps.sensitivity, "alpha"),
    "sensitivity-lambda": partial(sweeps.sensitivity, "lambda"),
    "figure5-regimes": popularity.regimes,
    "views": accuracy.views,
    "noise": sweeps.noise,
    "ties": accuracy.ties,
    "windows": accuracy.windows,
    "tuning": sweeps.tuning,
    "reliability": scores.reliability,
    "popularity-calibration": popularity.popularity_calibration,
}
"""The figures of one dataset, likewise. They are drawn and saved within `canvas.appearance()`."""

TABLES_TOGETHER: dict[str, Callable[[Sequence[Results]], TablesAndRows | None]] = {
    "table1": table_1,
    "tuning": tuning_tables,
    "table2": lambda shown: table_2(shown) if sum(bool(results.ran) for results in shown) > 1 else None,
}
FIGURES_TOGETHER: dict[str, Callable[[Sequence[Results]], Figure | None]] = {
    "gains": accuracy.gains,
}
"""Tables and figures of all datasets that a report shows in one setting, if there are several."""


@dataclass
class Rendered:
    """What a report wrote. `plain`: Table 2 of each dataset as text for a terminal."""

    plain: list[str] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    figures: list[Path] = field(default_factory=list)
    page: Path | None = None


def report(
    store: Store,
    out_dir: Path,
    planned: Plans,
    stored: Records,
    notify: Notify,
    options: CommandOptions = "--dataset {}".format,
    is_whole: bool = True,
) -> Rendered:
    """Write tables/ and figures/ below `out_dir` about the planned runs of these datasets, and the page.

    `stored`: the store's records of each dataset. `options`: the options that a command about a dataset needs. A report
    that `is_whole` belongs to the store, which then keeps its page and the choice of BT-SR's objective; any other one
    puts its page into `out_dir` and leaves the store alone. `notify` receives what could not be shown for lack of runs.
    Raises StoreError if a directory cannot be written.
    """
    rendered, findings = Rendered(), list[JudgedClaim]()
    found = _results(store, planned, stored)
    for dataset in planned:
        if dataset not in found or (found[dataset].experiment("main") and not found[dataset].ran):
            notify(f"{dataset}: nothing of Table 2 has been run")
    reports = [_render(results, out_dir, rendered, notify) for results in found.values()]
    for results in found.values() if is_whole else ():
        _store_choice(store, results, notify)
    for setting in dict.fromkeys(results.setting for results in found.values()):
        together = [results for results in found.values() if results.setting == setting]
        subfolder = _subfolder(setting)
        if len(together) > 1:
            folder, labels = out_dir.joinpath("tables", *subfolder), subfolder
            for name, tabulate in TABLES_TOGETHER.items():
                if made := tabulate(together):
                    rendered.tables += _write_tables(name, *made, folder, labels)
            for name, draw in FIGURES_TOGETHER.items():
                rendered.figures += _draw(draw, together, out_dir.joinpath("figures", *subfolder, name))
        else:  # claims about a single dataset go into its own folder
            folder = out_dir.joinpath("tables", together[0].dataset, *subfolder)
            labels = [*subfolder, together[0].dataset]
        judged = judge_claims(together, options=options)
        if any(each.reported and each.verdict != "not run" for each in judged):
            overview, details, rows = claims_tables(judged)
            rendered.tables += _write_tables("claims", overview, rows, folder, labels, details)
            findings += judged
    rendered.page = write_page(store.root, reports, findings, None if is_whole else out_dir)
    return rendered


def claim_findings(
    store: Store, planned: Plans, stored: Records, claim: Claim, options: CommandOptions = "--dataset {}".format
) -> list[JudgedClaim]:
    """Judge one claim by the planned runs of these datasets, without writing anything."""
    found = list(_results(store, planned, stored).values())
    return [judged for judged in judge_claims(found, [claim], options) if judged.reported]


def _results(store: Store, planned: Plans, stored: Records) -> dict[str, Results]:
    return {
        dataset: planned_results(runs, stored[dataset], store.data(dataset), store.arrays)
        for dataset, runs in planned.items()
        if runs
    }


def _render(results: Results, out_dir: Path, rendered: Rendered, notify: Notify) -> DatasetReport:
    subfolder = _subfolder(results.setting)
    tables, figures = (out_dir.joinpath(kind, results.dataset, *subfolder) for kind in ("tables", "figures"))
    printed, drawn = dict[str, Sequence[Table]](), dict[str, Path]()
    for name, tabulate in TABLES.items():
        if made := tabulate(results):
            printed[name], rows = made
            rows = [results.identity | dict(row) for row in rows]
            rendered.tables += _write_tables(name, printed[name], rows, tables, subfolder)
    if "table2" in printed:
        rendered.plain.append(to_plain(printed["table2"][0]))
    for name, draw in FIGURES.items():
        if saved := _draw(draw, results, figures / name):
            rendered.figures += saved
            drawn[name] = figures / f"{name}.png"
    gaps = [*(name for name in TABLES if name not in printed), *(name for name in FIGURES if name not in drawn)]
    shown_by = {"tuning": "tune", "alpha-guide": "alpha"}
    needed = {name: shown_by.get(name, name if name in NAMES else "main") for name in gaps}  # each name once
    gaps = [name for name, experiment in needed.items() if results.experiment(experiment)]
    if gaps:
        notify(f"{results.dataset}: no run has what these show: {', '.join(gaps)}")
    return DatasetReport(results, printed, drawn, tables, gaps)


def _subfolder(setting: RunSetting) -> list[str]:
    """The subfolder of a setting, which also begins the labels of its tables; none for the default setting."""
    return [] if setting == RunSetting() else [setting.name]


def _draw(draw: Callable[[Any], Figure | None], shown: Results | Sequence[Results], stem: Path) -> list[Path]:
    with appearance():
        figure = draw(shown)
        return save(figure, stem) if figure else []


def _write_tables(
    name: str,
    tables: Sequence[Table],
    rows: pd.DataFrame | Sequence[Mapping[str, object]],
    folder: Path,
    labels: Sequence[str],
    markdown_only: Sequence[Table] = (),
) -> list[Path]:
    """Write the tables as LaTeX, Markdown and CSV, and return the files.

    Their labels begin with `labels`, so that one LaTeX document can show several settings.
    """
    tables = [replace(table, name=latex_label(*labels, table.name)) for table in tables]
    contents = {
        folder / f"{name}.tex": to_latex(tables),
        folder / f"{name}.md": to_markdown([*tables, *markdown_only]),
        folder / f"{name}.csv": pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.6f"),
    }
    for path, text in contents.items():
        write_file(path, text.encode())
    return list(contents)


def _store_choice(store: Store, results: Results, notify: Notify) -> None:
    """Save which objective stands for BT-SR; a store that cannot be written does not stop the report."""
    if results.choice is None:
        return
    try:
        store.write_selection(results.dataset, results.setting.name, "btsr", results.choice.to_json())
    except StoreError as error:
        notify(str(error))
