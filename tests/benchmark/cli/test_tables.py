"""The command table: columns, rows, formats and wrong input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from benchmark.cli.commands import main as command
from benchmark.cli.main import main
from tests.benchmark.cli.conftest import write_interactions

Table = Callable[..., int]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that name a store with runs of two methods and recommendations that were made elsewhere."""
    folder = tmp_path_factory.mktemp("shop")
    write_interactions(folder / "shop.csv", (200, 40, 2_000))
    where = ["--interactions", str(folder / "shop.csv"), "--out-dir", str(folder), "--set", "protocol.ties=file"]
    assert main([*where, "--methods", "popularity,markov", "--seeds", "0,1", "--stages", "prepare,train"]) == 0
    assert command(["export-split", *where, "--to", str(folder / "split")]) == 0
    users, items = (pd.read_csv(folder / "split" / "shop" / f"{name}.csv") for name in ("test_histories", "catalogue"))
    lists = users[["userid"]].drop_duplicates().merge(items[["itemid"]].head(30), how="cross")
    lists["rank"] = lists.groupby("userid").cumcount() + 1
    lists.to_csv(folder / "mine.csv", index=False)
    assert command(["score", *where, f"Mine={folder / 'mine.csv'}"]) == 0
    return where


@pytest.fixture
def table(shop: list[str]) -> Table:
    return lambda *words: command(["table", *shop, *words])


def test_the_chosen_columns_and_rows(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    assert table("--methods", "markov,Mine,popularity", "--metrics", "ndcg@10,gini@10") == 0
    tex = capsys.readouterr().out
    assert tex.startswith(r"\begin{tabular}{@{}lccc@{}}")
    assert tex.count(r"\begin") == tex.count(r"\end{tabular}") == 1
    heads = [[cell.strip(" \\") for cell in line.split("&")] for line in tex.splitlines()[2:4]]
    assert heads == [["shop", "Markov", "Mine", "Most"], ["", "chain", "(external)", "popular"]]
    assert [line.split()[0] for line in tex.splitlines() if "@10" in line] == ["ndcg@10", "gini@10"]
    assert "The best of a line is bold" in tex


def test_the_other_formats_and_a_file(table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "table.md"
    assert table("--format", "markdown", "--to", str(place)) == 0
    assert capsys.readouterr().out == ""
    text = place.read_text()
    assert "| shop | Most popular | Markov chain | Mine (external) |" in text
    assert "**" in text
    assert "run_all.py" not in text, "run_all.py did not write it"
    assert table("--format", "text", "--metrics", "hr@1") == 0
    assert "hr@1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "markov,Mone"], "unknown method 'Mone'; did you mean 'Mine'?"),
        (["--metrics", "hr@11"], "no run of shop has 'hr@11'"),
        (["--methods", "duorec"], "none of these methods has a finished run"),
        (["--dataset", "beauty"], "a table shows one dataset"),
    ],
)
def test_wrong_input_is_reported_in_one_line(
    table: Table, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert table(*words) != 0
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert message in errors[0]
