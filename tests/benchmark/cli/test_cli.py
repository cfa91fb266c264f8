"""The command line as users see it: small files, whole runs, wrong input."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from baselines.registry import METHODS
from benchmark.cli.commands import COMMANDS
from benchmark.cli.commands import main as run_command
from benchmark.cli.main import main, parse
from benchmark.cli.session import Session
from benchmark.plan import experiments
from benchmark.plan.dataset_facts import dataset_name_for
from benchmark.store import atomic_files as atomic
from benchmark.store.store import Store
from tests.benchmark.cli.conftest import write_interactions

ROOT = Path(__file__).resolve().parents[3]
TINY = [
    word
    for assignment in ("training.epochs=2", "training.batch_size=64", "encoder.width=8", "encoder.maxlen=8")
    for word in ("--set", assignment)
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A user's own interactions: 300 users, 60 items, string ids."""
    path = tmp_path / "My Shop.csv"
    write_interactions(path)
    return path


@pytest.fixture
def command(tmp_path: Path, table: Path) -> Callable[..., list[str]]:
    def build(*extra: str, out: str = "out") -> list[str]:
        fixed = ["--interactions", str(table), "--seeds", "0,1", *TINY]
        fixed += [] if "--methods" in extra else ["--methods", "popularity,sasrec-ce,btsr-ce"]
        fixed += ["--experiments", "main"]
        return [*fixed, "--out-dir", str(tmp_path / out), *extra]

    return build


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def report_files(out: Path) -> dict[str, bytes]:
    """The tables and figures of all partial reports below an --out-dir, without the pages, which hold times."""
    return {name: content for name, content in files(out / "reports").items() if not name.endswith("index.html")}


def timeless(out: Path) -> dict[str, bytes]:
    """The tables except those that hold times."""
    found = report_files(out)
    return {name: found[name] for name in found if "/tables/" in f"/{name}" and "/cost." not in name}


def test_one_command_from_a_file_to_the_tables(
    tmp_path: Path, command: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("--engine", "inline")) == 0
    printed = capsys.readouterr()
    store = Store(tmp_path / "out" / "results")
    assert store.datasets() == ["my-shop"]
    assert [record.status for record in store.records()] == ["done"] * 6
    tables = list((tmp_path / "out" / "reports").rglob("table2.*"))
    assert {path.suffix for path in tables} == {".tex", ".md", ".csv"}
    assert list((tmp_path / "out" / "reports").rglob("*.png"))
    assert all(str(path) in printed.out for path in tables)
    assert all("training.epochs-2" in path.parent.name for path in tables), "changed settings are reported separately"
    assert "[6/6]" in printed.err
    before = report_files(tmp_path / "out")
    assert main(command("--engine", "inline")) == 0
    assert "runs" not in capsys.readouterr().err, "nothing is run twice"
    assert report_files(tmp_path / "out") == before, "the same store gives the same bytes"


def test_a_report_needs_neither_data_nor_training(
    tmp_path: Path, command: Callable[..., list[str]], table: Path
) -> None:
    assert main(command("--engine", "inline", "--methods", "popularity")) == 0
    before = report_files(tmp_path / "out")
    table.unlink()
    assert main(command("--stages", "report", "--methods", "popularity")) == 0
    assert report_files(tmp_path / "out") == before


@pytest.mark.usefixtures("no_figures")
def test_a_partial_report_does_not_change_the_full_one(
    tmp_path: Path, command: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("--engine", "inline", "--stages", "prepare,train")) == 0
    whole = ["--interactions", str(tmp_path / "My Shop.csv"), *TINY, "--out-dir", str(tmp_path / "out")]
    whole += ["--stages", "report"]
    assert main(whole) == 1, "most of the default runs are missing"
    before, setting = files(tmp_path / "out"), "released-equal-paper-" + "-".join(TINY[1::2]).replace("=", "-")
    assert {"results/my-shop/selection.json", f"results/index-{setting}.html"} < before.keys()
    assert not [name for name in before if name.startswith("reports")]
    for narrowing in (["--methods", "popularity,btsr-ce"], ["--seeds", "1"], ["--experiments", "main"]):
        main([*whole, *narrowing])
        after = files(tmp_path / "out")
        assert {path: content for path, content in after.items() if not path.startswith("reports")} == before
        name = Session(parse([*whole, *narrowing])).report_place().relative_to(tmp_path / "out")
        made = {path.removeprefix(f"{name}/") for path in after.keys() - before.keys()}
        assert {path.partition("/")[0] for path in made} == {"tables", "index.html"}
        shutil.rmtree(tmp_path / "out" / "reports")
    page = tmp_path / "else where" / "index.html"
    assert main([*whole, "--report-dir", str(page.parent)]) == 1
    assert files(tmp_path / "out") == before, "the store was only read"
    assert "../out/results/my-shop/runs/" in page.read_text()
    assert {path.parent.name for path in page.parent.rglob("table2.md")} == {setting}


