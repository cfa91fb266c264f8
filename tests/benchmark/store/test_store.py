"""The store: round trips, damaged files, faults while writing, concurrent writers, and archives."""

from __future__ import annotations

import errno
import fcntl
import gzip
import io
import multiprocessing
import os
import signal
import stat
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from benchmark.store import archive
from benchmark.store import atomic_files as atomic
from benchmark.store.atomic_files import StoreError
from benchmark.store.npz import to_npz
from benchmark.store.record import RunRecord
from benchmark.store.schema import RecordError
from benchmark.store.store import Store


def run_path(store: Store, record: RunRecord) -> Path:
    return store.root / record.dataset / "runs" / record.method / f"{record.key}-s{record.seed}"


def files(root: Path) -> dict[str, bytes]:
    """Read all files below a directory, including hidden ones."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


# Saving and finding


def test_a_saved_run_comes_back(store: Store, handmade: Callable[..., Any], notes: list[str]) -> None:
    maker = handmade()
    record, arrays = maker.record(), maker.arrays()
    assert store.save(record, arrays) == run_path(store, record)
    assert store.find("ml-1m", "sasrec-ce", record.key, 0) == record
    assert store.records() == store.records("ml-1m") == [record]
    assert store.datasets() == ["ml-1m"]
    back = store.arrays(record)
    assert back is not None
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype
    assert notes == []
    assert set(files(store.root)) == {
        f"ml-1m/runs/sasrec-ce/{record.key}-s0/record.json",
        f"ml-1m/runs/sasrec-ce/{record.key}-s0/arrays.npz",
    }


def test_missing_files_give_no_warning(store: Store, notes: list[str]) -> None:
    assert store.find("ml-1m", "sasrec-ce", "0" * 16, 0) is None
    assert store.records() == store.records("ml-1m") == []
    assert store.data("ml-1m") is None
    assert store.selection("ml-1m", "released-equal-paper") == {}
    assert store.datasets() == []
    assert notes == []
    assert not store.root.exists()


def test_equal_arrays_give_equal_bytes(handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = handmade().arrays()
    before = to_npz(arrays)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    fortran = {name: np.asfortranarray(array) for name, array in reversed(arrays.items())}
    assert to_npz(fortran) == before


def test_a_failed_run_needs_no_arrays_and_is_replaced(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    failed = maker.record(status="failed", error={"type": "OSError", "message": "full", "traceback": "..."})
    store.save(failed, {})
    assert store.records() == [failed]
    assert store.arrays(failed) == {}
    done = maker.record()
    store.save(done, maker.arrays())
    assert store.records() == [done]


def test_a_done_run_is_replaced_only_if_asked(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    first = maker.record(test={"ndcg@10": 0.05})
    second = maker.record(test={"ndcg@10": 0.04})
    store.save(first, maker.arrays())
    with pytest.raises(StoreError, match="done already"):
        store.save(second, maker.arrays())
    assert store.records() == [first]
    store.save(second, maker.arrays(), overwrite=True)
    assert store.records() == [second]


def test_invalid_records_and_arrays_are_not_saved(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    with pytest.raises(RecordError, match="array ranks: shape"):
        store.save(maker.record(), maker.arrays() | {"ranks": np.ones(7, dtype=np.int32)})
    with pytest.raises(RecordError, match="field selected_epoch"):
        store.save(maker.record(selected_epoch=-1), maker.arrays())
    assert not store.root.exists()


@pytest.mark.parametrize("name", ["", ".hidden", "..", "a/b", "a b", "Ä", "-x", "../../x"])
def test_a_name_that_cannot_be_a_path_component_is_refused(
    store: Store, handmade: Callable[..., Any], name: str
) -> None:
    record = handmade().record()
    with pytest.raises(StoreError, match="cannot be part of a path"):
        store.save(replace(record, spec=record.spec | {"dataset": name}), handmade().arrays())
    with pytest.raises(StoreError, match="cannot be part of a path"), store.claim(name):
        pass
    assert not store.root.exists()


# Damage


@pytest.mark.parametrize("file", ["record.json", "arrays.npz"])
@pytest.mark.parametrize("damage", ["empty", "half", "noise", "gone"])
def test_a_damaged_run_counts_as_absent_and_is_named_once(
    store: Store, handmade: Callable[..., Any], notes: list[str], file: str, damage: str
) -> None:
    maker = handmade()
    record, other = maker.record(seed=0), maker.record(seed=1)
    store.save(record, maker.arrays())
    store.save(other, maker.arrays())
    path = run_path(store, record) / file
    content = path.read_bytes()
    third = len(content) // 3
    noisy = content[:third] + bytes(byte ^ 0xFF for byte in content[third : 2 * third]) + content[2 * third :]
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "half": content[: len(content) // 2], "noise": noisy}[damage])
    assert store.records() == store.records() == [other]
    assert store.find("ml-1m", "sasrec-ce", record.key, 0) is None
    assert len(notes) == (0 if (file, damage) == ("record.json", "gone") else 1)
    assert all(str(path) in note and "absent" in note and "\n" not in note for note in notes)
    store.save(record, maker.arrays())
    assert store.records() == [record, other]


def test_pickled_arrays_are_refused(store: Store, handmade: Callable[..., Any], notes: list[str]) -> None:
    maker = handmade()
    record = maker.record()
    store.save(record, maker.arrays())
    np.savez_compressed(run_path(store, record) / "arrays.npz", ranks=np.array([{"a": 1}], dtype=object))
    assert store.records() == []
    assert len(notes) == 1
    assert "Object arrays cannot be loaded" in notes[0]


def test_a_record_in_the_wrong_place_is_not_used(store: Store, handmade: Callable[..., Any], notes: list[str]) -> None:
    maker = handmade()
    record = maker.record()
    store.save(record, maker.arrays())
    run_path(store, record).rename(run_path(store, record).with_name(f"{record.key}-s7"))
    assert store.records() == []
    assert "belongs" in notes[0]


# Faults while writing


def test_a_full_disk_gives_one_line_and_loses_nothing(
    store: Store, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = handmade()
    store.save(maker.record(seed=0), maker.arrays())
    before = files(store.root)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for attempt in (
        lambda: store.save(maker.record(seed=1), maker.arrays()),
        lambda: store.save(maker.record(seed=0), maker.arrays(), overwrite=True),
        lambda: maker.write_data(store),
    ):
        with pytest.raises(StoreError) as caught:
            attempt()
        assert "No space left" in str(caught.value)
        assert "free some space" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert files(store.root) == before


def test_a_directory_that_cannot_be_written_gives_one_line(
    tmp_path: Path, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match=r"results.*choose another --out-dir"):
        Store(tmp_path / "results").save(handmade().record(), handmade().arrays())

    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / ".locks").write_text("a file")
    with pytest.raises(StoreError, match=r"File exists.*a file stands where a directory is needed.*another --out-dir"):
        Store(tmp_path / "blocked").save(handmade().record(), handmade().arrays())

    def read_only(path: Any, *_: Any) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(StoreError, match=r"Read-only file system.*make it writable or choose another --out-dir"):
        Store(tmp_path / "elsewhere").save(handmade().record(), handmade().arrays())


class Killed(BaseException):
    """Simulates kill -9."""


def killed(*_: Any, **__: Any) -> None:
    raise Killed


def leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the clean-up code, which a killed process would not run."""
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    monkeypatch.setattr(atomic, "_restore_or_remove", lambda _: None)


