"""Every table of one dataset: as it is printed, and the same for machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd

from benchmark.report.material import Material
from benchmark.report.tables.buckets import bucket_tables
from benchmark.report.tables.cost import cost_tables
from benchmark.report.tables.data import data_tables
from benchmark.report.tables.layout import Table
from benchmark.report.tables.side_by_side import side_by_side_tables
from benchmark.report.tables.sweeps import SWEEPS, sweep_tables
from benchmark.report.tables.table1 import table1_of
from benchmark.report.tables.table2 import table2_of
from benchmark.report.tables.table3 import table3
from benchmark.report.tables.ties import tie_tables

Tabulate = Callable[[Material], tuple[Sequence[Table], pd.DataFrame] | None]
"""None where no run has what the table shows."""

TABLES: dict[str, Tabulate] = {
    "table1": table1_of,
    "table2": table2_of,
    "table3": table3,
    "data": data_tables,
    "side-by-side": side_by_side_tables,
    "buckets": bucket_tables,
    **{name: partial(sweep_tables, name) for name in SWEEPS},
    "ties": tie_tables,
    "cost": cost_tables,
}
"""By the name of its files."""