def test_the_folder_of_a_report_that_leaves_runs_out(tmp_path: Path, table: Path) -> None:
    fixed = ["--interactions", str(table), "--out-dir", str(tmp_path / "out")]

    def place(*words: str) -> Path:
        return Session(parse([*fixed, *words])).report_place()

    every = ",".join(name for name, entry in METHODS.items() if not entry.method.known_users_only)
    usual = ",".join(experiments.DEFAULT)
    assert {place(), place("--methods", every), place("--experiments", usual + ",alpha")} == {tmp_path / "out"}
    other = ["--protocol", "leave-one-out", "--experiments", "main"]
    assert place(*other) == tmp_path / "out", "Tables 1 to 3 are about the paper's protocols"
    assert place("--seeds", "0-4").name == "my-shop_seeds-0+1+2+3+4", "sweeps usually have fewer"
    assert place("--experiments", "main,alpha").parent == tmp_path / "out" / "reports"
    changed = ["--methods", "btsr-projector", "--set", "btsr-projector.alpha=0.3"]
    assert place(*changed).name == "my-shop_set-btsr-projector.alpha-0.3_methods-btsr-projector"
    assert place("--claim", "alpha-zero-hurts").name == "my-shop_claim-alpha-zero-hurts"
    assert place("--methods", "btsr", "--report-dir", "x") == Path("x")
    long = place("--seeds", "1-90").name
    assert (len(long), long[-9]) == (100, "-")


def test_a_full_report_includes_other_datasets_and_experiments_of_the_store(tmp_path: Path, table: Path) -> None:
    for name in ("beauty", "gowalla"):
        shutil.copy(table, tmp_path / f"{name}.csv")
    fixed = ["--data-dir", str(tmp_path), "--out-dir", str(tmp_path / "out"), *TINY]
    train = [*fixed, "--methods", "sasrec-ce", "--seeds", "0", "--stages", "prepare,train", "--engine", "inline"]
    assert main([*train, "--dataset", "gowalla", "--experiments", "main"]) == 0
    assert main([*train, "--dataset", "beauty", "--experiments", "noise"]) == 0
    for chosen in ("beauty", "gowalla"):
        plans, _ = Session(parse([*fixed, "--dataset", chosen])).whole_plan({})
        uses = {name: {each for run in runs for each in run.uses} for name, runs in plans.items()}
        assert uses == {"beauty": {*experiments.DEFAULT, "noise"}, "gowalla": {*experiments.DEFAULT}}
    plans, _ = Session(parse([*fixed, "--dataset", "synthetic"])).whole_plan({})
    assert list(plans) == ["synthetic"]


def test_dry_run_and_status_show_what_is_left(
    tmp_path: Path, command: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("--dry-run")) == 0
    assert "6 runs, 0 ended, 6 left" in capsys.readouterr().out
    assert Store(tmp_path / "out" / "results").records() == []
    assert run_command(["status", *command()]) == 1
    main(command("--engine", "inline", "--methods", "popularity", "--stages", "train"))
    capsys.readouterr()
    assert main(command("--dry-run")) == 0
    planned = capsys.readouterr().out
    assert "6 runs, 2 ended, 4 left" in planned
    assert "done: seeds 0,1" in planned
    assert run_command(["status", *command()]) == 1
    overview, _, estimate = capsys.readouterr().out.partition("  There is no estimate, ")
    assert overview in planned
    assert "judging by a few timed batches" in planned, "the data is here"
    assert "times a few batches" in estimate, "status reads no data"
    assert run_command(["status", *command("--methods", "popularity")]) == 0


