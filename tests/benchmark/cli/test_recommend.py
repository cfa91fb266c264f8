"""Recommendations of a kept model, with the original ids of a user's own file."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from baselines.settings import EncoderSettings
from baselines.transformer import Transformer
from benchmark.cli.commands import main as command
from benchmark.cli.main import main
from benchmark.runs import evaluation
from benchmark.runs.run import LISTS_KEPT
from benchmark.store.npz import to_npz
from benchmark.store.record import RunRecord
from benchmark.store.store import Store
from datasets.sequences import Batch
from tests.benchmark.cli.conftest import write_interactions

ROOT = Path(__file__).resolve().parents[3]
MAXLEN = 8


def words(out: Path) -> list[str]:
    return ["--interactions", str(out / "mine.csv"), "--out-dir", str(out)]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 users with string ids, and finished runs of three methods whose models are kept."""
    directory = tmp_path_factory.mktemp("kept")
    write_interactions(directory / "mine.csv", shuffled=True)
    tiny = [
        "protocol.ties=file",
        "training.epochs=2",
        "training.batch_size=64",
        "encoder.width=8",
        f"encoder.maxlen={MAXLEN}",
    ]
    sets = [word for each in tiny for word in ("--set", each)]
    chosen = ["--methods", "popularity,sasrec-ce,gru4rec-ce", "--seeds", "0", "--experiments", "main"]
    stages = ["--stages", "prepare,train", "--engine", "local", "--workers", "2", "--keep-models"]
    assert main([*words(directory), *chosen, *sets, *stages]) == 0
    return directory


def record_of(out: Path, method: str) -> RunRecord:
    [record] = [each for each in Store(out / "results").records() if each.method == method]
    return record


def recommended(out: Path, method: str, *more: str) -> dict[str, list[str]]:
    """Each user's list, best first."""
    to = out / f"{method}{''.join(more).replace('/', '-')}.csv"
    assert command(["recommend", "--run", record_of(out, method).key, *words(out), "--out", str(to), *more]) == 0
    table = pd.read_csv(to, dtype={"userid": str, "itemid": str})
    assert (table.groupby("userid").cumcount() + 1 == table["rank"]).all()
    return table.groupby("userid")["itemid"].agg(list).to_dict()


def histories(out: Path) -> dict[str, list[str]]:
    return pd.read_csv(out / "mine.csv").sort_values("timestamp").groupby("userid")["itemid"].agg(list).to_dict()


def test_recommendations_follow_from_the_kept_weights(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_of(out, "sasrec-ce")
    monkeypatch.setattr(evaluation, "USERS_AT_ONCE", 7)
    found = recommended(out, "sasrec-ce", "--top", "5")
    assert found.keys() == histories(out).keys()
    catalogue = sorted({item for items in histories(out).values() for item in items})
    assert len(catalogue) == record.data["items"]  # every item is in the catalogue
    with np.load(out / "results" / "mine" / "models" / f"{record.key}.npz", allow_pickle=False) as weights:
        encoder = Transformer(len(catalogue), EncoderSettings(width=8, maxlen=MAXLEN)).eval()
        encoder.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights})
    for user, history in histories(out).items():
        seen = [catalogue.index(item) for item in history]
        known = seen[-MAXLEN:]
        scores = encoder.score(Batch(torch.tensor([known]), torch.tensor([len(known)])))[0].detach()
        scores[seen] = -torch.inf
        assert found[user] == [catalogue[i] for i in scores.argsort(descending=True, stable=True)[:5].tolist()]


@pytest.mark.parametrize("method", ["sasrec-ce", "gru4rec-ce", "popularity"])
def test_test_histories_get_the_lists_of_the_runs_evaluation(method: str, out: Path) -> None:
    record, to = record_of(out, method), out / f"split-{method}"
    assert command(["export-split", *words(out), "--to", str(to), "--set", "protocol.ties=file"]) == 0
    arrays = Store(out / "results").arrays(record)
    assert arrays
    catalogue = pd.read_csv(to / "mine" / "catalogue.csv")["itemid"].to_numpy()
    given = to / "mine" / "test_histories.csv"
    found = recommended(out, method, "--histories", str(given), "--top", str(LISTS_KEPT))
    users = pd.read_csv(given)["userid"].unique()
    scored = dict(zip(users, arrays["top_items"], strict=True))
    assert found == {user: [catalogue[i] for i in top if i < len(catalogue)] for user, top in scored.items()}


