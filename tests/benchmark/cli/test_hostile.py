"""Files from others cannot do harm: archives, arrays, pickles, and names that try to be paths or markup."""

from __future__ import annotations

import ast
import base64
import csv
import gzip
import hashlib
import html
import io
import os
import re
import resource
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.cli.commands import main as command
from benchmark.cli.main import main
from benchmark.report.report import report
from benchmark.runs.checkpoint import Checkpoint
from benchmark.store.atomic_files import StoreError
from benchmark.store.npz import from_npz, to_npz
from benchmark.store.record import RunRecord
from benchmark.store.schema import RecordError
from benchmark.store.store import Store
from datasets.interactions import DataError
from datasets.readers.sources import MAX_LAYERS, open_source
from datasets.registry import DATASETS
from tests.benchmark.conftest import Handmade, plans_of, records_in
from tests.drill.fuzz_archives import Hostile
from tests.drill.fuzz_report import active_in_html, active_in_latex, formulas_in_csv

ROOT = Path(__file__).resolve().parents[3]
MARKUP = """<script>alert(1)</script></style><img src=x onerror=alert(2)>"'&amp;%_&#{}$^~\\input{x}[y]|`*"""


# --- names and titles -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The files and the page of a report on hostile but well-formed runs, imported from an archive."""
    tmp_path, maker = tmp_path_factory.mktemp("rendered"), Handmade("ml-1m", MARKUP)
    there = Store(tmp_path / "there")
    maker.write_data(there)
    settings = {"title": f"x {MARKUP}"[:60], "file": MARKUP, "sha256": MARKUP}
    records = [
        *(maker.record(method, seed) for method in ("sasrec-ce", "btsr-ce", "popularity") for seed in range(2)),
        maker.record("external-x", settings=settings, counts={"users": MARKUP, "known_cutoff": 50}),
        maker.record("its-own-method"),
    ]
    for record in records:
        odd = {"hardware": {"device": MARKUP}, "versions": {"torch": MARKUP}, "command": MARKUP}
        data = record.data | {"source": MARKUP, "sha256": MARKUP}
        there.save(replace(record, **odd, data=data), maker.arrays())
    there.export_archive(tmp_path / "runs.tar.gz")

    here = Store(tmp_path / "results")
    assert here.import_archive(tmp_path / "runs.tar.gz")["imported"] == len(records)
    error = {"type": "ValueError", "message": MARKUP, "traceback": f"{MARKUP}\n{MARKUP}"}
    here.save(maker.record("sasrec-ce", 7, status="failed", error=error), {})
    made = report(here, tmp_path, plans_of(here), records_in(here), lambda _: None)
    assert made.page is not None
    return tmp_path, made.page


def test_hostile_names_are_only_text_on_the_page(rendered: tuple[Path, Path]) -> None:
    document = rendered[1].read_text(encoding="utf-8")
    assert "alert(1)" in document, "the title is shown"
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', document)
    assert policy is not None
    for element in ("script", "style"):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", document, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in html.unescape(policy[1])
        document = document.replace(f"<{element}>{content}</{element}>", "")
    assert list(active_in_html(document)) == []


def test_hostile_names_are_escaped_in_tables(rendered: tuple[Path, Path]) -> None:
    tables = rendered[0] / "tables" / "ml-1m"
    assert {path.suffix for path in tables.iterdir()} == {".tex", ".md", ".csv"}
    for path in tables.iterdir():
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".tex":
            assert list(active_in_latex(text)) == []
        elif path.suffix == ".md":
            allowed = {"sub", "sup", "em", "ins", "br", "!--"}
            assert set(re.findall(r"<(/?[a-z!-]+)", text)) <= allowed | {f"/{name}" for name in allowed}
        else:
            assert list(formulas_in_csv(list(csv.reader(io.StringIO(text))))) == []


def test_the_checks_detect_active_content() -> None:
    for text in ("<script>", '<a href="javascript:x">', '<b onclick="x">', '<img src="//x/y">', '<a style="x">'):
        assert list(active_in_html(text))
    for text in (r"\input{x}", "50%", "a_b", "$x$", "{", "\\\\\n[x]", "a~b"):
        assert list(active_in_latex(text))
    assert list(formulas_in_csv([["-1.5", "x=1"]])) == []
    assert len(list(formulas_in_csv([["=1", "+1", "@x", "-x", "\tx"]]))) == 5


@pytest.mark.parametrize(
    "title", ["=1+1", "+x", "-x", "@x", "[x", "*", " x", "", "a\nb", "a\x1b[2J", "\ud800", "x" * 201]
)
def test_a_title_with_markup_or_control_characters_is_refused(handmade: Callable[..., Any], title: str) -> None:
    record = handmade().record()
    text = record.to_json().replace('"title": "ML-1M"', f'"title": "{title.encode("unicode_escape").decode()}"', 1)
    with pytest.raises(RecordError):
        RunRecord.from_json(text, "record.json")


