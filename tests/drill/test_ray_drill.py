from __future__ import annotations

from pathlib import Path

import pytest

from tests.drill.plans import SHORT
from tests.drill.table import wrong


@pytest.mark.slow
def test_a_node_and_the_driver_die_and_nothing_is_lost(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason='Ray is not installed: pip install -e ".[ray]"')
    from tests.drill.ray import drill

    figures = drill(tmp_path / "ray", 0, lambda line: None, kills=2, plan=SHORT)
    assert not wrong(figures)
    assert figures["runs"] == figures["rounds"] * SHORT.runs
    assert figures["kills_of_a_node"] == figures["kills_of_the_driver"] == 1
