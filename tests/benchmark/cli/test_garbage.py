"""Garbage in the store, in archives and on the command line is refused in one clear line, or read as what it says."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.plan.config import ConfigError, Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.run_spec import MAX_SETTING, RunSetting
from benchmark.report.query import Results, RunGroup
from benchmark.report.report import FIGURES
from benchmark.report.tables.cost import cost_table
from benchmark.runs.external import External, read_ranked_lists
from benchmark.store.json_text import MAX_DEPTH, parse_json, printable
from benchmark.store.npz import from_npz
from benchmark.store.record import RunRecord, check_arrays
from benchmark.store.schema import RecordError
from benchmark.store.store import Store
from datasets.interactions import DataError
from datasets.protocol import Protocol
from tests.drill import fuzz
from tests.drill.fuzz_archives import NAMES

PROPERTY = settings(
    derandomize=True, deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_a_few_inputs_of_every_kind(tmp_path: Path) -> None:
    reported: list[str] = []
    folder = tmp_path / "files"
    folder.mkdir()
    for target in fuzz.all_targets(folder):
        fuzz.fuzz(target, 12, Random(f"test {target.name}"), fuzz.Tally(), tmp_path, reported.append)
    assert reported == []


@pytest.mark.slow
def test_the_drill_on_a_small_scale(tmp_path: Path) -> None:
    figures = fuzz.drill(tmp_path, 1, lambda _: None, share=0.02)
    assert figures["inputs"] == figures["accepted"] + figures["refused"] > 2000
    assert figures["accepted"] > 100
    assert [figures[name] for name in ("tracebacks", "hangs", "wrong_results", "unclear")] == [0, 0, 0, 0]


class Faulty:
    """A target that accepts wrong content, and fails with an unclear error on one byte."""

    name, place, inputs = "faulty", "file", 0

    def make(self, rng: Random) -> bytes:
        return bytes([rng.randrange(4)])

    def read(self, content: bytes) -> Any:
        if content == b"\0":
            raise KeyError("x")
        if content == b"\1":
            raise DataError("it is wrong")
        return content

    def check(self, content: bytes, result: Any) -> str:
        return "not what it says" if content == b"\2" else ""


def test_the_drill_detects_faults(tmp_path: Path) -> None:
    reported: list[str] = []
    tally = fuzz.Tally()
    fuzz.fuzz(Faulty(), 4, Random(0), tally, tmp_path, reported.append)
    assert (tally.tracebacks, tally.refused, tally.unclear, tally.accepted, tally.wrong_results) == (1, 1, 1, 2, 1)
    assert len(reported) == len(list(tmp_path.iterdir())) == 3
    assert any("KeyError" in line for line in reported)


# --- files of the other readers, compared with the drill's own readings -----------------------------------------------


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The drill's targets by name."""
    return {target.name: target for target in fuzz.all_targets(tmp_path_factory.mktemp("targets"))}