def test_simultaneous_items_are_in_the_order_that_the_run_was_made_with(tmp_path: Path) -> None:
    frame = write_interactions(tmp_path / "mine.csv").assign(timestamp=lambda rows: rows["timestamp"] // 10**6)
    frame.to_csv(tmp_path / "mine.csv", index=False)
    frame.sort_values("itemid", kind="stable").to_csv(tmp_path / "by-item.csv", index=False)
    chosen = ["--methods", "markov", "--seeds", "0", "--experiments", "main", "--stages", "prepare,train"]
    lists = {}
    for ties in ("file", "item"):
        assert main([*words(tmp_path), *chosen, "--set", f"protocol.ties={ties}"]) == 0
        [run] = [r.key for r in Store(tmp_path / "results").records() if r.spec["protocol"]["ties"] == ties]
        for histories in ("mine", "by-item"):
            to, given = tmp_path / f"{ties}-{histories}.csv", ["--histories", str(tmp_path / f"{histories}.csv")]
            assert command(["recommend", "--run", run, *words(tmp_path), *given, "--out", str(to)]) == 0
            lists[ties, histories] = to.read_text()
    assert lists["item", "mine"] == lists["item", "by-item"]
    assert lists["file", "mine"] != lists["file", "by-item"]


def test_refitting_uses_the_interactions_of_all_users(out: Path) -> None:
    counts = pd.read_csv(out / "mine.csv")["itemid"].value_counts()
    for user, items in recommended(out, "popularity", "--refit").items():
        unseen = counts.drop(histories(out)[user])
        assert counts[items].tolist() == unseen.head(10).tolist()
    assert recommended(out, "sasrec-ce", "--refit") != recommended(out, "sasrec-ce")


def test_what_cannot_recommend_is_reported_in_one_line(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, new = record_of(out, "sasrec-ce").key, out / "new.csv"
    new.write_text("userid,itemid,timestamp\nu1,no such item,1\nu2,nor this,2\n")
    to = ["--out", str(out / "list.csv")]
    os.mkfifo(out / "pipe")  # like a device, it must not be replaced by a file
    wrong = [
        (["--run", "nothing", *words(out), *to], 2, "no such run"),
        (["--run", key, "--interactions", str(new), "--out-dir", str(out), *to], 2, "--histories"),
        (["--run", key, *words(out), "--histories", str(new), *to], 1, "item ids"),
        (["--run", key, *words(out), "--out", str(out / "results" / "list.csv")], 2, "published"),
        (["--run", key, *words(out), "--out", str(out / "pipe")], 1, "not a regular file"),
    ]
    model = out / "results" / "mine" / "models" / f"{key}.npz"
    content = model.read_bytes()
    for arguments, code, fragment in wrong:
        assert command(["recommend", *arguments]) == code
        [line] = capsys.readouterr().err.strip().splitlines()
        assert fragment in line
    assert (out / "pipe").is_fifo()
    model.write_bytes(to_npz({"items.weight": np.zeros((2, 2))}))
    assert command(["recommend", "--run", key, *words(out), *to]) == 1
    [line] = capsys.readouterr().err.strip().splitlines()
    assert "another model" in line
    model.unlink()
    assert command(["recommend", "--run", key, *words(out), *to]) == 1
    assert "--refit" in capsys.readouterr().err
    model.write_bytes(content)
    assert not (out / "list.csv").exists()


def test_the_examples_in_the_documents_work(tmp_path: Path) -> None:
    lines = ""
    for document, before in (("README.md", "embedded synthetic data:"), ("docs/running.md", "## Using a model")):
        block = re.search(r"```\n(.*?)```", (ROOT / document).read_text("utf-8").partition(before)[2], re.DOTALL)
        assert block
        lines += block[1]
    assert lines.count("\n") == 3
    key = "KEY"
    for line in lines.replace("recommendations.csv", str(tmp_path / "recommendations.csv")).splitlines():
        command_line = [*shlex.split(line.replace("KEY", key), comments=True)[1:], "--out-dir", str(tmp_path)]
        done = subprocess.run([sys.executable, *command_line], cwd=ROOT, check=True, capture_output=True, text=True)
        if named := re.search(r"--run (\w+)", done.stderr):
            key = named[1]
        else:
            table = pd.read_csv(tmp_path / "recommendations.csv")
            assert (table["userid"].value_counts() == 10).all()
            (tmp_path / "recommendations.csv").unlink()