def test_own_files_may_have_any_name(tmp_path: Path) -> None:
    table = "userid,itemid,timestamp\n" + "".join(f"u{n // 6 % 30},i{n * n % 11},{n}\n" for n in range(600))
    for number, name in enumerate((b"=1+1 <b>%_&$\xe9.csv", b"a\nb\x1b[2J.csv")):
        path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
        Path(path).write_text(table)
        out = tmp_path / f"out{number}"
        words = ["--interactions", path, "--out-dir", str(out), "--methods", "popularity", "--seeds", "0"]
        assert main([*words, "--stages", "prepare,train", "--set", "protocol.quantile=0.8"]) == 0
        (record,) = Store(out / "results").records()
        assert record.title.isprintable()
        assert record.title[0] not in "=+-@"
        assert out.joinpath("results", record.dataset).is_dir()


def test_ids_are_exported_unchanged(tmp_path: Path) -> None:
    """The files are meant for programs, not for a spreadsheet, as SECURITY.md says."""
    ids = ["=1+1", "a,b", 'so "so"', "<b>", "%_&", "'x'"]
    lines = [(f"{ids[n // 6 % 6]}{n // 6}", ids[n * n % 5], str(n)) for n in range(600)]
    with (tmp_path / "mine.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("userid", "itemid", "timestamp"), *lines])
    words = ["--interactions", str(tmp_path / "mine.csv"), "--out-dir", str(tmp_path), "--set", "protocol.quantile=0.8"]
    words += ["--set", "protocol.ties=file"]
    assert command(["export-split", "--to", str(tmp_path / "split"), *words]) == 0
    written = []
    for name in ("train.csv", "test_histories.csv"):
        with (tmp_path / "split" / "mine" / name).open(newline="") as stream:
            written += list(csv.reader(stream))[1:]
    assert {tuple(line) for line in written} < set(lines)
    assert {line[1] for line in written} == set(ids[:5]) & {line[1] for line in lines}


# --- archives ---------------------------------------------------------------------------------------------------------


def gzip_tar(*headers: bytes, end: bytes = bytes(1024)) -> bytes:
    return gzip.compress(b"".join(headers) + end, 1)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


RUN = "ml-1m/runs/sasrec-ce/0123456789abcdef-s0/record.json"
ARCHIVES = {
    "a name of a gigabyte": gzip_tar(header("x", 2**30, tarfile.GNUTYPE_LONGNAME), bytes(2**25)),
    "a header of a gigabyte": gzip_tar(header("x", 2**30, tarfile.XHDTYPE), bytes(2**25)),
    "a sparse file": gzip_tar(header(RUN, 0, tarfile.GNUTYPE_SPARSE)),
    "a member larger than allowed": gzip_tar(header(RUN, 2**40)),
    "a member of negative size": gzip_tar(header(RUN, -5)),
    "no end": gzip_tar(header(RUN, 0), end=b""),
    "something after a member": gzip_tar(header(RUN, 3), b"{}\n".ljust(512, b"\0"), b"x" * 512),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_export_did_not_write_is_refused_as_a_whole(tmp_path: Path, kind: str) -> None:
    path, root = tmp_path / "runs.tar.gz", tmp_path / "results"
    path.write_bytes(ARCHIVES[kind])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StoreError, match=r"runs\.tar\.gz: (refused|is not an intact)"):
        Store(root).import_archive(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024
    assert not root.exists()


def test_data_json_of_another_dataset_is_not_imported(tmp_path: Path, handmade: Callable[..., Any]) -> None:
    there = Store(tmp_path / "there")
    handmade("beauty", "Beauty").write_data(there)
    info = tarfile.TarInfo("ml-1m/data.json")
    content = (there.root / "beauty" / "data.json").read_bytes()
    info.size = len(content)
    with tarfile.open(tmp_path / "runs.tar.gz", "w:gz") as archive:
        archive.addfile(info, io.BytesIO(content))
    notes: list[str] = []
    here = Store(tmp_path / "here", notes.append)
    here.import_archive(tmp_path / "runs.tar.gz")
    assert here.datasets() == []
    assert len(notes) == 1


def test_nested_gzip_is_refused_beyond_a_limit(tmp_path: Path) -> None:
    content = b"1::2::3::4\n"
    for layers in range(1, MAX_LAYERS + 3):
        content = gzip.compress(content)
        (tmp_path / "x.gz").write_bytes(content)
        if layers <= MAX_LAYERS:
            with open_source(tmp_path / "x.gz") as stream:
                assert stream.read() == b"1::2::3::4\n"
        else:
            with pytest.raises(DataError, match="is compressed more than 3 times"), open_source(tmp_path / "x.gz"):
                pass


def test_a_member_of_a_damaged_tar_is_refused(tmp_path: Path) -> None:
    """The checksum of a .tar.gz comes after its last member."""
    buffer, content = io.BytesIO(), os.urandom(3000)
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=0) as archive:
        info = tarfile.TarInfo("x")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    packed = bytearray(buffer.getvalue())
    packed[packed.find(content[100:200]) + 50] ^= 1
    (tmp_path / "x.tgz").write_bytes(bytes(packed))
    with pytest.raises(DataError, match="truncated or damaged"), open_source(tmp_path / "x.tgz", "x") as stream:
        stream.read()


@pytest.mark.parametrize(
    ("program", "words"), [(main, ["--stages", "prepare", "--interactions"]), (command, ["import"])]
)
def test_a_named_pipe_is_refused_without_waiting(
    tmp_path: Path, program: Callable[[list[str]], int], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "mine.csv")
    found: list[int] = []

    def run() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("signal.signal", lambda *_: None)  # only the main thread may call it
            found.append(program([*words, str(tmp_path / "mine.csv"), "--out-dir", str(tmp_path)]))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert found == [1]
    assert re.search("is (no plain|not a regular) file", capsys.readouterr().err)


# --- pickles ----------------------------------------------------------------------------------------------------------


def npz(**members: bytes) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def test_arrays_are_never_unpickled(tmp_path: Path) -> None:
    content = npy(np.array([Hostile(tmp_path / "mark")], dtype=object))
    with pytest.raises(RecordError, match="pickle"):
        from_npz(npz(ranks=content), "arrays.npz")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "file",
    [
        npz(ranks=npy(np.arange(3)) + b"more"),
        npz(ranks=npy(np.arange(3))[:-1]),
        npz(ranks=b""),
        npz(ranks=b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (10**15,), }"),
        npz(ranks=npy(np.zeros(2**26))),
        io.BytesIO(to_npz({"ranks": np.arange(99)})[:-30]),
    ],
    ids=["too long", "too short", "empty", "expression in the header", "bomb", "no directory"],
)
def test_malformed_arrays_are_refused(file: io.BytesIO) -> None:
    with pytest.raises(RecordError, match=r"arrays\.npz: is not an intact array file"):
        from_npz(file, "arrays.npz")