def assert_refused_or_read(target: Any, content: bytes) -> None:
    """Assert that the content is refused in a clear line, or read correctly."""
    try:
        result = target.read(content)
    except fuzz.CLEAR as error:
        problem = fuzz.unclear(str(error), target.place)
    else:
        problem = target.check(content, result)
    assert problem == ""


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Changes, deletions and insertions of bytes, at positions given as shares of the length."""
    share = st.floats(0, 1)
    edits = draw(st.lists(st.tuples(share, share, st.sampled_from("^-+<"), st.binary(max_size=4)), max_size=3))

    def damage(content: bytes) -> bytes:
        for first, last, kind, extra in edits:
            start, end = sorted((round(first * len(content)), round(last * len(content))))
            content = {
                "^": content[:start] + extra + content[start + len(extra) :],
                "-": content[:start] + content[end:],
                "+": content[:start] + extra + content[start:],
                "<": content[:end],
            }[kind]
        return content

    return damage


ranks = st.integers(1, 4).map(str)
odd = st.sampled_from(
    ["", " 7", "0", "-1", "1.0", "1e3", "nan", "9" * 30, '"3"', '"7', "a,b", "7\x00", "é", "<b>", "u 1"]
)
list_rows = st.tuples(st.sampled_from(["7", "é", "007"]), st.sampled_from(["3", "5", "70"]), ranks).map(list)


@PROPERTY
@given(
    rows=st.lists(st.one_of(list_rows, list_rows, list_rows, st.lists(odd, max_size=4)), max_size=5),
    header=st.sampled_from([("user_id", "item_id", "rank"), ("rank", "item", "user"), ("user", "user", "rank"), ()]),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"]),
    ends=st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
)
def test_any_recommendations(
    targets: dict[str, Any], rows: list[list[str]], header: tuple[str, ...], delimiter: str, encoding: str, ends: str
) -> None:
    text = "".join(delimiter.join(row) + ends for row in (header, *rows))
    assert_refused_or_read(targets["recommendations"], text.encode(encoding))


member_names = st.one_of(
    st.sampled_from([*NAMES, "ml-1m/data.json", "ml-1m/runs/sasrec-ce/x-s0/record.json"]), st.text(max_size=12)
)
kinds = st.sampled_from([tarfile.REGTYPE] * 5 + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])


@settings(PROPERTY, max_examples=100)
@given(
    extra=st.lists(st.tuples(member_names, kinds, st.binary(max_size=20)), max_size=2),
    kept=st.sets(st.integers(0, 3)),
    damage=damages(),
    damaged=st.sampled_from(["member", "tar", "gzip", "none"]),
)
def test_any_archive_of_runs(
    targets: dict[str, Any],
    extra: list[tuple[str, bytes, bytes]],
    kept: set[int],
    damage: Callable[[bytes], bytes],
    damaged: str,
) -> None:
    target, buffer = targets["archives of runs"], io.BytesIO()
    whole = [
        (name, tarfile.REGTYPE, content)
        for number, (name, content) in enumerate(target.files.items())
        if number not in kept
    ]
    with tarfile.open(fileobj=buffer, mode="w", errors="surrogateescape") as archive:
        for number, (name, kind, content) in enumerate([*whole, *extra]):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../../x"
            content = damage(content) if damaged == "member" and number == 0 else content
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    tar = damage(buffer.getvalue()) if damaged == "tar" else buffer.getvalue()
    packed = gzip.compress(tar, 1, mtime=0)
    assert_refused_or_read(target, damage(packed) if damaged == "gzip" else packed)


toml_values = st.one_of(
    st.sampled_from(
        ["0", "-1", "1e400", "nan", "inf", "true", "'x'", "[]", "{}", "[0.9, 0.99]", "2026-01-01", "", "1 2"]
    ),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(max_size=5),
)


@settings(PROPERTY, max_examples=100)
@given(
    changes=st.dictionaries(st.floats(0, 1), toml_values, max_size=2),
    damage=damages(),
    whole=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_configuration_file(
    targets: dict[str, Any], changes: dict[float, str], damage: Callable[[bytes], bytes], whole: bool, encoding: str
) -> None:
    target = targets["configuration files"]
    lines = target.content.decode().split("\n")
    settable = [number for number, line in enumerate(lines) if "=" in line]
    for share, value in changes.items():
        number = settable[round(share * (len(settable) - 1))]
        lines[number] = f"{lines[number].partition('=')[0]}= {value}"
    content = "\n".join(lines).encode(encoding, "surrogatepass")
    assert_refused_or_read(target, content if whole else damage(content))


@settings(PROPERTY, max_examples=60)
@given(damage=damages())
def test_any_cache_and_any_checkpoint(targets: dict[str, Any], damage: Callable[[bytes], bytes]) -> None:
    for name in ("caches", "checkpoints"):
        assert_refused_or_read(targets[name], damage(targets[name].content))


@settings(PROPERTY, max_examples=50)
@given(content=st.one_of(st.binary(max_size=99), st.binary(max_size=99).map(lambda tail: b"PK\x03\x04" + tail)))
def test_arbitrary_bytes_are_refused(targets: dict[str, Any], content: bytes) -> None:
    for name in ("caches", "checkpoints", "archives of runs", "configuration files"):
        assert_refused_or_read(targets[name], content)


# --- JSON -------------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab é", max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@PROPERTY
@given(value=json_values)
def test_json_is_read_correctly(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@PROPERTY
@given(document=st.one_of(st.binary(max_size=60), st.text('{}[]",:0123456789eE+-.\\ud8null ', max_size=40)))
def test_arbitrary_json_documents(document: str | bytes) -> None:
    try:
        expected = json.loads(document)
    except ValueError:
        expected = ...
    try:
        found, message = parse_json(document), ""
    except ValueError as error:
        found, message = ..., str(error)
    assert found is ... or found == expected
    assert printable(message) == message


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' is given twice"),
        ('{"x": [{"a": 1, "b": 0, "a": 1}]}', "the key 'a' is given twice"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper than"),
        ("[" * 10**5, "nested deeper than"),
        ("NaN", "NaN is not a JSON number"),
        ("1e400", "beyond the range of floats"),
        ("[-9223372036854775809]", "beyond 64 bits"),
        ("1" * 5000, "digits"),
        ('"\\ud800"', "a character that cannot be shown"),
        ('"a\\u001b[2J"', "a character that cannot be shown"),
        ('{"a\\nb": 1}', "the key .* a character that cannot be shown"),
        ("\ufeff{}".encode("utf-16"), "utf-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b" " * (64 * 2**20 + 1), "bytes, 67108864 are allowed"),
    ],
)
def test_ambiguous_or_excessive_json_is_refused(document: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(document)


def test_a_duplicate_among_very_many_keys_is_found_quickly() -> None:
    keys = ", ".join(f'"{n}": 0' for n in range(200_000))
    with pytest.raises(ValueError, match="the key '7' is given twice"):
        parse_json(f'{{{keys}, "7": 1}}')


# --- records, arrays, data.json, selection.json -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": {"test": {"ndcg@10": 0.1}, "validation": {}, "ties-1": 5}},
        {"metrics": {"test": {"ndcg@10": 1e13}, "validation": {}}},
        {"timings": {"fit_seconds": -1.0}},
        {"timings": {"fit_seconds": 1e300}},
        {"command": "a\nb"},
        {"schema": True},
        {"hardware": {"a": {"b": {"c": [[[[[[[[[[[[[[[0]]]]]]]]]]]]]]]}}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_record_that_a_report_could_not_use_is_refused(handmade: Callable[..., Any], change: dict[str, Any]) -> None:
    content = json.loads(handmade().record().to_json()) | change
    with pytest.raises(RecordError):
        RunRecord.from_json(json.dumps(content), "record.json")


@pytest.mark.parametrize("field", ["items", "test_users"])
def test_a_record_without_items_or_users_is_refused(handmade: Callable[..., Any], field: str) -> None:
    content = json.loads(handmade().record().to_json())
    content["data"][field] = 0
    with pytest.raises(RecordError, match=f"field data.{field} should be greater than or equal to 1"):
        RunRecord.from_json(json.dumps(content), "record.json")


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("ranks", np.array([1, 2, -1, 0])),
        ("ranks", np.array([1, 2, 3607, 0])),
        ("ranks", np.array([1.0, 2.0, np.nan, 0.0])),
        ("target_buckets", np.array([0, 1, 2, 3])),
        ("top_items", np.full((4, 50), 3607)),
        ("score_grid", np.zeros(5)),
        ("calibration_count", np.zeros(5)),
        ("singular_values", np.zeros(5)),
        ("singular_values", np.full(64, np.nan)),
        ("calibration_accuracy", np.full(15, -1.0)),
        ("calibration_confidence", np.full(15, 1e300)),
        ("history_buckets", np.full((4, 3), np.inf)),
        ("ranks", np.array([b"a"] * 4)),
    ],
)
def test_arrays_out_of_bounds_are_refused(handmade: Callable[..., Any], name: str, array: np.ndarray) -> None:
    maker = handmade()
    check_arrays(maker.record(), maker.arrays(), "arrays.npz")
    with pytest.raises(RecordError, match=rf"arrays\.npz: arrays? .*{name}"):
        check_arrays(maker.record(), maker.arrays() | {name: array}, "arrays.npz")


@PROPERTY
@given(content=st.binary(max_size=200))
def test_arbitrary_bytes_are_not_read_as_arrays(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "arrays.npz").write_bytes(content)
    with pytest.raises(RecordError, match="not an intact array file"):
        from_npz(tmp_path / "arrays.npz", "arrays.npz")


def test_reports_handle_missing_densities_empty_bins_and_zero_times(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    records = [
        maker.record("sasrec-ce", timings={"fit_seconds": 0.0, "seconds_per_epoch": None}),
        maker.record("btsr-ce"),
    ]
    arrays = maker.arrays() | {name: np.full(121, np.nan) for name in ("target_density", "negative_density")}
    arrays["calibration_count"] = np.zeros(15)
    groups = [RunGroup("main", record.method, record.method, records=(record,)) for record in records]
    results = Results("ml-1m", "ML-1M", False, RunSetting(), groups, lambda _: arrays)
    assert cost_table(results) is not None
    assert FIGURES["figure2-scores"](results) is not None
    assert FIGURES["reliability"](results) is None


@pytest.mark.parametrize(
    "change",
    [
        {"title": None},
        {"title": "=x"},
        {"dataset": "../x"},
        {"synthetic": 1},
        {"protocols": {"=x": {}}},
        {"protocols": {"released": {"threshold": 10**12}}},
        {"protocols": {"released": {"user_numbers": "1 2,3"}}},
        {"protocols": {"released": {"fingerprint": 5}}},
        {"protocols": {"released": {"protocol": {"filter": "none"}}}},
    ],
    ids=str,
)
def test_data_json_that_no_report_could_use_is_refused(
    store: Store, handmade: Callable[..., Any], notes: list[str], change: dict[str, Any]
) -> None:
    handmade().write_data(store)
    path = store.root / "ml-1m" / "data.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert store.data("ml-1m") is None
    assert len(notes) == 1
    assert not fuzz.unclear(notes[0], str(path))


def test_an_invalid_tuned_value_is_reported_with_its_key() -> None:
    changes = {"sasrec-ce": (("training.learning_rate", "much"),)}
    with pytest.raises(ConfigError, match=r"--hparams tuned: training\.learning_rate: 'much' is not allowed; use"):
        configured("sasrec-ce", changes)


# --- command-line values ----------------------------------------------------------------------------------------------


def configured(method: str, tuned: Any, *assignments: str) -> Any:
    configuration = Configuration("ml-1m", "equal", "paper", assignments, tuned)
    return configuration.spec(DatasetFacts("ML-1M", False, configuration.protocol(Protocol()), "f"), method, 0)


@pytest.mark.parametrize(
    "assignment",
    [
        "training.learning_rate=" + "9" * 150,
        "training.epochs=" + "9" * 5000,
        "training.betas=" + "[" * 3000,
        "training.epochs=3\nvalue = 4",
        "training.epochs=\x1b[2J",
        "training.epochs=\ud800",
        "protocol.ties=shuffle:" + "9" * 30,
    ],
    ids=lambda text: text[:30].encode("unicode_escape").decode(),
)
def test_assignments_that_once_caused_a_traceback(assignment: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured("btsr-ce", {}, assignment)
    assert not fuzz.unclear(str(caught.value), "--set")


def test_the_name_of_a_setting_is_shortened_to_fit_a_path() -> None:
    long = [RunSetting(profile=f"paper-{'x' * 300}-{n}").name for n in range(2)]
    assert len(set(long)) == 2
    assert all(len(name) == MAX_SETTING for name in long)
    assert RunSetting().name == "released-equal-paper"


@pytest.mark.parametrize("text", ["x" * 5000, "a\0b", "\udce9" * 300, "a\x1b=", "=", "\n"])
def test_names_that_cannot_be_a_path_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        External.parse(text)
    assert not fuzz.unclear(str(caught.value), "")


def test_an_endless_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lists.csv"
    path.write_text("user,item,rank," + "x" * 10**6)
    with pytest.raises(DataError, match="line 1: is longer than 65536 bytes") as caught:
        read_ranked_lists(path, np.array([1]), np.array([1]))
    assert not fuzz.unclear(str(caught.value), "lists.csv")
