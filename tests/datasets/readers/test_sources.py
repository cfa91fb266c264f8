"""Plain, gzip, zip and tar files are opened; damaged and hostile ones are refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from datasets.interactions import DataError
from datasets.readers import sources
from datasets.readers.sources import open_source
from tests.datasets.files import tar_bytes, write, write_zip

TEXT = b"1::2::3::978300760\n" * 1000


def content_of(path: Path, member: str | None = None) -> bytes:
    with open_source(path, member) as stream:
        return stream.read()


def test_compression_is_recognised_by_content(tmp_path: Path) -> None:
    assert content_of(write(tmp_path / "plain", TEXT), "ratings.dat") == TEXT
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        assert content_of(write(tmp_path / "packed", compress(TEXT))) == TEXT
        assert content_of(write(tmp_path / "packed", gzip.compress(compress(TEXT)))) == TEXT
    assert content_of(write(tmp_path / "not-really.gz", TEXT)) == TEXT
    assert content_of(write(tmp_path / "empty", b"")) == b""


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_searched_for_its_member(tmp_path: Path, mode: str) -> None:
    path = write(tmp_path / "a.tar", tar_bytes({"folder/._x.json": b"no", "folder/x.json": TEXT}, mode))
    assert content_of(path, "x.json") == TEXT


def test_a_zip_is_searched_for_its_member_and_for_a_tar_around_it(tmp_path: Path) -> None:
    assert content_of(write_zip(tmp_path / "a.zip", {"d/README": b"", "d/x": TEXT}), "x") == TEXT
    assert content_of(write_zip(tmp_path / "b.zip", {"d/x": gzip.compress(TEXT)}), "x") == TEXT
    nested = {"Terms.pdf": b"", "Yelp JSON/yelp_dataset.tar": tar_bytes({"x": TEXT})}
    assert content_of(write_zip(tmp_path / "c.zip", nested), "x") == TEXT


@pytest.mark.parametrize("member", ["x", None])
def test_an_archive_without_the_member_is_an_error(tmp_path: Path, member: str | None) -> None:
    for path in (
        write_zip(tmp_path / "a.zip", {"y": TEXT}),
        write(tmp_path / "a.tar", tar_bytes({"y": TEXT})),
        write(tmp_path / "a.tgz", tar_bytes({"y": TEXT}, "w:gz")),
    ):
        with pytest.raises(
            DataError, match="holds no intact file called x" if member else "is an archive; unpack it"
        ) as error:
            content_of(path, member)
        assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "..\\x", "C:\\x"])
def test_members_outside_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    for path in (
        write_zip(tmp_path / "a.zip", {name: TEXT, "x": TEXT}),
        write(tmp_path / "a.tar", tar_bytes({name: TEXT, "x": TEXT})),
    ):
        with pytest.raises(DataError, match="points outside the archive"):
            content_of(path, "x")
    assert sorted(child.name for child in tmp_path.iterdir()) == ["a.tar", "a.zip"]


def change_to_link(info: tarfile.TarInfo) -> None:
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"


def change_to_device(info: tarfile.TarInfo) -> None:
    info.type = tarfile.CHRTYPE


def change_to_sparse_file(info: tarfile.TarInfo) -> None:
    info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.size": "9" * 15, "GNU.sparse.map": "0,1"}


def change_to_old_sparse_file(info: tarfile.TarInfo) -> None:
    info.type = tarfile.GNUTYPE_SPARSE


@pytest.mark.parametrize("change", [change_to_link, change_to_device, change_to_sparse_file, change_to_old_sparse_file])
def test_members_that_are_not_regular_files_are_refused(
    tmp_path: Path, change: Callable[[tarfile.TarInfo], None]
) -> None:
    info = tarfile.TarInfo("x")
    change(info)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(info)
    with pytest.raises(DataError, match="is a link, a device or"):
        content_of(tmp_path / "a.tar", "x")


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("x")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="is a link, a device or"):
        content_of(tmp_path / "a.zip", "x")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_an_endless_tar_header_does_not_fill_memory(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("header")
    info.type, info.size = kind, 1 << 29
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(1 << 9):
            packed.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"is truncated or damaged .*bytes of headers"):
        content_of(path, "x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 24


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_member_of_a_tar_after_folders_long_names_and_large_files(tmp_path: Path, form: int) -> None:
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as archive:
        archive.addfile(folder)
        for name, content in (("folder/" * 12 + "n" * 60, b"y" * 700_001), ("empty", b""), ("folder/x", TEXT)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert content_of(tmp_path / "a.tar", "x") == TEXT


def test_a_damaged_header_before_the_member_is_reported(tmp_path: Path) -> None:
    content = bytearray(tar_bytes({"before": b"y" * 600, "x": TEXT}))
    content[512 * 3] ^= 0xFF
    with pytest.raises(DataError, match="holds no intact file called x"):
        content_of(write(tmp_path / "a.tar", bytes(content)), "x")


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ALWAYS_ALLOWED_BYTES", 1 << 16)
    bomb = bytes(1 << 24)
    paths = [
        write(tmp_path / "a.gz", gzip.compress(bomb)),
        write(tmp_path / "a.bz2", bz2.compress(bomb)),
        write(tmp_path / "a.xz", lzma.compress(bomb)),
        write_zip(tmp_path / "a.zip", {"x": bomb}),
        write(tmp_path / "a.tgz", tar_bytes({"x": bomb}, "w:gz")),
        write_zip(tmp_path / "b.zip", {"x": gzip.compress(bomb)}),
    ]
    for path in paths:
        with pytest.raises(DataError, match="unpacks to more than"):
            content_of(path, "x")


def test_a_bomb_inside_a_gzip_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ALWAYS_ALLOWED_BYTES", 1 << 16)
    layered = gzip.compress(gzip.compress(bytes(1 << 24)))
    with pytest.raises(DataError, match="unpacks to more than"):
        content_of(write(tmp_path / "a.gz", layered))


@pytest.mark.parametrize("cut", [0.5, 0.99])
def test_truncation_is_reported_whatever_the_container(tmp_path: Path, cut: float) -> None:
    noise = bytes((i * i * 7919 + i * 31) % 251 for i in range(200_000))
    write_zip(tmp_path / "whole.zip", {"x": noise})
    containers = {
        "a.gz": gzip.compress(noise),
        "a.bz2": bz2.compress(noise),
        "a.xz": lzma.compress(noise),
        "a.tar": tar_bytes({"x": noise})[: len(noise) + 512],
        "a.tgz": tar_bytes({"x": noise}, "w:gz"),
        "a.zip": (tmp_path / "whole.zip").read_bytes(),
    }
    for name, content in containers.items():
        path = write(tmp_path / name, content[: int(len(content) * cut)])
        with pytest.raises(DataError, match=r"is truncated or damaged .*fetch it again") as error:
            content_of(path, "x")
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_flipped_bits_are_reported(tmp_path: Path) -> None:
    for name, content in (
        ("a.gz", bytearray(gzip.compress(TEXT, mtime=0))),
        ("a.xz", bytearray(lzma.compress(TEXT))),
        ("a.zip", bytearray(write_zip(tmp_path / "whole.zip", {"x": TEXT}).read_bytes())),
    ):
        content[60] ^= 0xFF
        with pytest.raises(DataError, match="truncated or damaged"):
            content_of(write(tmp_path / name, bytes(content)), "x")


@pytest.mark.parametrize("member", ["x", "y"])
def test_the_checksum_is_verified_whichever_member_is_wanted(tmp_path: Path, member: str) -> None:
    content = bytearray(tar_bytes({"x": TEXT, "y": TEXT}, "w:gz"))
    content[-5] ^= 0xFF  # in the CRC of the whole
    with pytest.raises(DataError, match="truncated or damaged"):
        content_of(write(tmp_path / "a.tgz", bytes(content)), member)


def test_anything_but_a_readable_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        content_of(tmp_path / "absent")
    with pytest.raises(DataError, match="is a directory"):
        content_of(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is not a regular file; save its content"):
        content_of(tmp_path / "pipe")
