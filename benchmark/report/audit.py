"""The audit of the paper as two files: audit.md to read, audit.csv with every finding."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from benchmark.paper.audit.checks import Check, checks
from benchmark.paper.audit.finding import AUDIT_VERDICTS
from benchmark.paper.printed import CITATION
from benchmark.report.tables.markdown import escape
from benchmark.store.atomic_files import write_file

SHOWN_WHOLE = 12
"""A check with more findings shows those that disagree or cannot be told; the CSV file has all."""

COLUMNS = ("check", "place", "printed", "follows", "verdict")


def write_audit(folder: Path) -> list[Path]:
    """Write audit.md and audit.csv into `folder` and return their paths; StoreError if they cannot be written."""
    made = checks()
    contents = {folder / "audit.md": audit_markdown(made), folder / "audit.csv": audit_csv(made)}
    for path, content in contents.items():
        write_file(path, content.encode())
    return list(contents)


def audit_csv(made: Sequence[Check]) -> str:
    """One row per finding, with COLUMNS."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((check.name, *astuple(finding)) for check in made for finding in check.findings)
    return buffer.getvalue()


def audit_markdown(made: Sequence[Check]) -> str:
    """An overview with the number of verdicts, then a section per check."""
    lines = [
        "<!-- Written by python -m benchmark audit from benchmark/paper/. -->",
        "",
        "# What the paper prints, checked against itself",
        "",
        f"Every figure is from the tables of {CITATION} or follows from them by arithmetic; nothing was run for it. "
        "A printed number stands for every number that rounds to it. *Disagrees* says that two printed things do not "
        "fit together, not which of them is right, nor why. *Cannot be told* says that the paper prints too little to "
        "decide. Quotations have Greek letters and hyphens restored.",
        "",
        f"| check | {' | '.join(AUDIT_VERDICTS)} |",
        "|:--|--:|--:|--:|",
    ]
    for check in made:
        counts = " | ".join(str(count) for count in _counts(check).values())
        lines.append(f"| [{escape(check.title)}](#{check.name}) | {counts} |")
    for check in made:
        lines += ["", *_section(check)]
    return "\n".join([*lines, ""])


def _counts(check: Check) -> dict[str, int]:
    counts = Counter(finding.verdict for finding in check.findings)
    return {verdict: counts[verdict] for verdict in AUDIT_VERDICTS}


def _section(check: Check) -> list[str]:
    whole = len(check.findings) <= SHOWN_WHOLE
    shown = [finding for finding in check.findings if whole or finding.verdict != "agrees"]
    method = escape(check.method).replace("\\*", "*")  # *emphasis* is meant as such
    agree, disagree, unknown = _counts(check).values()
    left_out = " Those that agree are in audit.csv." if len(shown) < len(check.findings) else ""
    lines = [f'<a id="{check.name}"></a>', f"## {escape(check.title)}", "", method, ""]
    lines += [f"{agree} agree, {disagree} disagree, {unknown} cannot be told.{left_out}"]
    if shown:
        lines += ["", "| place | printed | what follows | verdict |", "|:--|:--|:--|:--|"]
        lines += [f"| {' | '.join(map(escape, astuple(finding)))} |" for finding in shown]
    return lines
