"""Recommendations by other software: the export of the data, and reading, scoring and reporting the lists."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmark.cli.commands import main as command
from benchmark.cli.main import main
from benchmark.cli.recompute import recompute
from benchmark.plan.config import ConfigError
from benchmark.report.figures.accuracy import accuracy_and_coverage
from benchmark.runs import external
from benchmark.runs.external import External, measure, parse_externals, read_ranked_lists
from benchmark.runs.metrics import CUTOFFS
from benchmark.runs.preparation import prepare
from benchmark.runs.run import LISTS_KEPT
from benchmark.store.store import Store
from datasets import synthetic
from datasets.interactions import DataError
from datasets.protocol import Protocol
from datasets.sequences import Sequences
from datasets.split import Split, split

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

REPORT = "reports/my-shop_set-protocol.ties-file_seeds-0_methods-popularity/tables"
PLAIN = ("hr@", "ndcg@", "mrr@", "cov@")
USERS, ITEMS = np.array(["7", "u 1", "é"]), np.array([3, 5, 70])


# --- scoring ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_split() -> Split:
    return split(synthetic.generate(200, 70, 3_000, seed=1), Protocol(ties="file", quantile=0.7))


def random_lists(small_split: Split, shortest: int, seed: int) -> list[list[int]]:
    """Lists without repeats but with items of the history. Every fifth user has none."""
    random = np.random.default_rng(seed)
    v = small_split.n_items
    lists = [random.permutation(v)[: random.integers(shortest, v + 1)].tolist() for _ in small_split.test_user_labels]
    return [[] if user % 5 == 0 else listed for user, listed in enumerate(lists)]


def packed(lists: list[list[int]]) -> Sequences:
    return Sequences.from_arrays(np.concatenate(lists).astype(int), np.cumsum([0, *map(len, lists)]))


@pytest.mark.parametrize("shortest", [60, 30])
def test_metrics_agree_with_loops(small_split: Split, shortest: int) -> None:
    lists, cases = random_lists(small_split, shortest, seed=shortest), small_split.cases("test")
    ranks, kept_lists, dropped, reach = [], [], 0, [50]
    for user, listed in enumerate(lists):
        history, target = cases.histories[user].tolist(), int(cases.targets[user])
        kept = [item for item in listed if item not in history]
        dropped += len(listed) - len(kept)
        ranks.append(kept.index(target) + 1 if target in kept else 0)
        kept_lists.append(kept)
        if listed and len(kept) < small_split.n_items - len(set(history)):
            reach.append(len(kept))
    expected = {}
    for k in [k for k in CUTOFFS if k <= min(reach)]:
        hits = [rank for rank in ranks if 1 <= rank <= k]
        expected[f"hr@{k}"] = len(hits) / len(ranks)
        expected[f"ndcg@{k}"] = sum(1 / math.log2(rank + 1) for rank in hits) / len(ranks)
        expected[f"mrr@{k}"] = sum(1 / rank for rank in hits) / len(ranks)
        expected[f"cov@{k}"] = len({item for kept in kept_lists for item in kept[:k]}) / small_split.n_items
    arrays, metrics, counts = measure(packed(lists), small_split)
    assert arrays["ranks"].tolist() == ranks
    plain = {name: value for name, value in metrics.items() if name.startswith(PLAIN) and "/" not in name}
    assert plain == pytest.approx(expected)
    masked = [int(cases.targets[user]) in cases.histories[user].tolist() for user in range(len(lists))]
    assert metrics["masked_targets"] == pytest.approx(sum(masked) / len(masked))
    assert (counts["history_items_dropped"], counts["known_cutoff"]) == (dropped, min(reach))
    assert counts["users_without_list"] == sum(not listed for listed in lists)
    assert all(int(name.partition("@")[2].partition("/")[0] or 0) <= min(reach) for name in metrics if "@" in name)


def test_lists_of_the_whole_catalogue_are_known_at_every_cutoff(small_split: Split) -> None:
    everything = [list(range(small_split.n_items))] * len(small_split.events)
    _, metrics, counts = measure(packed(everything), small_split)
    assert counts["known_cutoff"] == 50
    assert {"hr@50", "cov@50", "popularity_kl@10"} <= metrics.keys()


def test_a_list_with_only_items_of_the_history_cannot_be_scored(small_split: Split) -> None:
    lists = [list(dict.fromkeys(small_split.cases("test").histories[user].tolist())) for user in range(2)]
    with pytest.raises(ValueError, match=str(small_split.test_user_labels[0])):
        measure(packed(lists + [[]] * (len(small_split.events) - 2)), small_split)


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("compressed", [False, True])
def test_any_separator_any_order_of_rows_and_columns(tmp_path: Path, separator: str, compressed: bool) -> None:
    rows = [
        ["", "Rank", "score", "item_id", "user"],
        [0, 2, 0.1, 5, "é"],
        [1, 1, 0.2, 70, '"u 1"'],
        [2, 1, 0.3, 3, "é"],
    ]
    text = "\r\n".join(separator.join(map(str, row)) for row in rows) + "\r\n\r\n"
    path = tmp_path / ("lists.gz" if compressed else "lists.csv")
    content = b"\xef\xbb\xbf" + text.encode()
    path.write_bytes(gzip.compress(content) if compressed else content)
    lists = read_ranked_lists(path, USERS, ITEMS)
    assert [lists[user].tolist() for user in range(3)] == [[], [2], [0, 1]]


HEAD = b"user,item,rank\n"
BAD = {
    "empty": (b"", "empty"),
    "header only": (HEAD, "no recommendations"),
    "no such columns": (b"user,item,score\n7,3,1\n", "line 1: .*rank.*'user,item,score'"),
    "two user columns": (b"user,userid,item,rank\n7,7,3,1\n", "line 1: several columns .* user"),
    "utf-16": ("user,item,rank\n7,3,1\n".encode("utf-16"), "line 1: .*UTF-8"),
    "latin-1": (HEAD + "7,3,1\né,3,1\n".encode("latin-1"), "line 3: .*UTF-8"),
    "unknown user": (HEAD + b"7,3,1\n8,3,1\n", "line 3: user '8' is not a test user"),
    "unknown item": (HEAD + b"7,4,1\n", "line 2: item '4' is not in the catalogue"),
    "float item": (HEAD + b"7,3.0,1\n", "line 2: item '3.0' is not in the catalogue"),
    "empty item": (HEAD + b"7,,1\n", "line 2: item '' is not"),
    "item twice": (HEAD + b"7,3,1\n\n7,5,2\n7,3,3\n", "line 5: item '3' .* user '7' a second time"),
    "rank from 0": (HEAD + b"7,3,0\n7,5,1\n", "line 2: rank '0' is not a whole number from 1"),
    "rank nan": (HEAD + b"7,3,nan\n", "line 2: rank 'nan'"),
    "rank float": (HEAD + b"7,3,1.0\n", "line 2: rank '1.0'"),
    "rank negative": (HEAD + b"7,3,-1\n", "line 2: rank '-1'"),
    "rank huge": (HEAD + b"7,3,99999999999999999999\n", "line 2: rank '9+'"),
    "rank of another script": (HEAD + "7,3,١\n".encode(), "line 2: rank"),
    "rank missing": (HEAD + b"7,3,1\nu 1,3,1\nu 1,5,3\n", "line 4: rank 3 of user 'u 1' stands where rank 2 should"),
    "rank twice": (HEAD + b"7,3,1\n7,5,1\n", "line 3: rank 1 of user '7' stands where rank 2 should"),
    "too few fields": (HEAD + b"7,3\n", "line 2: has 2 instead of 3 fields"),
    "too many fields": (HEAD + b"7,3,1,1\n", "line 2: has 4 instead of 3 fields"),
    "open quote": (HEAD + b'7,3,1\n"7,3,1\n', "line 3: "),
    "nul": (HEAD + b"7,3,\x00\n", "line 2: "),
    "gzip cut": (gzip.compress(HEAD * 999)[:40], "truncated"),
    "long line": (HEAD + b"7" * (1 << 21), "line 2: "),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gives_one_line_with_place_and_reason(tmp_path: Path, name: str) -> None:
    content, pattern = BAD[name]
    path = tmp_path / "bad lists.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"bad lists.csv: .*{pattern}") as caught:
        read_ranked_lists(path, USERS, ITEMS)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400


# --- keys and names ---------------------------------------------------------------------------------------------------


def test_the_key_covers_everything_that_determines_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(name: str = "x", sha256: str = "0", fingerprint: str = "f", quantile: float = 0.9) -> str:
        prepared: Any = SimpleNamespace(fingerprint=fingerprint, summary={"protocol": {"quantile": quantile}})
        return external.key_of(External(name, Path("x.csv")), prepared, sha256)

    keys = [key(), key(name="y"), key(sha256="1"), key(fingerprint="g"), key(quantile=0.8)]
    for version in ("protocol", "evaluation", "external"):
        with monkeypatch.context() as later:
            later.setattr(external, "VERSIONS", external.VERSIONS | {version: external.VERSIONS[version] + 1})
            keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]


def test_names_are_shown_as_given_without_the_path() -> None:
    texts = ["/some/where/My Run.tsv.gz", "../BERT4Rec=a=b.csv", "x$_y$ <b>=m.csv", "漢字=m.csv", "á=../m.csv"]
    given = parse_externals(texts)
    assert [external.name for external in given] == ["My Run", "BERT4Rec=a=b", "x$_y$ <b>", "漢字", "á"]
    assert given[0].method == "external-my-run"
    assert all("/" not in external.method and external.method.isascii() for external in given)
    assert len({external.method for external in given}) == 5


@pytest.mark.parametrize(
    "text", ["", "=x.csv", "name=", ".csv", "a\nb=x.csv", "_x=x.csv", "x" * 61 + "=x.csv", "$x=x.csv"]
)
def test_a_name_that_cannot_be_shown_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="NAME=FILE") as caught:
        External.parse(text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["a/mine.csv", "b/Mine.csv", "--dataset", "ml-1m"],
        ["mine.csv"],
        ["mine.csv", "--dataset", "ml-1m,beauty"],
        ["mine.csv", "--dataset", "ml-1m", "--interactions", "my.csv"],
    ],
)
def test_one_name_one_file_one_dataset(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["score", *words, "--out-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("python -m benchmark score: ")


# --- from the export to the table -------------------------------------------------------------------------------------


class Shop:
    """A user's own interactions with words as ids, after a run of most-popular and an export of the split.

    Uses file order, because under tie draws a user has several histories but would have only one list.
    """

    rules = ("--set", "protocol.ties=file")
    folder = "my-shop/released-ties-file-equal-paper"

    def __init__(self, folder: Path) -> None:
        data = synthetic.generate(300, 60, 4_000, seed=3)
        self.table, self.out, self.split = folder / "My Shop.csv", folder / "out", folder / "split" / "my-shop"
        users, items = np.char.add("u", data.user_ids.astype(str)), np.char.add("i", data.item_ids.astype(str))
        self.frame = pd.DataFrame({"userid": users, "itemid": items, "timestamp": data.timestamps})
        self.frame = self.frame.sample(frac=1, random_state=0)  # nothing may depend on the order of rows
        self.frame.to_csv(self.table, index=False)
        assert self("--engine", "inline", "--stages", "prepare,train") == 0
        assert self.command("export-split", "--to", str(folder / "split")) == 0

    def __call__(self, *words: str) -> int:
        fixed = ["--interactions", str(self.table), "--methods", "popularity", "--seeds", "0"]
        return main([*fixed, "--out-dir", str(self.out), *self.rules, *words])

    def command(self, name: str, *words: str) -> int:
        return command([name, "--interactions", str(self.table), "--out-dir", str(self.out), *self.rules, *words])

    def score(self, *files: str) -> int:
        """Score the files and report; returns the exit code of the first step that fails."""
        return self.command("score", *files) or self("--stages", "report")

    @property
    def store(self) -> Store:
        return Store(self.out / "results")

    @property
    def markdown(self) -> str:
        return (self.out / REPORT / self.folder / "table2.md").read_text()

    def exported(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.split / f"{name}.csv")

    def most_popular(self, length: int = 50, drop_history: bool = True) -> pd.DataFrame:
        """Compute most-popular's lists from the exported files."""
        train, histories, catalogue = map(self.exported, ("train", "test_histories", "catalogue"))
        counts = train["itemid"].value_counts().reindex(catalogue["itemid"])
        ranked = counts.sort_values(ascending=False, kind="stable").index
        lists = []
        for user, history in histories.groupby("userid")["itemid"]:
            shown = [item for item in ranked if not drop_history or item not in set(history)][:length]
            lists += [(user, item, rank) for rank, item in enumerate(shown, start=1)]
        return pd.DataFrame(lists, columns=["userid", "itemid", "rank"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


def test_the_export_is_the_data_without_the_targets(shop: Shop) -> None:
    assert {path.name for path in shop.split.iterdir()} == {
        *("train.csv", "test_histories.csv", "catalogue.csv", "split.json", "README.txt")
    }
    threshold = sorted(shop.frame["timestamp"])[round(0.95 * (len(shop.frame) - 1))]
    ordered = shop.frame.sort_values(["userid", "timestamp"], kind="stable")
    active = set(ordered[ordered["timestamp"] >= threshold]["userid"])
    train = ordered[~ordered["userid"].isin(active)]
    pd.testing.assert_frame_equal(shop.exported("train"), train.reset_index(drop=True))
    assert shop.exported("catalogue")["itemid"].tolist() == sorted(set(train["itemid"]))
    late = ordered[(ordered["timestamp"] >= threshold) & ordered["itemid"].isin(set(train["itemid"]))]
    late = late[late.groupby("userid")["itemid"].transform("size") >= 3]
    without_target = late[late.groupby("userid").cumcount(ascending=False) > 0]
    pd.testing.assert_frame_equal(shop.exported("test_histories"), without_target.reset_index(drop=True))
    facts = json.loads((shop.split / "split.json").read_text())
    assert facts["fingerprint"] == shop.store.records()[0].data["fingerprint"]
    assert (facts["recommendations"]["per_user"], facts["protocol"]["quantile"]) == (50, 0.95)
    assert "python -m benchmark score mine.csv" in (shop.split / "README.txt").read_text()
    assert not list((shop.out / "results").rglob("*.csv")), "original ids stay out of results/"


def test_fractions_of_a_second_are_exported_and_affect_the_split(shop: Shop, tmp_path: Path) -> None:
    frame = shop.frame.assign(timestamp=shop.frame["timestamp"] + np.arange(len(shop.frame)) % 7 / 8)
    frame.to_csv(tmp_path / "fine.csv", index=False)
    words = ["export-split", "--interactions", str(tmp_path / "fine.csv"), "--out-dir", str(tmp_path / "out")]
    assert command([*words, *shop.rules, "--to", str(tmp_path / "split")]) == 0
    exported = pd.read_csv(tmp_path / "split" / "fine" / "test_histories.csv")
    threshold = sorted(frame["timestamp"])[round(0.95 * (len(frame) - 1))]
    assert threshold % 1
    assert exported["timestamp"].min() >= threshold
    known = frame.set_index(["userid", "itemid", "timestamp"]).index
    assert exported.set_index(["userid", "itemid", "timestamp"]).index.isin(known).all()
    assert json.loads((tmp_path / "split" / "fine" / "split.json").read_text())["threshold"] == int(threshold)


@pytest.mark.usefixtures("no_figures")
def test_external_most_popular_gets_the_same_results_as_ours(shop: Shop, tmp_path: Path) -> None:
    shop.most_popular().sample(frac=1, random_state=0).to_csv(tmp_path / "lists.csv")
    assert shop.score(f"Their & popular={tmp_path / 'lists.csv'}") == 0
    (ours,), (theirs,) = (
        [record for record in shop.store.records() if record.method.startswith(method)]
        for method in ("popularity", "external-their-popular-")
    )
    of_scores = {"overlap", "ece"}
    assert theirs.metrics["test"].keys() == ours.metrics["test"].keys() - of_scores
    assert all(theirs.metrics["test"][name] == ours.metrics["test"][name] for name in theirs.metrics["test"])
    arrays, reference = shop.store.arrays(theirs), shop.store.arrays(ours)
    assert arrays is not None
    assert reference is not None
    for name in ("target_buckets", "history_buckets"):
        assert np.array_equal(arrays[name], reference[name]), name
    assert np.array_equal(arrays["top_items"][:, :LISTS_KEPT], reference["top_items"])
    assert theirs.command.startswith("python -m benchmark score ")
    assert "/" not in theirs.command
    # The column, from the store alone.
    shop.table.rename(tmp_path / "gone.csv")
    try:
        assert shop("--stages", "report") == 0
    finally:
        (tmp_path / "gone.csv").rename(shop.table)
    own, added = "<sub>your own</sub><br>Their &amp; popular (external)", "<sub>in addition</sub><br>Most popular"
    assert f"| {own} | {added} |" in shop.markdown
    tex = (shop.out / REPORT / shop.folder / "table2.tex").read_text()
    assert r"Their \& popular" in tex
    frame = pd.read_csv(shop.out / REPORT / shop.folder / "table2.csv")
    means = frame.pivot_table(index="metric", columns="method", values="mean")
    assert (means["popularity"] == means[theirs.method]).all()
    assert dict(zip(frame["method"], frame["role"], strict=True)) == {theirs.method: "own", "popularity": "additional"}
    assert frame["deviation"].isna().all()
    assert "seeds 0;" in shop.markdown


@pytest.mark.usefixtures("no_figures")
def test_unknown_metrics_are_dashes_with_a_note(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists = shop.most_popular(length=12, drop_history=False)
    first = lists["userid"].iloc[0]
    path = tmp_path / "short.tsv"
    lists[lists["userid"] != first].to_csv(path, sep="\t", index=False)
    assert shop.score(str(path)) == 0
    (record,) = (record for record in shop.store.records() if record.method == "external-short")
    known, dropped = record.counts["known_cutoff"], record.counts["history_items_dropped"]
    assert 1 < known < 10
    assert "hr@1" in record.metrics["test"]
    assert not {"hr@10", "ndcg@50", "cov@10"} & record.metrics["test"].keys()
    told = capsys.readouterr().err
    assert f"1 of {record.counts['users']} test users have no list" in told
    assert f"the shortest list then has {known} items" in told
    (head, row) = (line for line in shop.markdown.splitlines() if line.startswith(("| My Shop ", "| hr@10 ")))
    cells = dict(zip(head.strip(" |").split(" | "), row.strip(" |").split(" | "), strict=True))
    assert cells["<sub>your own</sub><br>short (external)"] == "–"
    assert f"{dropped} listed items were dropped" in shop.markdown
    assert f"The shortest of these lists has {known} items: metrics at a larger K are unknown (–)." in shop.markdown


@pytest.mark.usefixtures("no_figures")
def test_the_latest_file_of_a_name_is_shown_and_earlier_ones_are_counted(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "tried.csv"
    for length in (50, 20, 50):
        shop.most_popular(length).to_csv(path, index=False)
        assert shop.score(str(path)) == 0
        (note,) = (line for line in shop.markdown.splitlines() if line.startswith("- tried (external)"))
        assert ("metrics at a larger K" in note) == (length == 20)
    records = [record for record in shop.store.records() if record.method == "external-tried"]
    assert len(records) == 2
    assert note.endswith("Before this file, 1 other file of that name had been scored on the test targets.")


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("length", [50, 12])
def test_recomputing_agrees_with_what_was_scored(shop: Shop, tmp_path: Path, length: int) -> None:
    """Also for short lists: unknown metrics stay unknown. Targets in the history count as masked."""
    path = tmp_path / f"first-{length}.csv"
    lists = shop.most_popular(length)
    lists[lists["userid"] != lists["userid"].iloc[0]].to_csv(path, index=False)
    assert shop.score(str(path)) == 0
    lines: list[str] = []
    prepared = prepare(
        "my-shop", tmp_path, shop.table, Protocol(ties="file"), tmp_path / "cache", shop.store, lines.append
    )
    before = shop.store.records()
    found = recompute(shop.store, prepared, lines.append)
    assert found == {"same": len(before)}
    assert shop.store.records() == before


def test_a_name_cannot_break_a_figure(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.report.report.FIGURES", {"accuracy-coverage": accuracy_and_coverage})
    path = tmp_path / "lists.csv"
    shop.most_popular().to_csv(path, index=False)
    assert shop.score(rf"A $\frac{{$ _x_ <b>={path}") == 0
    assert (shop.out / REPORT.replace("tables", "figures") / shop.folder / "accuracy-coverage.png").exists()
    assert r"A $\\frac{$ \_x\_ &lt;b&gt; (external)" in shop.markdown


def test_an_unusable_file_gives_one_line_and_stores_nothing(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(shop.store.records())
    good, bad = tmp_path / "good one.csv", tmp_path / "bad.csv"
    shop.most_popular().to_csv(good, index=False)
    bad.write_text("userid,itemid,rank\nu1,nowhere,1\n")
    for path in (bad, tmp_path / "absent.csv", tmp_path):
        assert shop.score(str(good), f"x={path}") == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("python -m benchmark score: ")
        assert path.name in last
    assert len(shop.store.records()) == before


def test_nothing_is_overwritten_and_nothing_published(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for place in (shop.split, shop.table, shop.out / "results" / "new", shop.out / "tables"):
        assert shop.command("export-split", "--to", str(place)) == 2
        errors = capsys.readouterr().err.splitlines()
        assert len(errors) == 1
        assert str(place) in errors[0]


def test_the_export_follows_history_and_ties_of_the_protocol(shop: Shop, tmp_path: Path) -> None:
    rules = ["--set", "protocol.history=full", "--set", "protocol.ties=shuffle:1"]
    assert shop.command("export-split", "--to", str(tmp_path), *rules) == 0
    histories = pd.read_csv(tmp_path / "my-shop" / "test_histories.csv")
    assert len(histories) > len(shop.exported("test_histories"))
    assert (histories.groupby("userid")["timestamp"].diff().dropna() >= 0).all()
    known = shop.frame.set_index(["userid", "itemid", "timestamp"]).index
    assert histories.set_index(["userid", "itemid", "timestamp"]).index.isin(known).all()
    assert " mine.csv " in (tmp_path / "my-shop" / "README.txt").read_text()
    assert " ".join(rules) in (tmp_path / "my-shop" / "README.txt").read_text()


@pytest.mark.parametrize("to", ["export-split", "score"])
def test_tie_draws_are_refused(shop: Shop, tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]) -> None:
    shop.most_popular().to_csv(tmp_path / "lists.csv", index=False)
    place = ["--to", str(tmp_path / "split")] if to == "export-split" else [str(tmp_path / "lists.csv")]
    assert shop.command(to, *place, "--set", "protocol.ties=draws") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "under protocol.ties=draws a user has several histories" in error


def test_external_recommendations_need_masked_histories(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert shop.command("score", "lists.csv", "--set", "evaluation.mask_seen=false") == 2
    assert "lists are scored with the users' histories masked" in capsys.readouterr().err


@pytest.mark.usefixtures("no_figures")
def test_external_runs_are_exported_with_the_others(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "lists.csv"
    shop.most_popular().to_csv(path, index=False)
    alone, archive = ["--out-dir", str(tmp_path / "alone")], str(tmp_path / "runs.tar.gz")
    assert shop.command("score", str(path), *alone) == 0
    assert shop("--stages", "report", *alone) == 1, "our own run is not there"
    assert shop.command("export", "--to", archive, *alone) == 0
    store = Store(tmp_path / "alone" / "results")
    assert [record.method for record in store.records()] == ["external-lists"]
    table = (tmp_path / "alone" / REPORT / shop.folder / "table2.md").read_text()
    assert "| My Shop | lists (external) |" in table
    there = ["--out-dir", str(tmp_path / "there")]
    assert command(["import", archive, *there]) == 0
    assert shop("--stages", "report", *there) == 1
    assert (tmp_path / "there" / REPORT / shop.folder / "table2.md").read_text() == table