def test_the_next_start_removes_leftovers_of_a_killed_writer(
    store: Store, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, notes: list[str]
) -> None:
    maker = handmade()
    store.save(maker.record(seed=0), maker.arrays())
    before = files(store.root)
    with monkeypatch.context() as dying:
        leave_nothing_behind(dying)
        dying.setattr(os, "rename", killed)
        with pytest.raises(Killed):
            store.save(maker.record(seed=1), maker.arrays())
    assert len(files(store.root)) == 4
    assert [record.seed for record in store.records()] == [0]
    Store(store.root, notes.append)
    assert files(store.root) == before
    assert notes == []


def test_a_writer_killed_between_the_two_renames_loses_nothing(
    store: Store, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = handmade()
    first = maker.record(test={"ndcg@10": 0.05})
    store.save(first, maker.arrays())
    before = files(store.root)
    rename = os.rename

    def only_aside(source: Path, target: Path) -> None:
        if not Path(target).name.startswith(".old-"):
            raise Killed
        rename(source, target)

    with monkeypatch.context() as dying:
        leave_nothing_behind(dying)
        dying.setattr(os, "rename", only_aside)
        with pytest.raises(Killed):
            store.save(maker.record(test={"ndcg@10": 0.04}), maker.arrays(), overwrite=True)
    assert store.records() == []
    assert Store(store.root).records() == [first]
    assert files(store.root) == before


def test_a_writer_killed_twice_in_the_same_place_does_not_block_the_next(
    store: Store, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory that was moved aside is still there when the next one has to be moved aside."""
    maker = handmade()
    store.save(maker.record(test={"ndcg@10": 0.05}), maker.arrays())
    with monkeypatch.context() as dying:
        leave_nothing_behind(dying)
        store.save(maker.record(test={"ndcg@10": 0.04}), maker.arrays(), overwrite=True)  # dies before it tidies up
    assert list(store.root.rglob(".old-*"))
    last = maker.record(test={"ndcg@10": 0.03})
    store.save(last, maker.arrays(), overwrite=True)
    assert store.records() == [last]
    assert not list(store.root.rglob(".old-*"))


def test_content_is_synced_before_the_rename_and_the_directory_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a power failure could lose the content or undo the rename."""
    events: list[str] = []
    fsync, rename, replace_file = os.fsync, os.rename, os.replace

    def kind(handle: int) -> str:
        return "directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"

    def renaming(move: Callable[..., None]) -> Callable[..., None]:
        def moved(source: Path, target: Path) -> None:
            events.append("rename")
            move(source, target)

        return moved

    monkeypatch.setattr(os, "fsync", lambda handle: (events.append(f"sync {kind(handle)}"), fsync(handle)))
    monkeypatch.setattr(os, "rename", renaming(rename))
    monkeypatch.setattr(os, "replace", renaming(replace_file))
    atomic.write_file(tmp_path / "file", b"content")
    assert events == ["sync file", "rename", "sync directory"]
    events.clear()
    atomic.write_directory(tmp_path / "folder", {"a": b"1", "b": b"2"})
    assert events == ["sync file", "sync file", "sync directory", "rename", "sync directory"]


def test_a_file_that_a_living_process_is_writing_is_not_swept(store: Store) -> None:
    path = store.checkpoint_path("0123456789abcdef")
    path.parent.mkdir(parents=True)
    fresh, dead = (path.with_name(f".tmp-{name}.pt") for name in ("living", "dead"))
    dead.write_bytes(b"half")
    with FileLock(fresh):
        Store(store.root)
        assert fresh.exists()
        assert not dead.exists()
    Store(store.root)
    assert not fresh.exists()


def test_a_file_is_locked_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_file, swept = os.replace, []

    def sweep_first(source: Path, target: Path) -> None:
        atomic.sweep(tmp_path)
        swept.append(source)
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", sweep_first)
    atomic.write_file(tmp_path / "file", b"content")
    assert files(tmp_path) == {"file": b"content"}
    assert swept


def test_a_file_that_is_swept_before_it_is_locked_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, swept = fcntl.flock, []

    def sweep_first(handle: Any, how: int) -> None:
        if not swept:
            swept.extend(tmp_path.glob(".tmp-*"))
            swept[0].unlink()
        flock(handle, how)

    monkeypatch.setattr("fcntl.flock", sweep_first)
    atomic.write_file(tmp_path / "file", b"content")
    assert files(tmp_path) == {"file": b"content"}
    assert swept


def test_a_lock_file_that_is_removed_while_waiting_is_created_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder removes the file before releasing the lock. A lock on the removed file would be worthless."""
    flock, key, removed = fcntl.flock, "0123456789abcdef", []

    def remove_first(handle: Any, how: int) -> None:
        if not removed:
            removed.extend(store.root.glob(".locks/*"))
            removed[0].unlink()
        flock(handle, how)

    monkeypatch.setattr("fcntl.flock", remove_first)
    with atomic.lock(store.root / ".locks" / key, wait=True) as mine:
        assert mine
        with atomic.lock(store.root / ".locks" / key, wait=False) as second:
            assert not second
    assert removed


def test_the_next_start_removes_claims_and_checkpoints_of_done_runs(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    done, interrupted = maker.record(seed=0), maker.record(seed=1, status="interrupted")
    store.save(done, maker.arrays())
    store.save(interrupted, {})
    before = files(store.root)
    for record in (done, interrupted):
        checkpoint = store.checkpoint_path(record.key)
        checkpoint.parent.mkdir(exist_ok=True)
        checkpoint.write_bytes(b"state")
    (store.root / ".locks" / f"run-{done.key}").touch()
    (store.root / ".locks" / "run-0123456789abcdef").touch()
    Store(store.root)
    kept = str(store.checkpoint_path(interrupted.key).relative_to(store.root))
    assert files(store.root) == before | {kept: b"state"}


def test_the_checkpoint_of_a_killed_run_without_a_record_stays(store: Store) -> None:
    """kill -9 leaves no record, and the next start resumes from the checkpoint."""
    checkpoint = store.checkpoint_path("0123456789abcdef")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"state")
    Store(store.root)
    assert checkpoint.read_bytes() == b"state"


def test_the_checkpoint_of_a_run_that_another_process_holds_stays(store: Store, handmade: Callable[..., Any]) -> None:
    """With --overwrite all, a run that is done may be executed again."""
    maker = handmade()
    record = maker.record()
    store.save(record, maker.arrays())
    checkpoint = store.checkpoint_path(record.key)
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"state")
    with store.claim(record.key) as mine:
        assert mine
        Store(store.root)
        assert checkpoint.exists()
    Store(store.root)
    assert not checkpoint.exists()


def test_leftovers_outside_of_the_store_are_swept_too(tmp_path: Path) -> None:
    deep = tmp_path / "tables" / "ml-1m"
    deep.mkdir(parents=True)
    (deep / ".tmp-0-table2.md").write_text("half")
    (deep / "table2.md").write_text("whole")
    with FileLock(deep / ".tmp-1-table3.md"):
        atomic.sweep(tmp_path / "tables")
        atomic.sweep(tmp_path / "absent")
        assert set(files(tmp_path)) == {"tables/ml-1m/table2.md", "tables/ml-1m/.tmp-1-table3.md"}


# Two at once


def hold_claim(root: Path, key: str, held: Any) -> None:
    """In another process: claim a run and never release it."""
    with Store(root).claim(key) as mine:
        held.put(mine)
        signal.pause()


def test_a_claim_excludes_others_and_dies_with_its_process(store: Store) -> None:
    key = "0123456789abcdef"
    context = multiprocessing.get_context("fork")
    held = context.Queue()
    other = context.Process(target=hold_claim, args=(store.root, key, held))
    other.start()
    assert held.get(timeout=30) is True
    with store.claim(key) as mine:
        assert not mine
    with store.claim("another") as mine:
        assert mine
    assert other.pid is not None
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    with store.claim(key) as mine:
        assert mine
        with Store(store.root).claim(key) as second:
            assert not second
    assert files(store.root) == {}


def save_many(root: Path, maker: Any, seeds: range) -> None:
    """In another process: save some runs and their protocols."""
    store = Store(root)
    for seed in seeds:
        store.save(maker.record(seed=seed), maker.arrays())
        maker.write_data(store, label=f"label-{seed}")


def test_concurrent_writers_lose_nothing(store: Store, handmade: Callable[..., Any]) -> None:
    context = multiprocessing.get_context("fork")
    parts = [range(i, i + 5) for i in (0, 5, 10)]
    writers = [context.Process(target=save_many, args=(store.root, handmade(), part)) for part in parts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
        assert writer.exitcode == 0
    assert sorted(record.seed for record in store.records()) == list(range(15))
    data = store.data("ml-1m")
    assert data is not None
    assert set(data["protocols"]) == {f"label-{seed}" for seed in range(15)}


# data.json and selection.json


def test_protocols_are_merged_into_data_json(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    maker.write_data(store, "released")
    store.write_data("ml-1m", "text", {"threshold": np.int64(5)}, title="ML-1M", synthetic=False)
    store.write_data("ml-1m", "text", {"threshold": 6}, title="ML-1M", synthetic=False)
    data = store.data("ml-1m")
    assert data is not None
    assert (data["dataset"], data["title"], data["synthetic"]) == ("ml-1m", "ML-1M", False)
    assert data["protocols"]["released"]["threshold"] == 993074255
    assert data["protocols"]["text"] == {"threshold": 6}


@pytest.mark.parametrize("content", ["", "[]", "null", '{"protocols": []}', '{"protocols": {"a": 1}}', "[" * 100_000])
def test_a_damaged_data_file_counts_as_absent(
    store: Store, handmade: Callable[..., Any], notes: list[str], content: str
) -> None:
    handmade().write_data(store)
    path = store.root / "ml-1m" / "data.json"
    path.write_text(content)
    assert store.data("ml-1m") is None
    assert len(notes) == 1
    assert str(path) in notes[0]
    handmade().write_data(store)
    assert store.data("ml-1m") is not None


def test_choices_are_stored_per_setting_and_written_only_if_new(store: Store) -> None:
    store.write_selection("ml-1m", "released-equal-paper", "btsr", {"choice": "btsr-ce"})
    store.write_selection("ml-1m", "text-equal-paper", "btsr", {"choice": "btsr-sce"})
    assert store.selection("ml-1m", "released-equal-paper") == {"btsr": {"choice": "btsr-ce"}}
    assert store.selection("ml-1m", "text-equal-paper") == {"btsr": {"choice": "btsr-sce"}}
    store.write_selection("ml-1m", "released-equal-paper", "sasrec", {"choice": "sasrec-ce"})
    assert store.selection("ml-1m", "released-equal-paper").keys() == {"btsr", "sasrec"}
    path = store.root / "ml-1m" / "selection.json"
    written = path.stat().st_mtime_ns
    store.write_selection("ml-1m", "released-equal-paper", "btsr", {"choice": "btsr-ce"})
    assert path.stat().st_mtime_ns == written


# Archives


def test_runs_travel_in_an_archive(tmp_path: Path, handmade: Callable[..., Any], notes: list[str]) -> None:
    here, there, maker = Store(tmp_path / "here"), Store(tmp_path / "there", notes.append), handmade()
    records = [maker.record(seed=seed) for seed in range(3)]
    for record in records:
        here.save(record, maker.arrays())
    here.save(maker.record("btsr-ce", status="failed"), {})
    maker.write_data(here, "released")
    maker.write_data(there, "text")
    there.save(records[0], maker.arrays())

    assert here.export_archive(tmp_path / "runs.tar.gz") == 3
    summary = there.import_archive(tmp_path / "runs.tar.gz")
    assert summary == {"imported": 2, "already done": 1}
    assert there.records() == records
    data = there.data("ml-1m")
    assert data is not None
    assert set(data["protocols"]) == {"released", "text"}
    assert there.import_archive(tmp_path / "runs.tar.gz")["already done"] == 3
    assert notes == []


def test_an_archive_holds_the_runs_asked_for_and_is_reproducible(
    store: Store, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = handmade()
    records = [maker.record(seed=seed) for seed in range(3)]
    for record in records:
        store.save(record, maker.arrays())
    first, second = store.root.parent / "first.tar.gz", store.root.parent / "second.tar.gz"
    assert store.export_archive(first, {records[1].key}) == 1
    with monkeypatch.context() as later:
        later.setattr("time.time", lambda: 2_000_000_000.0)
        assert store.export_archive(second, {records[1].key}) == 1
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive_file:
        assert archive_file.getnames() == [
            f"{run_path(store, records[1]).relative_to(store.root)}/{name}" for name in ("record.json", "arrays.npz")
        ]


def test_an_import_replaces_nothing_that_is_here(
    tmp_path: Path, handmade: Callable[..., Any], notes: list[str]
) -> None:
    here, there, maker = Store(tmp_path / "here"), Store(tmp_path / "there", notes.append), handmade()
    mine, theirs = maker.record(test={"ndcg@10": 0.05}), maker.record(test={"ndcg@10": 0.04})
    here.save(theirs, maker.arrays())
    here.write_data("ml-1m", "released", {"threshold": 1}, title="Their title", synthetic=False)
    there.save(mine, maker.arrays())
    there.write_data("ml-1m", "released", {"threshold": 2}, title="My title", synthetic=False)
    here.export_archive(tmp_path / "runs.tar.gz")
    there.import_archive(tmp_path / "runs.tar.gz")
    assert there.records() == [mine]
    data = there.data("ml-1m")
    assert data is not None
    assert data["title"] == "My title"
    assert data["protocols"] == {"released": {"threshold": 2}}


def test_an_import_replaces_a_run_that_is_not_done_here(tmp_path: Path, handmade: Callable[..., Any]) -> None:
    here, there, maker = Store(tmp_path / "here"), Store(tmp_path / "there"), handmade()
    here.save(maker.record(), maker.arrays())
    there.save(maker.record(status="failed"), {})
    here.export_archive(tmp_path / "runs.tar.gz")
    assert there.import_archive(tmp_path / "runs.tar.gz")["imported"] == 1
    assert there.records() == [maker.record()]


def test_only_done_runs_are_imported(tmp_path: Path, handmade: Callable[..., Any], notes: list[str]) -> None:
    here, there, maker = Store(tmp_path / "here"), Store(tmp_path / "there", notes.append), handmade()
    here.save(maker.record(status="diverged"), maker.arrays())
    archive.write_archive(tmp_path / "runs.tar.gz", files(tmp_path / "here").items())
    summary = there.import_archive(tmp_path / "runs.tar.gz")
    assert summary == {"unusable": 1}
    assert there.records() == []
    assert "the run is diverged, not done" in notes[0]


def test_a_run_whose_key_differs_from_its_folder_is_not_imported(
    tmp_path: Path, handmade: Callable[..., Any], notes: list[str]
) -> None:
    here, there, maker = Store(tmp_path / "here"), Store(tmp_path / "there", notes.append), handmade()
    here.save(maker.record(), maker.arrays())
    members = [(name.replace("-s0/", "-s1/"), content) for name, content in files(tmp_path / "here").items()]
    archive.write_archive(tmp_path / "runs.tar.gz", members)
    assert there.import_archive(tmp_path / "runs.tar.gz")["unusable"] == 1
    assert there.records() == []
    assert "belongs" in notes[0]


def test_a_damaged_run_in_an_archive_is_named_and_left_out(
    tmp_path: Path, handmade: Callable[..., Any], notes: list[str]
) -> None:
    here, there, maker = Store(tmp_path / "here"), Store(tmp_path / "there", notes.append), handmade()
    good, bad = maker.record(seed=0), maker.record(seed=1)
    for record in (good, bad):
        here.save(record, maker.arrays())
    (run_path(here, bad) / "record.json").write_text("{}")
    members = [(name, content) for name, content in files(tmp_path / "here").items()]
    archive.write_archive(tmp_path / "runs.tar.gz", members)
    summary = there.import_archive(tmp_path / "runs.tar.gz")
    assert summary == {"imported": 1, "unusable": 1}
    assert there.records() == [good]
    assert len(notes) == 1
    assert "field key is missing; not imported" in notes[0]


def tar(path: Path, *members: tarfile.TarInfo, content: bytes = b"") -> Path:
    """Write a .tar.gz with hostile members."""
    with tarfile.open(path, "w:gz") as archive_file:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            archive_file.addfile(member, io.BytesIO(content))
    return path


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


RUN = "ml-1m/runs/sasrec-ce/0123456789abcdef-s0"


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("/etc/passwd"),
        tarfile.TarInfo("../outside/data.json"),
        tarfile.TarInfo("ml-1m/../../data.json"),
        tarfile.TarInfo("ml-1m\\data.json"),
        tarfile.TarInfo("ml-1m/other.json"),
        tarfile.TarInfo("ML 1M/data.json"),
        tarfile.TarInfo(".locks/data.json"),
        tarfile.TarInfo("index.html/data.json"),
        tarfile.TarInfo(f"{RUN}/deeper/record.json"),
        link(f"{RUN}/record.json", "/etc/passwd", tarfile.SYMTYPE),
        link(f"{RUN}/record.json", "ml-1m/data.json", tarfile.LNKTYPE),
        link(f"{RUN}/record.json", "", tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.name}-{member.type.decode()}",
)
def test_a_hostile_member_prevents_the_whole_import(
    tmp_path: Path, store: Store, handmade: Callable[..., Any], member: tarfile.TarInfo
) -> None:
    fine = tarfile.TarInfo("ml-1m/data.json")
    path = tar(tmp_path / "hostile.tar.gz", fine, member, content=b'{"protocols": {}}')
    before = files(tmp_path)
    with pytest.raises(StoreError, match=r"hostile\.tar\.gz: refused") as caught:
        store.import_archive(path)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == before


def test_a_bomb_is_refused(tmp_path: Path, store: Store) -> None:
    bomb = tar(tmp_path / "bomb.tar.gz", tarfile.TarInfo(f"{RUN}/arrays.npz"), content=bytes(80 * 2**20))
    with pytest.raises(StoreError, match="archive bomb"):
        store.import_archive(bomb)


@pytest.mark.parametrize(
    "content", [b"", b"garbage", gzip.compress(b"garbage", mtime=0), gzip.compress(b"x" * 5000, mtime=0)]
)
def test_a_file_that_is_not_an_archive_gives_one_line(tmp_path: Path, store: Store, content: bytes) -> None:
    (tmp_path / "runs.tar.gz").write_bytes(content)
    with pytest.raises(StoreError, match=r"runs\.tar\.gz: is not an intact \.tar\.gz archive"):
        store.import_archive(tmp_path / "runs.tar.gz")
    with pytest.raises(StoreError, match=r"absent\.tar\.gz: cannot be read \(No such file"):
        store.import_archive(tmp_path / "absent.tar.gz")


def test_a_truncated_or_corrupted_archive_is_refused_as_a_whole(
    tmp_path: Path, store: Store, handmade: Callable[..., Any]
) -> None:
    here, maker = Store(tmp_path / "here"), handmade()
    for seed in range(3):
        here.save(maker.record(seed=seed), maker.arrays())
    here.export_archive(tmp_path / "runs.tar.gz")
    content = (tmp_path / "runs.tar.gz").read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    for broken in (content[: len(content) // 2], content[:-4], bytes(flipped)):
        (tmp_path / "broken.tar.gz").write_bytes(broken)
        with pytest.raises(StoreError, match=r"broken\.tar\.gz"):
            store.import_archive(tmp_path / "broken.tar.gz")
        assert store.records() == []
