"""Opening plain, gzip, zip and tar files, and refusing damaged and hostile ones."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from datasets.interactions import DataError
from datasets.readers import sources
from datasets.readers.sources import open_source

TEXT = b"1::2::3::978300760\n" * 1000


def content_of(path: Path, member: str | None = None) -> bytes:
    with open_source(path, member) as stream:
        return stream.read()


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tar_bytes(members: dict[str, bytes], mode: str = "w") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_plain_and_gzip_are_told_apart_by_content(tmp_path: Path) -> None:
    assert content_of(write(tmp_path / "plain", TEXT), "ratings.dat") == TEXT
    assert content_of(write(tmp_path / "a.gz", gzip.compress(TEXT))) == TEXT
    assert content_of(write(tmp_path / "not-really.gz", TEXT)) == TEXT
    assert content_of(write(tmp_path / "empty", b"")) == b""


@pytest.mark.parametrize("mode", ["w", "w:gz"])
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
            DataError, match="holds no file called x" if member else "is an archive; unpack it"
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


def test_links_are_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("x")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(link)
    info = zipfile.ZipInfo("x")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(info, "/etc/passwd")
    for name in ("a.tar", "a.zip"):
        with pytest.raises(DataError, match="is a link or a device"):
            content_of(tmp_path / name, "x")


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ALWAYS_ALLOWED_BYTES", 1 << 16)
    bomb = bytes(1 << 24)
    paths = [
        write(tmp_path / "a.gz", gzip.compress(bomb)),
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
        ("a.zip", bytearray(write_zip(tmp_path / "whole.zip", {"x": TEXT}).read_bytes())),
    ):
        content[60] ^= 0xFF
        with pytest.raises(DataError, match="truncated or damaged"):
            content_of(write(tmp_path / name, bytes(content)), "x")


def test_what_is_no_readable_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        content_of(tmp_path / "absent")
    with pytest.raises(DataError, match="is a directory"):
        content_of(tmp_path)