def test_each_window_is_a_separate_protocol_with_its_own_data_and_runs(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = ["--interactions", str(table), "--out-dir", str(tmp_path / "out"), "--methods", "popularity,markov"]
    words = [*fixed, "--experiments", "windows"]
    assert run_command(["status", *words]) == 1
    assert "no data.json for this protocol" in capsys.readouterr().err
    assert main([*words, "--dry-run"]) == 0
    assert "20 runs, 0 ended, 20 left" in capsys.readouterr().out
    assert not (tmp_path / "out" / "results").exists(), "a dry run writes nothing there"
    assert main([*words, "--stages", "prepare"]) == 0
    assert run_command(["status", *words]) == 1
    assert "20 runs, 0 ended, 20 left" in capsys.readouterr().out
    assert main([*words, "--engine", "inline"]) == 0
    capsys.readouterr()
    store = Store(tmp_path / "out" / "results")
    data = store.data("my-shop")
    assert data is not None
    assert list((tmp_path / "out" / "reports").rglob("windows.md"))
    known = {entry["protocol"]["quantile"]: entry for entry in data["protocols"].values()}
    records = store.records("my-shop")
    assert (len(records), len(known)) == (20, 10)
    assert len({entry["fingerprint"] for entry in known.values()}) == 10
    for record in records:
        entry = known[record.spec["protocol"]["quantile"]]
        assert record.spec["protocol"] == entry["protocol"]
        assert record.data["fingerprint"] == entry["fingerprint"]
        assert record.data["test_users"] == len(entry["user_numbers"].split())
    earlier = next(r for r in records if r.method == "markov" and r.spec["protocol"]["quantile"] == 0.75)
    assert "--set protocol.quantile=0.75 --set protocol.until=0.8" in earlier.command
    alone = [*fixed, "--experiments", "main", "--seeds", "0"]
    assert run_command(["status", *alone]) == 0, "the last window is Table 2's"
    assert run_command(["status", *alone, "--set", "protocol.quantile=0.75", "--set", "protocol.until=0.8"]) == 0
    assert main([*words, "--engine", "inline", "--set", "protocol.quantile=0.9"]) == 2
    assert "--experiments windows: " in capsys.readouterr().err


def test_runs_move_between_machines(tmp_path: Path, command: Callable[..., list[str]]) -> None:
    archive = tmp_path / "runs.tar.gz"
    assert main(command("--engine", "inline", "--methods", "popularity")) == 0
    assert run_command(["export", *command("--methods", "popularity", "--to", str(archive))]) == 0
    assert run_command(["import", str(archive), "--out-dir", str(tmp_path / "elsewhere")]) == 0
    assert main(command("--methods", "popularity", "--stages", "report", out="elsewhere")) == 0
    assert report_files(tmp_path / "elsewhere") == report_files(tmp_path / "out")


def test_runs_that_the_time_budget_left_undone_are_reported(
    command: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    words = command("--engine", "inline", "--methods", "popularity,markov", "--stages", "prepare,train")
    assert main([*words, "--time-budget", "0s"]) == 1
    assert "time budget" in capsys.readouterr().err
    assert main(words) == 0
    assert main([*words, "--time-budget", "0s"]) == 0, "nothing is left"
    capsys.readouterr()
    assert main([*words, "--time-budget", "0s", "--overwrite", "all"]) == 1
    assert "4 of 4 planned runs are not done" in capsys.readouterr().err
    assert main([*words, "--overwrite", "all", "--time-budget", "1h"]) == 0


def test_workers_that_are_not_used_are_reported(
    command: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    words = command("--engine", "inline", "--methods", "popularity", "--stages", "prepare,train")
    assert main([*words, "--workers", "7"]) == 0
    assert "--workers 7: not used" in capsys.readouterr().err
    assert main([*words, "--workers", "1"]) == 0
    assert "--workers" not in capsys.readouterr().err


def test_presets_do_not_overwrite_each_other(tmp_path: Path, command: Callable[..., list[str]]) -> None:
    main(command("--stages", "prepare"))
    main(command("--stages", "prepare", "--protocol", "text"))
    data = json.loads((tmp_path / "out" / "results" / "my-shop" / "data.json").read_text())
    assert set(data["protocols"]) == {"released", "text"}
    assert data["protocols"]["text"]["filter_steps"]


def test_leave_one_out_from_a_file_to_the_tables(tmp_path: Path, command: Callable[..., list[str]]) -> None:
    main(command("--stages", "prepare"))
    assert main(command("--engine", "inline", "--protocol", "leave-one-out")) == 0
    data = json.loads((tmp_path / "out" / "results" / "my-shop" / "data.json").read_text())
    home = data["protocols"]["leave-one-out"]
    assert home["test_users"] == home["train_users"] > data["protocols"]["released"]["test_users"]
    assert "threshold" not in home
    assert {record.status for record in Store(tmp_path / "out" / "results").records()} == {"done"}
    (folder,) = (path.parent for path in (tmp_path / "out" / "reports").rglob("table2.md"))
    assert "leave-one-out" in folder.name
    assert "there is no T" in (folder / "data.md").read_text()
    assert "history after-T" not in (folder / "table2.md").read_text()


def test_prefix_rows_from_a_file_to_the_records(tmp_path: Path, command: Callable[..., list[str]]) -> None:
    words = ["--set", "training.rows=prefix", "--set", "training.batch_size=512", "--protocol", "leave-one-out"]
    assert main(command("--engine", "inline", "--stages", "prepare,train", *words)) == 0
    rows = {
        (record.method, record.status, record.spec["training"]["rows"])
        for record in Store(tmp_path / "out" / "results").records()
    }
    assert rows == {("popularity", "done", "user"), ("sasrec-ce", "done", "prefix"), ("btsr-ce", "done", "prefix")}


def test_home_from_the_data_to_its_table(tmp_path: Path) -> None:
    write_interactions(tmp_path / "beauty.csv", (200, 40, 2_000))
    words = ["--dataset", "beauty", "--data-dir", str(tmp_path), "--out-dir", str(tmp_path / "out"), *HOME]
    words += ["--experiments", "home", "--methods", "duorec", "--set", "training.epochs=1", "--engine", "inline"]
    assert main(words) == 0
    (record,) = Store(tmp_path / "out" / "results").records()
    assert record.spec["evaluation"] == {"mask_seen": False}
    (table,) = (tmp_path / "out" / "reports").rglob("home.md")
    lines = [line for line in table.read_text().splitlines() if line.startswith("| DuoRec, prefix, ")]
    assert [line.split(" | ")[2] for line in lines] == ["0.0546", "0.0845", "0.0352", "0.0443"]
    assert f"{record.metrics['test']['ndcg@10']:.4f}" in lines[-1]


def test_a_leave_one_out_split_cannot_be_exported(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--interactions", str(table), "--out-dir", str(tmp_path / "out"), "--to", str(tmp_path / "split")]
    assert run_command(["export-split", *words, "--protocol", "leave-one-out"]) == 2
    assert "under leave-one-out" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "split" / "my-shop").exists()


def await_a_record(process: subprocess.Popen[Any], results: Path) -> None:
    """Wait until the process has stored its first run, or has ended."""
    while process.poll() is None and not list(results.glob("*/runs/*/*/record.json")):
        time.sleep(0.01)


def test_a_killed_command_that_is_repeated_gives_the_same_tables(
    tmp_path: Path, command: Callable[..., list[str]]
) -> None:
    """kill -9 the whole process group after the first run has been stored."""
    assert main(command("--engine", "inline", out="whole")) == 0
    words = [sys.executable, str(ROOT / "run_all.py"), *command("--engine", "local", "--workers", "2", out="killed")]
    process = subprocess.Popen(
        words, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    results = tmp_path / "killed" / "results"
    await_a_record(process, results)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    survived = len(list(results.glob("*/runs/*/*/record.json")))
    assert survived >= 1
    assert main(command("--engine", "local", "--workers", "2", out="killed")) == 0
    assert timeless(tmp_path / "killed") == timeless(tmp_path / "whole")
    killed, whole = Store(results), Store(tmp_path / "whole" / "results")
    for first, second in zip(killed.records(), whole.records(), strict=True):
        assert first.metrics == second.metrics
        arrays, others = killed.arrays(first), whole.arrays(second)
        assert arrays is not None
        assert others is not None
        assert all(np.array_equal(arrays[name], others[name]) for name in others)
    assert not [path for path in results.rglob(".*") if path.name != ".locks" and ".locks" not in path.parts]


def test_sigterm_says_that_finished_runs_are_safe(tmp_path: Path, command: Callable[..., list[str]]) -> None:
    words = [
        sys.executable,
        str(ROOT / "run_all.py"),
        *command("--set", "training.epochs=2000", "--set", "training.patience=2000"),
    ]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    await_a_record(process, tmp_path / "out" / "results")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "finished runs are stored" in errors
    assert "Traceback" not in errors


HOME = ["--protocol", "leave-one-out"]
WRONG = [
    (["--dataset", "nope"], 2, ["nope", "known"]),
    (["--dataset", ","], 2, ["--dataset", "nothing named"]),
    (["--methods", ","], 2, ["--methods", "nothing named"]),
    (["--dataset", "ml1m"], 2, ["ml1m", "'ml-1m'"]),
    (["--dataset", "gowalla", "--no-download"], 1, ["gowalla", "snap.stanford.edu", "accepted names"]),
    (["--dataset", "yelp"], 1, ["yelp", "https://www.yelp.com/dataset"]),
    (["--methods", "sasrek-ce"], 2, ["sasrek-ce", "'sasrec-ce'"]),
    (["--seeds", "one"], 2, ["--seeds", "one"]),
    (["--seeds", "4-0"], 2, ["--seeds", "4-0"]),
    (["--stages", "trian"], 2, ["trian", "'train'"]),
    (["--experiments", "mian"], 2, ["mian", "'main'"]),
    (["--workers", "0"], 2, ["--workers", "0"]),
    (["--workers", "1000000000"], 2, ["--workers", "1000000000", "1,024"]),
    (["--workers", "9" * 5000], 2, ["--workers", "1,024"]),
    (["--time-budget", "soon"], 2, ["--time-budget", "soon"]),
    (["--protocol", "mine"], 2, ["--protocol", "mine"]),
    (["--set", "training.epochs=-1"], 2, ["training.epochs", "-1"]),
    (["--set", "protocol.ties=random"], 2, ["ties", "random"]),
    (["--nonsense"], 2, ["--nonsense"]),
    (["--dataset", "ml-1m", "--stages", "report"], 1, ["ml-1m", "prepare"]),
    (["--interactions", "a.csv", "--interactions", "b.csv"], 2, ["--interactions", "more than once"]),
    (["--methods", "popularity", "--methods", "markov"], 2, ["--methods", "more than once", "commas"]),
    (["--seeds", "0", "--seeds", "1"], 2, ["--seeds", "more than once", "commas"]),
    (["--dataset", "beauty", "--experiments", "home"], 2, ["home", "add --protocol leave-one-out"]),
    (["--dataset", "beauty", "--experiments", "sets"], 2, ["sets", "add --protocol sets"]),
    (["--dataset", "beauty", "--methods", "mf"], 2, ["mf", "add --protocol sets"]),
    (["--methods", "duorec", "--experiments", "alpha,noise"], 2, ["duorec", "alpha, noise", "change one"]),
    (["--set", "protocol.ties=file", "--protocol", "sets"], 2, ["protocol.ties", "no order"]),
    (["--dataset", "yelp", "--experiments", "home", *HOME], 2, ["home", "yelp", "beauty", "ml-1m"]),
    (["--dataset", "ml-1m", "--experiments", "windows", *HOME], 2, ["windows", "leave-one-out", "--protocol"]),
    (["--set", "protocol.quantile=0.9", *HOME], 2, ["protocol.quantile", "leave-one-out has no time T"]),
]


@pytest.mark.parametrize(
    ("arguments", "code", "fragments"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else None
)
def test_wrong_usage_is_one_line(
    tmp_path: Path, arguments: list[str], code: int, fragments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--out-dir", str(tmp_path / "out"), "--data-dir", str(tmp_path / "data")]) == code
    errors = capsys.readouterr().err.strip()
    assert len(errors.splitlines()) == 1, errors
    assert all(fragment in errors for fragment in fragments), errors


WRONG_COMMANDS = [
    (["statsu"], 2, ["statsu", "'status'"]),
    (["status", "--methods", "sasrek-ce"], 2, ["status: ", "sasrek-ce", "'sasrec-ce'"]),
    (["status", "--out-dir", "."], 1, ["there is no dataset"]),
    (["status", "--engine", "local"], 2, ["--engine", "python -m benchmark status --help"]),
    (["status", "--dataset", "ml-1m", "--out-dir", "new"], 1, ["ml-1m", "--stages prepare"]),
    (["export"], 2, ["--to"]),
    *((["export", "--to", place], 2, [f"--to {place}", "name one such as"]) for place in (".", "", "/", "nowhere/..")),
    (["export", "--to", "/dev/null"], 2, ["--to /dev/null", "name one such as"]),
    (["import", "absent.tar.gz"], 1, ["absent.tar.gz"]),
    (["export-split"], 2, ["--to"]),
    (["score", "mine.csv"], 2, ["one dataset", "--dataset"]),
    (["score", "a/mine.csv", "b/Mine.csv", "--dataset", "ml-1m"], 2, ["two files are called 'Mine'", "NAME=FILE"]),
    (["score", "--dataset", "ml-1m", "=x.csv"], 2, ["'=x.csv'", "NAME=FILE"]),
    (["compare", "a", "b", "--methods", "markov"], 2, ["--methods", "compare --help"]),
    (["compare", "a"], 2, ["STORE"]),
]


@pytest.mark.parametrize(
    ("arguments", "code", "fragments"),
    WRONG_COMMANDS,
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_usage_of_a_command_is_one_line(
    tmp_path: Path,
    arguments: list[str],
    code: int,
    fragments: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(arguments) == code
    errors = capsys.readouterr().err.strip()
    assert len(errors.splitlines()) == 1, errors
    assert errors.startswith("python -m benchmark")
    assert all(fragment in errors for fragment in fragments), errors


def test_every_command_is_listed_and_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([]) == 2
    listed = capsys.readouterr().out
    for name, (_, summary, _) in COMMANDS.items():
        assert f"  {name} " in listed
        with pytest.raises(SystemExit) as ended:
            run_command([name, "--help"])
        assert ended.value.code == 0
        assert summary[1:] in " ".join(capsys.readouterr().out.split())


HEAVY = ("torch", "pandas", "scipy.stats", "matplotlib")


@pytest.mark.parametrize(
    "words",
    [["run_all.py", "--help"], ["-m", "benchmark", "--help"], ["-m", "benchmark", "status", "--dataset", "ml-1m"]],
)
def test_help_and_status_import_nothing_slow(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "benchmark.plan.config" in imported
    assert not imported & set(HEAVY)


def test_windows_is_refused_in_one_line() -> None:
    """Windows has no module fcntl, so keep it from being imported."""
    for entry in ("run_all.py", "benchmark/__main__.py"):
        code = f"import runpy, sys; sys.modules['fcntl'] = None; runpy.run_path({entry!r}, run_name='__main__')"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1
        assert done.stderr == "This needs Linux or macOS; on Windows, run it inside WSL.\n"


TABLES = {
    "empty.csv": "",
    "header.csv": "userid,itemid,timestamp\n",
    "columns.csv": "user,thing,when\n1,2,3\n",
    "text.csv": "userid,itemid,timestamp\n1,2,3\n1,2,soon\n",
    "nan.csv": "userid,itemid,timestamp\n1,2,3\n1,2,\n",
    "negative.csv": "userid,itemid,timestamp\n1,2,3\n1,2,-5\n",
    "milliseconds.csv": "userid,itemid,timestamp\n1,2,3\n1,2,1577836800000\n",
    "delimiter.csv": "userid;itemid;timestamp\n1;2;3\n",
    "one-user.csv": "userid,itemid,timestamp\n" + "".join(f"1,{i},{i}\n" for i in range(9)),
    "one-item.csv": "userid,itemid,timestamp\n" + "".join(f"{i},1,{i}\n" for i in range(9)),
    "same-time.csv": "userid,itemid,timestamp\n" + "".join(f"{i},{i % 3},7\n" for i in range(9)),
    "few.csv": "userid,itemid,timestamp\n" + "".join(f"{i},{i % 3},{i}\n" for i in range(9)),
    "cut.csv.gz": gzip.compress(
        b"userid,itemid,timestamp\n" + b"".join(b"%d,%d,%d\n" % (i, i**2 % 97, i) for i in range(5000))
    )[:2000],
    "absent.csv": None,
}


@pytest.mark.parametrize("name", TABLES)
def test_unusable_data_is_one_line_naming_the_file(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, content = tmp_path / name, TABLES[name]
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["--interactions", str(path), "--out-dir", str(tmp_path / "out")]) == 1
    errors = capsys.readouterr().err.strip()
    assert len(errors.splitlines()) == 1, errors
    assert name in errors


def test_missing_cuda_is_reported(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["--dataset", "synthetic", "--device", "cuda"]) == 2
    assert "--device cpu" in capsys.readouterr().err


def test_an_output_directory_that_cannot_be_written_is_reported(
    tmp_path: Path, command: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file where a directory should be")
    where = ["--dataset", "synthetic", "--out-dir", str(tmp_path / "out")]
    for program, words in (
        (main, command()),
        (main, command("--stages", "report")),
        (run_command, ["status", *command()]),
        (run_command, ["recompute", *where]),
        (run_command, ["score", "mine.csv", *where]),
    ):
        assert program(words) == 1
        assert capsys.readouterr().err.endswith(
            f": {tmp_path / 'out'}: cannot write (Not a directory); "
            "a file stands where a directory is needed, move it or choose another --out-dir\n"
        )


@pytest.mark.parametrize(
    "name", ["REPORT/tables", "REPORT/figures/my-shop", "reports", "results", "results/my-shop", "results/.locks"]
)
def test_a_file_in_the_way_is_reported_before_anything_is_done(
    tmp_path: Path, command: Callable[..., list[str]], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    words = command("--methods", "popularity")
    file = tmp_path / "out" / name.replace("REPORT", str(Session(parse(words)).report_place()))
    file.parent.mkdir(parents=True)
    file.write_text("")
    assert main(words) == 1
    assert capsys.readouterr().err.startswith(f"run_all.py: {file}: cannot write (Not a directory)")
    assert len(files(tmp_path / "out")) == 1


@pytest.mark.parametrize(("name", "flag"), [("", "--out-dir"), ("export", "--to"), ("export-split", "--to")])
def test_an_impossible_path_is_reported_with_its_option(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str], name: str, flag: str
) -> None:
    (tmp_path / "file").write_text("")
    for place, remedy in ((tmp_path / ("x" * 300) / "y", "a shorter"), (tmp_path / "file" / "y", "another")):
        words = ["--interactions", str(table), flag, str(place)]
        assert (run_command([name, *words]) if name else main(words)) == 1
        errors = capsys.readouterr().err
        assert len(errors.splitlines()) == 1, errors
        assert errors.endswith(f"choose {remedy} {flag}\n")


def test_a_split_that_cannot_be_written_is_reported_with_its_option(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, sync = tmp_path / "split", atomic._sync

    def refuse(stream: BinaryIO) -> None:
        if str(place) in str(stream.name):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        sync(stream)

    monkeypatch.setattr(atomic, "_sync", refuse)
    words = ["--interactions", str(table), "--out-dir", str(tmp_path / "out"), "--set", "protocol.ties=file"]
    assert run_command(["export-split", *words, "--to", str(place)]) == 1
    assert capsys.readouterr().err.endswith("make it writable or choose another --to\n")
    assert not files(place)


def test_missing_write_permission_is_reported_at_once(
    tmp_path: Path,
    command: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = command("--methods", "popularity")
    tables = Session(parse(words)).report_place() / "tables"
    tables.mkdir(parents=True)
    monkeypatch.setattr(
        "os.access", lambda place, _: place.name != "tables"
    )  # the tests may run as root, who may write anywhere
    assert main(words) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"run_all.py: {tables}: cannot write (Permission denied); make it")
    assert main(command("--methods", "popularity", "--stages", "prepare,train")) == 0


def test_a_run_with_a_damaged_record_is_repeated(
    tmp_path: Path, command: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    words = command("--engine", "inline", "--methods", "popularity")
    assert main(words) == 0
    before = timeless(tmp_path / "out")
    damaged = sorted((tmp_path / "out" / "results").rglob("record.json"))[0]
    damaged.write_text(damaged.read_text()[:100])
    capsys.readouterr()
    assert main(words) == 0
    assert str(damaged) in capsys.readouterr().err
    assert timeless(tmp_path / "out") == before


def test_absent_datasets_are_skipped_with_instructions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dataset", "all", "--no-download", "--data-dir", str(tmp_path), "--out-dir", str(tmp_path)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert sum("skipped" in line for line in errors) == 5
    assert "there is no dataset" in errors[-1]


def test_absent_data_is_skipped_even_if_the_store_knows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = tmp_path / "results" / "ml-1m" / "data.json"
    known.parent.mkdir(parents=True)
    known.write_bytes((ROOT / "results" / "ml-1m" / "data.json").read_bytes())
    fixed = ["--no-download", "--data-dir", str(tmp_path), "--out-dir", str(tmp_path), "--stages", "prepare,train"]
    words = [*fixed, "--methods", "popularity", "--seeds", "0", "--experiments", "main"]
    assert main(words) == 1
    assert "there is no dataset" in capsys.readouterr().err.splitlines()[-1]
    assert main([*words, "--dataset", "all,synthetic"]) == 1
    assert "1 of 2 planned runs are not done" in capsys.readouterr().err.splitlines()[-1]
    assert [record.dataset for record in Store(tmp_path / "results").records()] == ["synthetic"]


def test_an_own_file_cannot_take_the_name_of_a_dataset(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table.rename(tmp_path / "gowalla.csv")
    assert main(["--interactions", str(path), "--stages", "prepare", "--out-dir", str(tmp_path / "out")]) == 0
    assert Store(tmp_path / "out" / "results").datasets() == ["own-gowalla"]


NAMES = {
    "My Shop.csv": "my-shop",
    "v1.2.csv.gz": "v1.2",
    "ml-1m.csv": "own-ml-1m",
    "bench.csv": "own-bench",
    "Index.HTML.csv": "index-html",
    "audit.md.csv": "audit-md",
    "drill.json.tsv.gz": "drill-json",
    "table2.tex.csv": "table2-tex",
    "released-equal-quick.csv": "own-released-equal-quick",
}


@pytest.mark.parametrize("file", NAMES)
def test_the_name_of_an_own_file_never_collides_with_other_outputs(file: str) -> None:
    assert dataset_name_for(Path(file)) == NAMES[file]


@pytest.mark.usefixtures("no_figures")
def test_an_own_file_named_like_the_page_does_not_block_the_page(
    tmp_path: Path, table: Path, command: Callable[..., list[str]]
) -> None:
    path = table.rename(tmp_path / "index.html.csv")
    words = [str(path) if word == str(table) else word for word in command("--engine", "inline")]
    assert main([word.replace("sasrec-ce,btsr-ce", "markov") for word in words]) == 0
    assert main(["--interactions", str(path), *TINY, "--out-dir", str(tmp_path / "out"), "--stages", "report"]) == 1
    assert list((tmp_path / "out" / "results").glob("index-released-*.html"))


def test_a_closed_pipe_gives_no_traceback(tmp_path: Path, command: Callable[..., list[str]]) -> None:
    words = [sys.executable, str(ROOT / "run_all.py"), *command("--dry-run")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


def test_a_removed_current_directory_is_reported_in_one_line(tmp_path: Path) -> None:
    words = f"cd {tmp_path}/gone && rmdir ../gone && exec '{sys.executable}' '{ROOT}/run_all.py' --dry-run"
    (tmp_path / "gone").mkdir()
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "the current directory" in done.stderr
