"""From the store to tables and figures: nothing here trains, reads raw data or needs the machine that ran the runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from benchmark.paper.claim import Claim
from benchmark.plan.planner import PlannedRun
from benchmark.plan.run_spec import RunSetting
from benchmark.report.claims.judged_claims import JudgedClaim, judge_claims
from benchmark.report.claims.tables import claims_tables
from benchmark.report.figures.all_figures import FIGURES
from benchmark.report.figures.canvas import appearance, save
from benchmark.report.page.page import DatasetReport, write_page
from benchmark.report.query import Results
from benchmark.report.shown_runs import planned_results
from benchmark.report.tables.all_tables import TABLES
from benchmark.report.tables.latex import to_latex
from benchmark.report.tables.layout import Table, label_of
from benchmark.report.tables.markdown import to_markdown
from benchmark.report.tables.plain import to_plain
from benchmark.report.tables.table1 import table1_together
from benchmark.report.tables.table2 import table2_together
from benchmark.store.atomic_files import StoreError, write_file
from benchmark.store.record import RunRecord
from benchmark.store.store import Store

__all__ = ["Rendered", "RunSetting", "claim_findings", "report"]

Notify = Callable[[str], None]
Plans = Mapping[str, Sequence[PlannedRun]]
Records = Mapping[str, Sequence[RunRecord]]


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


def report(store: Store, out_dir: Path, planned: Plans, stored: Records, notify: Notify) -> Rendered:
    """Write tables/ and figures/ below `out_dir` for these datasets, of each the runs that were planned.

    `stored`: the records that the store has of each dataset. Several datasets also get a table together. What has no
    runs is named through `notify`. Raises StoreError if `out_dir` cannot be written.
    """
    rendered = Rendered()
    by_setting: dict[RunSetting, list[Results]] = {}
    reports: list[DatasetReport] = []
    findings: list[JudgedClaim] = []
    found = _results(store, planned, stored)
    for dataset in planned:
        if dataset not in found or not found[dataset].ran:
            _note(rendered, f"{dataset}: nothing of Table 2 has been run", notify)
    for results in found.values():
        reports.append(_render(results, store, out_dir, rendered, notify))
        by_setting.setdefault(results.setting, []).append(results)
    for setting, together in by_setting.items():
        folder, alone = _shared_folder(out_dir / "tables", together), len(together) == 1
        if not alone:
            if made := table1_together(together):
                rendered.tables += _write_tables("table1", *made, folder, _words(setting))
            if len(ran := [results for results in together if results.ran]) > 1:
                rendered.tables += _write_tables("table2", *table2_together(ran), folder, _words(setting))
        judged = judge_claims(together)
        words = [*_words(setting), *([together[0].dataset] if alone else [])]
        overview, details, rows = claims_tables(judged)
        rendered.tables += _write_tables("claims", overview, rows, folder, words, details)
        findings += judged
    rendered.page = write_page(store.root, reports, findings)
    return rendered


def claim_findings(store: Store, planned: Plans, stored: Records, claim: Claim) -> list[JudgedClaim]:
    """What the planned runs of these datasets say on one claim; nothing is written."""
    found = list(_results(store, planned, stored).values())
    return [judged for judged in judge_claims(found, [claim]) if judged.reported]


def _results(store: Store, planned: Plans, stored: Records) -> dict[str, Results]:
    """By dataset, those without a planned run left out."""
    return {
        dataset: planned_results(runs, stored[dataset], store.data(dataset), store.arrays)
        for dataset, runs in planned.items()
        if runs
    }


def _render(results: Results, store: Store, out_dir: Path, rendered: Rendered, notify: Notify) -> DatasetReport:
    tables, figures = _folder(out_dir / "tables", results), _folder(out_dir / "figures", results)
    printed, drawn = dict[str, Sequence[Table]](), dict[str, Path]()
    missing: list[str] = []
    _store_choice(store, results, notify)
    for name, tabulate in TABLES.items():
        made = tabulate(results)
        if made is None:
            missing.append(name)
        else:
            printed[name] = made[0]
            rendered.tables += _write_tables(name, *made, tables, _words(results.setting))
    if "table2" in printed:
        rendered.plain.append(to_plain(printed["table2"][0]))
    for name, draw in FIGURES.items():
        with appearance():
            figure = draw(results)
            if figure is None:
                missing.append(name)
            else:
                rendered.figures += save(figure, figures / name)
                drawn[name] = figures / f"{name}.png"
    missing = list(dict.fromkeys(missing))  # some names are those of a table and of a figure
    if missing:
        _note(rendered, f"{results.dataset}: no run has what these show: {', '.join(missing)}", notify)
    return DatasetReport(results, printed, drawn, tables, missing)


def _folder(base: Path, results: Results) -> Path:
    folder = base / results.dataset
    return folder if results.setting == RunSetting() else folder / results.setting.name


def _shared_folder(base: Path, together: Sequence[Results]) -> Path:
    """Where stands what is about all these datasets of one setting; what is about one alone stands with it."""
    if len(together) == 1:
        return _folder(base, together[0])
    setting = together[0].setting
    return base if setting == RunSetting() else base / setting.name


def _words(setting: RunSetting) -> list[str]:
    """With what the labels of a setting begin, so that one LaTeX document can show several."""
    return [] if setting == RunSetting() else [setting.name]


def _write_tables(
    name: str,
    tables: Sequence[Table],
    rows: pd.DataFrame | Sequence[Mapping[str, object]],
    folder: Path,
    words: Sequence[str],
    wordy: Sequence[Table] = (),
) -> list[Path]:
    """Write them in all three forms, `wordy` tables to Markdown alone, and return the files.

    Their labels begin with `words`.
    """
    tables = [replace(table, name=label_of(*words, table.name)) for table in tables]
    contents = {
        folder / f"{name}.tex": to_latex(tables),
        folder / f"{name}.md": to_markdown([*tables, *wordy]),
        folder / f"{name}.csv": pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.6f"),
    }
    for path, text in contents.items():
        write_file(path, text.encode())
    return list(contents)


def _store_choice(store: Store, results: Results, notify: Notify) -> None:
    """Keep which objective represents BT-SR; a store that cannot be written does not stop a report."""
    if results.choice is None:
        return
    try:
        store.write_selection(results.dataset, results.setting.name, "btsr", results.choice.to_json())
    except StoreError as error:
        notify(str(error))


def _note(rendered: Rendered, line: str, notify: Notify) -> None:
    rendered.not_run.append(line)
    notify(line)
