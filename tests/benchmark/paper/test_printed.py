"""The three tables of the paper, as read from the CSV files."""

from __future__ import annotations

import pytest

from benchmark.paper.printed import BASELINES, TABLE_1_METHODS, table1, table2, table2_row, table3


def test_tables_1_and_3() -> None:
    assert (len(table1()), len(table3())) == (5, 1)
    beauty = (0.0434, 0.0524, 0.0543, 0.0440, 0.0563, 0.0549)
    assert table1()["Beauty"] == pytest.approx(dict(zip(TABLE_1_METHODS, beauty, strict=True)))
    assert table3()["Yelp"] == {"sasrec-bce": 0.0176, "0.1": 0.0180, "0.4": 0.0182}
    assert "Behance" not in table1()
    assert "ML-1M" not in table3()


def test_table_2() -> None:
    assert len(table2()) == 45
    row = table2_row("ML-1M", "ndcg@10")
    assert row is not None
    baselines = (0.0443, 0.0494, 0.0503, 0.0464, 0.0456, 0.0487)
    assert row.values == dict(zip(BASELINES, baselines, strict=True)) | {"btsr": 0.0534}
    assert (row.btsr_deviation, row.starred, row.improve) == (0.0037, True, 6.2)
    assert table2_row("ML-1M", "hr@20") is None
    assert table2_row("Behance", "hr@1") is None
