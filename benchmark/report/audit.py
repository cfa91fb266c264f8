"""The audit of the paper as two files: audit.md for readers, audit.csv with every finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from benchmark.paper.audit.checks import Check, checks
from benchmark.paper.audit.finding import AUDIT_VERDICTS
from benchmark.paper.printed import CITATION
from benchmark.report.tables.formats import MARKDOWN, markdown_text
from benchmark.store.atomic_files import write_file

SHOWN_WHOLE = 12
"""A check with more findings than this shows only those that do not agree; the CSV file has all of them."""

COLUMNS = ("check", "place", "printed", "follows", "verdict")


def write_audit(folder: Path) -> list[Path]:
    """Write audit.md and audit.csv into `folder` and return their paths; StoreError if they cannot be written."""
    answered = checks()
    contents = {folder / "audit.md": audit_markdown(answered), folder / "audit.csv": audit_csv(answered)}
    for path, content in contents.items():
        write_file(path, content.encode())
    return list(contents)


def audit_csv(answered: Sequence[Check]) -> str:
    """Render one row per finding, with COLUMNS."""
    rows = [(check.name, *astuple(finding)) for check in answered for finding in check.findings]
    return pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(index=False, lineterminator="\n")


def audit_markdown(answered: Sequence[Check]) -> str:
    """Render an overview that counts the verdicts, then a section per check."""
    sections = [
        {
            "check": check,
            "method": Markup(markdown_text(check.method).replace("\\*", "*")),  # but *emphasis* stays
            "counts": [sum(finding.verdict == verdict for finding in check.findings) for verdict in AUDIT_VERDICTS],
            "shown": [f for f in check.findings if len(check.findings) <= SHOWN_WHOLE or f.verdict != "agrees"],
        }
        for check in answered
    ]
    template = MARKDOWN.get_template("audit.md.jinja")
    return template.render(sections=sections, verdicts=AUDIT_VERDICTS, citation=CITATION)
