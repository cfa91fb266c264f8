"""A report shows what a store holds, names what it lacks, and writes the same bytes every time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.report.claims.judged_claims import judge_claims
from benchmark.report.report import FIGURES, TABLES, report
from benchmark.store.atomic_files import StoreError
from benchmark.store.store import Store
from tests.benchmark.conftest import plans_of, records_in


def fill(
    store: Store, maker: Any, methods: tuple[str, ...] = ("sasrec-ce", "btsr-bce", "btsr-ce"), **spec: str
) -> None:
    """Save two seeds of each method. On validation, BT-SR (BCE) is best."""
    maker.write_data(store)
    for method in methods:
        for seed in range(2):
            test = {"ndcg@10": 0.05 + 0.01 * seed, "cov@10": 0.3, "hr@1/bucket1": 0.1, "hr@10/bucket1": 0.2}
            record = maker.record(
                method, seed, test=test, validation={"ndcg@10": 0.07 if method == "btsr-bce" else 0.06}
            )
            record.spec.update(spec)
            store.save(record, maker.arrays())


def files(folder: Path) -> dict[str, bytes]:
    """The content of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(autouse=True)
def only_table_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write Table 2 alone and judge no claims, so that most tests are fast."""
    monkeypatch.setattr("benchmark.report.report.judge_claims", lambda _, options: [])
    monkeypatch.setattr("benchmark.report.report.TABLES", {"table2": TABLES["table2"]})


def test_everything_is_written_twice_the_same(
    store: Store, handmade: Callable[..., Any], tmp_path: Path, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.report.report.FIGURES", {name: FIGURES[name] for name in ("accuracy-coverage",)})
    fill(store, handmade())
    out = tmp_path / "out"
    rendered = report(store, out, plans_of(store), records_in(store), notes.append)
    tables = {f"tables/ml-1m/table2.{suffix}" for suffix in ("tex", "md", "csv")}  # no claim was judged
    figures = {f"figures/ml-1m/accuracy-coverage.{suffix}" for suffix in ("pdf", "png")}
    assert set(files(out)) == tables | figures
    assert {str(path.relative_to(out)) for path in rendered.tables + rendered.figures} == tables | figures
    assert notes == []
    before = files(tmp_path)
    report(store, out, plans_of(store), records_in(store), notes.append)
    assert files(tmp_path) == before


@pytest.mark.usefixtures("no_figures")
def test_the_choice_for_btsr_is_kept(store: Store, handmade: Callable[..., Any], tmp_path: Path) -> None:
    fill(store, handmade())
    report(store, tmp_path, plans_of(store), records_in(store), print)
    chosen = store.selection("ml-1m", "released-equal-paper")["btsr"]
    assert (chosen["choice"], chosen["stage"], chosen["metric"]) == ("btsr-bce", "validation", "ndcg@10")
    assert chosen["evidence"]["btsr-ce"]["seeds"] == [0, 1]


@pytest.mark.usefixtures("no_figures")
def test_settings_and_datasets_have_folders_of_their_own(
    store: Store, handmade: Callable[..., Any], tmp_path: Path
) -> None:
    fill(store, handmade())
    fill(store, handmade("beauty", "Beauty"))
    fill(store, handmade("synthetic", "Synthetic", synthetic=True), profile="quick")
    rendered = report(store, tmp_path, plans_of(store), records_in(store), print)
    folders = {str(path.parent.relative_to(tmp_path)) for path in rendered.tables}
    assert folders == {
        "tables",
        "tables/beauty",
        "tables/ml-1m",
        "tables/synthetic/released-equal-quick",
    }
    together = (tmp_path / "tables" / "table2.tex").read_text()
    assert together.count(r"\begin{table*}") == 2
    assert "SYNTHETIC" not in together
    assert len((tmp_path / "tables" / "table2.csv").read_text().splitlines()) == 1 + 2 * 9 * 3


@pytest.mark.usefixtures("no_figures")
def test_no_two_tables_of_a_report_have_the_same_label(
    handmade: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.report.report.TABLES", TABLES)
    monkeypatch.setattr("benchmark.report.report.judge_claims", judge_claims)
    written: list[Path] = []
    for out, profile, names in (
        ("two", "paper", ("ml-1m", "beauty")),
        ("two", "quick-encoder.width-32", ("ml-1m", "beauty")),
        ("one", "paper", ("beauty",)),
    ):
        here = Store(tmp_path / f"{out}-{profile}", print)
        for name in names:
            fill(here, handmade(name, name.title()), profile=profile)
        written += report(here, tmp_path / out, plans_of(here), records_in(here), print).tables
    # What is about beauty alone is the same table in both reports.
    written = [path for path in written if "one" not in path.parts or path.stem == "claims"]
    sources = [path.read_text() for path in written if path.suffix == ".tex"]
    labels = [label for source in sources for label in re.findall(r"\\label\{([^}]*)\}", source)]
    assert len(labels) > 40
    assert "tab:ml-1m-table2" in labels
    assert "tab:released-equal-quick-encoder.width-32-ml-1m-table2" in labels
    assert [label for label in labels if labels.count(label) > 1] == []


@pytest.mark.usefixtures("no_figures")
def test_what_has_no_runs_is_named(
    store: Store, handmade: Callable[..., Any], tmp_path: Path, notes: list[str]
) -> None:
    fill(store, handmade())
    report(store, tmp_path, plans_of(store) | {"gowalla": []}, records_in(store), notes.append)
    assert notes == ["gowalla: nothing of Table 2 has been run"]
    assert "Not run: SASRec (BCE), SASRec (SCE)" in (tmp_path / "tables/ml-1m/table2.tex").read_text()


@pytest.mark.usefixtures("no_figures")
def test_losing_any_file_of_the_store_is_a_gap_and_no_error(
    store: Store, handmade: Callable[..., Any], tmp_path: Path, notes: list[str]
) -> None:
    fill(store, handmade(), ("sasrec-ce", "btsr-ce"))
    whole = tmp_path / "whole"
    shutil.copytree(store.root, whole)
    for path in sorted(whole.rglob("*")):
        if path.is_file():
            damaged = Store(tmp_path / "damaged" / path.name, notes.append)
            shutil.rmtree(damaged.root, ignore_errors=True)
            shutil.copytree(whole, damaged.root)
            (damaged.root / path.relative_to(whole)).unlink()
            tables = report(damaged, tmp_path / "out", plans_of(damaged), records_in(damaged), notes.append).tables
            assert sum(table.stem == "table2" for table in tables) == 3


@pytest.mark.usefixtures("no_figures")
def test_a_place_that_cannot_be_written_is_one_line(store: Store, handmade: Callable[..., Any], tmp_path: Path) -> None:
    fill(store, handmade())
    (tmp_path / "tables").write_text("a file")
    with pytest.raises(StoreError, match=r"tables.*choose another --out-dir"):
        report(store, tmp_path, plans_of(store), records_in(store), print)
