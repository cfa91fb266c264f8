"""Every table of one dataset: as it is printed, and the same for machines."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmark.report.query import Results
from benchmark.report.tables.buckets import bucket_tables
from benchmark.report.tables.cost import cost_table
from benchmark.report.tables.data import data_table
from benchmark.report.tables.layout import Made
from benchmark.report.tables.side_by_side import side_by_side_tables
from benchmark.report.tables.sweeps import SWEEPS, sweep_table
from benchmark.report.tables.table1 import table1
from benchmark.report.tables.table2 import table2
from benchmark.report.tables.table3 import table3
from benchmark.report.tables.ties import tie_tables

TABLES: dict[str, Callable[[Results], Made | None]] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "data": data_table,
    "side-by-side": side_by_side_tables,
    "buckets": bucket_tables,
    **{name: partial(sweep_table, name) for name in SWEEPS},
    "ties": tie_tables,
    "cost": cost_table,
}
"""By the name of its files; None where no run has what the table shows."""