def test_members_that_are_duplicates_or_not_arrays_are_refused() -> None:
    for name in ("note.txt", "ranks.npy"):
        file = npz(ranks=npy(np.arange(3)))
        with zipfile.ZipFile(file, "a") as archive, pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *_, **__: None)
            archive.writestr(name, npy(np.arange(4)))
        with pytest.raises(RecordError, match="not arrays with distinct names"):
            from_npz(file, "arrays.npz")


def test_checkpoints_run_no_code_and_detect_a_flipped_bit(tmp_path: Path) -> None:
    path, state = tmp_path / "x.pt", {"encoder": {"weight": torch.arange(1000.0)}}
    torch.save({"encoder": Hostile(tmp_path / "mark")}, path)
    assert Checkpoint(path).load() is None
    assert not (tmp_path / "mark").exists()
    torch.save(state, path)
    found = Checkpoint(path).load()
    assert found is not None
    assert torch.equal(found["encoder"]["weight"], state["encoder"]["weight"])
    content = bytearray(path.read_bytes())
    content[content.find(state["encoder"]["weight"][500:510].numpy().tobytes()) + 2] ^= 0x40
    path.write_bytes(bytes(content))
    assert Checkpoint(path).load() is None


# --- the source code --------------------------------------------------------------------------------------------------


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call in the suite's own code with its place."""
    for folder in ("benchmark", "baselines", "datasets"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_the_code_calls_no_shell_and_never_unpickles() -> None:
    found = []
    for place, call in calls():
        name = ast.unparse(call.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        unsafe = name in ("eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "pickle.Unpickler")
        unsafe = unsafe or name.endswith((".extractall", ".extract")) or given.get("shell", "False") != "False"
        unsafe = unsafe or (name == "torch.load" and given.get("weights_only") != "True")
        unsafe = unsafe or (name == "np.lib.format.read_array" and given.get("allow_pickle") != "False")
        unsafe = unsafe or given.get("allow_pickle", "False") != "False"
        if unsafe:
            found.append(f"{place}: {name}")
    assert found == []


def test_downloads_use_https() -> None:
    for dataset in DATASETS.values():
        assert dataset.remote is None or dataset.remote.url.startswith("https://")
