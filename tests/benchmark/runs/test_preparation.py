"""The stage `prepare`: data.json, the cache, warnings and errors."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.runs import preparation
from benchmark.runs.preparation import Prepared, file_sha256, prepare
from benchmark.store.store import Store
from datasets.interactions import DataError, Interactions
from datasets.protocol import Protocol
from datasets.registry import DATASETS

LOOSE = Protocol(quantile=0.8)

KEYS_OF_DATA_JSON = {
    "source",
    "sha256",
    "fingerprint",
    "preset",
    "protocol",
    "user_numbers",
    "threshold",
    "train_users",
    "train_interactions",
    "items",
    "test_users_before_rule",
    "test_users",
    "filter_steps",
    "twinless_share",
    "tied_share",
    "masked_share",
    "raw",
    "filtered",
    "duplicate_rows",
    "bucket_sizes",
    "bucket_interactions",
    "interactions_per_user",
    "density",
}


def csv_bytes(seed: int = 0, users: int = 40, n: int = 800) -> bytes:
    rng = np.random.default_rng(seed)
    who = rng.integers(0, users, n)
    nth = np.array([np.count_nonzero(who[:row] == user) for row, user in enumerate(who)])  # of that user
    what = (rng.integers(0, 40, users)[who] + 7 * nth) % 40  # no user has an item twice
    when = 1_000_000 + rng.integers(0, 100, users)[who] * 1000 + rng.permutation(n)  # no two rows at the same time
    rows = "\n".join(f"{u},{i},{t}" for u, i, t in zip(who, what, when, strict=True))
    return f"userid,itemid,timestamp\n{rows}\n".encode()


@dataclass
class Stage:
    """Runs `prepare` on a table in `directory`. Warnings go to `lines`."""

    directory: Path
    store: Store
    lines: list[str] = field(default_factory=list)

    @property
    def cache_dir(self) -> Path:
        return self.directory / "cache"

    def __call__(self, table: Path, protocol: Protocol = LOOSE, name: str = "mine") -> Prepared:
        return prepare(name, self.directory, table, protocol, self.cache_dir, self.store, self.lines.append)

    def table(self, content: bytes, name: str = "mine.csv") -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path

    def cache(self) -> Path:
        [path] = self.cache_dir.iterdir()
        return path

    def protocols(self, name: str = "mine") -> dict[str, Any]:
        data = self.store.data(name)
        assert data is not None
        return data["protocols"]


@pytest.fixture
def stage(tmp_path: Path, store: Store) -> Stage:
    return Stage(tmp_path, store)


@pytest.fixture
def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """All paths that are read from now on."""
    reads: list[Path] = []
    read = preparation.read_interactions

    def counting(path: Path, *dataset: Any) -> Any:
        reads.append(path)
        return read(path, *dataset)

    monkeypatch.setattr(preparation, "read_interactions", counting)
    return reads


# --- what is recorded ---------------------------------------------------------------------------------------------


def test_data_json_says_what_a_report_needs(stage: Stage) -> None:
    content = csv_bytes()
    prepared = stage(stage.table(content))
    data = stage.store.data("mine")
    assert data is not None
    assert (data["dataset"], data["title"], data["synthetic"]) == ("mine", "mine", False)
    assert set(data["protocols"]) == {"released,quantile=0.8"} == {prepared.label}
    entry = data["protocols"][prepared.label]
    assert entry == prepared.summary
    assert set(entry) == KEYS_OF_DATA_JSON
    assert entry["source"] == "mine.csv"
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert entry["fingerprint"] == prepared.fingerprint == prepared.split.fingerprint()
    assert entry["protocol"]["quantile"] == 0.8
    assert entry["test_users"] == len(prepared.split.events)
    assert [int(number) for number in entry["user_numbers"].split()] == prepared.split.test_user_numbers.tolist()
    assert stage.lines == []


def test_no_path_is_published(stage: Stage) -> None:
    assert str(stage.directory) not in repr(stage(stage.table(csv_bytes())).summary)


def test_another_protocol_gets_an_entry_of_its_own(stage: Stage) -> None:
    table = stage.table(csv_bytes())
    stage(table)
    before = stage.protocols()["released,quantile=0.8"]
    stage(table, Protocol(preset="text", filter="core", quantile=0.8, history="full"))
    assert set(stage.protocols()) == {"released,quantile=0.8", "text,history=full,quantile=0.8"}
    assert stage.protocols()["released,quantile=0.8"] == before


def test_duplicate_rows_are_kept_and_named(stage: Stage) -> None:
    content = csv_bytes()
    prepared = stage(stage.table(content + content.splitlines()[-1] + b"\n"))
    assert prepared.summary["duplicate_rows"] == 1
    assert prepared.summary["raw"]["interactions"] == 801
    assert stage.lines == [
        "mine.csv: rows that repeat an earlier one exactly: 1; they are kept, as the released code keeps them"
    ]


def test_notes_about_the_file_come_from_the_cache_too(stage: Stage, count_reads: list[Path]) -> None:
    table = stage.table(b"".join(line.replace(b",", b" ,", 1) for line in csv_bytes().splitlines(keepends=True)))
    stage(table)
    said = list(stage.lines)
    assert "mine.csv: blanks around the user id were removed in 800 of 800 rows" in said
    stage(table)
    assert stage.lines == said * 2
    assert len(count_reads) == 1


@pytest.mark.parametrize("again", [False, True])
def test_many_masked_targets_give_a_warning(stage: Stage, again: bool) -> None:
    """With every row doubled, all targets are in the history. Without a warning, all metrics would just be 0."""
    header, *rows = csv_bytes().splitlines(keepends=True)
    table = stage.table(header + b"".join(row * 2 for row in rows))
    prepared = stage(table)
    if again:  # from the cache
        stage.lines.clear()
        stage(table)
    assert prepared.summary["masked_share"] == 1.0
    duplicates, warning = stage.lines
    assert duplicates.startswith("mine.csv: rows that repeat an earlier one exactly: 800;")
    assert warning.startswith("mine.csv: 100% of the test targets are in the user's own history")


def test_oddities_of_the_file_are_reported(stage: Stage) -> None:
    header, *lines = csv_bytes().decode().splitlines()
    odd = [f"{line}.5" for line in lines]
    odd[3:5] = [f" {line}" for line in odd[3:5]]
    stage(stage.table("\n".join([header, *odd]).encode()))
    assert stage.lines == [
        "mine.csv: blanks around the user id were removed in 2 of 800 rows",
        "mine.csv: timestamps are read as seconds with 3 decimals, so that their order within a second is kept",
    ]


def test_a_compressed_table_is_the_same_data_as_a_plain_one(stage: Stage) -> None:
    content = csv_bytes()
    plain = stage(stage.table(content))
    packed = stage(stage.table(gzip.compress(content), "mine.csv.gz"))
    assert packed.summary["sha256"] == plain.summary["sha256"]
    assert packed.fingerprint == plain.fingerprint
    assert packed.summary["source"] == "mine.csv.gz"


def test_the_synthetic_dataset_needs_no_file(stage: Stage) -> None:
    protocol = Protocol.of_preset("released", DATASETS["synthetic"].released_filter)
    prepared, again = (
        prepare("synthetic", stage.directory, None, protocol, stage.cache_dir, stage.store, stage.lines.append)
        for _ in range(2)
    )
    assert prepared.synthetic
    assert prepared.label == "released"
    assert prepared.summary["source"] == "embedded synthetic generator"
    assert len(prepared.summary["sha256"]) == 64
    assert again.summary == prepared.summary
    data = stage.store.data("synthetic")
    assert data is not None
    assert data["synthetic"] is True


# --- the cache ----------------------------------------------------------------------------------------------------


def test_the_second_time_nothing_is_read(stage: Stage, count_reads: list[Path]) -> None:
    table = stage.table(csv_bytes())
    first, second = stage(table), stage(table)
    assert count_reads == [table]
    assert second.fingerprint == first.fingerprint
    assert second.summary == first.summary
    assert second.split.test_user_labels.tolist() == first.split.test_user_labels.tolist()


@pytest.mark.parametrize(
    "change",
    [{"history": "full"}, {"ties": "shuffle:1"}, {"quantile": 0.7}, {"min_events": 4}, {"filter": "core"}],
)
def test_another_protocol_is_not_served_from_the_cache(
    stage: Stage, count_reads: list[Path], change: dict[str, Any]
) -> None:
    table = stage.table(csv_bytes())
    stage(table)
    stage(table, Protocol(**{"quantile": 0.8} | change))
    assert len(count_reads) == 2


def test_changed_data_is_not_served_from_the_cache(stage: Stage, count_reads: list[Path]) -> None:
    first = stage(stage.table(csv_bytes(0)))
    second = stage(stage.table(csv_bytes(1)))
    assert len(count_reads) == 2
    assert first.fingerprint != second.fingerprint


def test_the_name_of_the_preset_does_not_matter_to_the_cache(stage: Stage, count_reads: list[Path]) -> None:
    table = stage.table(csv_bytes())
    stage(table)
    stage(table, Protocol(preset="text", quantile=0.8))
    assert len(count_reads) == 1


@pytest.mark.parametrize("version", ["PROTOCOL_VERSION", "READING_VERSION"])
def test_another_version_is_not_served_from_the_cache(
    stage: Stage, count_reads: list[Path], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    table = stage.table(csv_bytes())
    stage(table)
    monkeypatch.setattr(preparation, version, getattr(preparation, version) + 1)
    stage(table)
    assert len(count_reads) == 2


def test_the_same_file_read_in_another_format_is_not_served_from_the_cache(
    stage: Stage, count_reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = stage.table(csv_bytes(), "ml-1m.csv")
    stage(table)
    monkeypatch.setattr(preparation, "locate", lambda *_: table)
    prepare("ml-1m", stage.directory, None, LOOSE, stage.cache_dir, stage.store, stage.lines.append)
    assert len(count_reads) == 2


@pytest.mark.parametrize("column", ["user_ids", "item_ids", "timestamps"])
def test_the_hash_of_generated_data_covers_every_column(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    data = preparation.synthetic.demo(seed=0)
    values = getattr(data, column).copy()
    values[[0, -1]] = values[[-1, 0]]
    assert values[0] != values[-1]

    def sha256(generated: Interactions) -> str:
        monkeypatch.setattr(preparation.synthetic, "demo", lambda seed=0: generated)
        args = ("synthetic", stage.directory, None, Protocol(), stage.cache_dir, stage.store, stage.lines.append)
        return prepare(*args).summary["sha256"]

    assert sha256(data) != sha256(replace(data, **{column: values}))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign", "text"])
def test_a_damaged_cache_is_reported_and_rebuilt(stage: Stage, count_reads: list[Path], damage: str) -> None:
    table = stage.table(csv_bytes())
    first = stage(table)
    content = bytearray(stage.cache().read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        content[len(content) // 3] ^= 0xFF
    elif damage == "empty":
        content = bytearray()
    elif damage == "text":
        content = bytearray(b"no archive at all")
    if damage == "foreign":
        np.savez(stage.cache(), something=np.arange(3))
    else:
        stage.cache().write_bytes(content)
    second = stage(table)
    assert second.fingerprint == first.fingerprint
    assert len(count_reads) == 2
    [line] = stage.lines
    assert str(stage.cache()) in line
    assert "building it again" in line
    assert "\n" not in line
    stage(table)
    assert len(count_reads) == 2


def test_a_cache_with_a_wrong_fingerprint_is_rebuilt(stage: Stage) -> None:
    table = stage.table(csv_bytes())
    first = stage(table)
    with np.load(stage.cache()) as file:
        arrays = dict(file)
    arrays["event_items"] = arrays["event_items"][::-1]
    np.savez(stage.cache(), **arrays)
    assert stage(table).fingerprint == first.fingerprint
    assert "content and fingerprint differ" in stage.lines[0]


def test_preparation_works_without_a_cache_directory(stage: Stage) -> None:
    stage.cache_dir.write_text("a file where the directory should be")
    assert stage(stage.table(csv_bytes())).summary["test_users"] > 0
    [line] = stage.lines
    assert str(stage.cache_dir) in line
    assert line.endswith("going on without a cache")


def test_no_temporary_file_is_left(stage: Stage) -> None:
    stage(stage.table(csv_bytes()))
    assert stage.cache().suffix == ".npz"


# --- data that cannot be used -------------------------------------------------------------------------------------


def test_a_missing_table_gives_one_line(stage: Stage) -> None:
    with pytest.raises(DataError, match=r"^.*absent\.csv: .*$"):
        stage(stage.directory / "absent.csv")


def test_a_directory_instead_of_a_table_gives_one_line(stage: Stage) -> None:
    with pytest.raises(DataError, match=r"^.*: .*$"):
        stage(stage.directory)


def test_a_truncated_file_gives_one_line(stage: Stage) -> None:
    with pytest.raises(DataError, match=r"^.*mine\.csv\.gz: .*$"):
        stage(stage.table(gzip.compress(csv_bytes())[:-900], "mine.csv.gz"))


def test_a_split_that_fails_names_the_file(stage: Stage) -> None:
    table = stage.table(b"userid,itemid,timestamp\n1,1,5\n1,2,6\n")
    with pytest.raises(DataError, match=r"^mine\.csv: only one user; .*$"):
        stage(table)
    assert stage.store.data("mine") is None
    assert not stage.cache_dir.exists()


# --- real data ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sha256"),
    [
        ("ml-1m.csv.gz", "89c4ea62bc76bdb2a1c521e02bf0bc9d836209d484a51f35ffa91160b572aa49"),
        ("beauty.csv.gz", "c51503176eb031cd6f32406df946ae9bc28ff8a0a80179203be27a003ee86842"),
        ("gowalla-1000-users.csv.gz", "5e8f889db2d6d490756b141ad4b3296b833e60690d397d7de0e10764b0ef7cfb"),
    ],
)
def test_the_hash_is_of_the_uncompressed_table(real_data: Callable[[str], Path], name: str, sha256: str) -> None:
    assert file_sha256(real_data(name)) == sha256


@pytest.mark.parametrize(("name", "test_users"), [("ml-1m", 750), ("beauty", 1116)])
def test_published_datasets_through_the_registry(
    real_data: Callable[[str], Path], stage: Stage, name: str, test_users: int
) -> None:
    data_dir = real_data(f"{name}.csv.gz").parent
    protocol = Protocol.of_preset("released", DATASETS[name].released_filter)
    prepared = prepare(name, data_dir, None, protocol, stage.cache_dir, stage.store, stage.lines.append, download=False)
    assert (prepared.label, prepared.title) == ("released", DATASETS[name].title)
    assert prepared.summary["source"] == f"{name}.csv.gz"
    assert prepared.summary["test_users"] == test_users
