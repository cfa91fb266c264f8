"""python -m benchmark audit: the paper's printed numbers against each other, as tables/audit.md and audit.csv."""

from __future__ import annotations

from argparse import Namespace

from benchmark.report.audit import write_audit


def run(options: Namespace) -> int:
    """Write both files; needs neither data nor runs."""
    for path in write_audit(options.out_dir / "tables"):
        print(f"table   {path}")
    return 0
