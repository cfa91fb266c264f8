"""Tars as the standard library writes them are read member by member; what would fill the memory is refused."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable

import pytest

from datasets.readers.tar_members import MAX_HEADER_BYTES, leads_outside, tar_members

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def read(content: bytes) -> list[tuple[str, bytes, bool]]:
    return [(m.name, inside.read(), m.is_file) for m, inside in tar_members(io.BytesIO(content))]


@pytest.mark.parametrize("form", FORMATS)
def test_what_the_standard_library_writes(form: int) -> None:
    long = "folder/" * 12 + "x" * 60
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    files = [("a", b""), ("folder/b", b"x" * 511), (long, b"y" * 513), ("c", b"z" * 512)]
    content = tar((folder, b""), *((tarfile.TarInfo(name), text) for name, text in files), form=form)
    assert read(content) == [("folder", b"", False), *((name, text, True) for name, text in files)]


@pytest.mark.parametrize("form", FORMATS[1:])
def test_names_in_any_script(form: int) -> None:
    assert read(tar((tarfile.TarInfo("é漢" * 40), b"x"), form=form)) == [("é漢" * 40, b"x", True)]


def test_what_is_left_unread_is_passed_over() -> None:
    content = tar(*((tarfile.TarInfo(name), name.encode() * 1000) for name in "abc"))
    names = []
    for member, inside in tar_members(io.BytesIO(content)):
        names.append(member.name)
        inside.read(7)
    assert names == ["a", "b", "c"]


def with_header(kind: bytes, size: int) -> bytes:
    """An extended header that says it is so long, and nothing after it."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_an_endless_header_is_refused_before_it_is_read(kind: bytes) -> None:
    with pytest.raises(tarfile.TarError, match="extended header of"):
        read(with_header(kind, MAX_HEADER_BYTES + 1))


def sparse(info: tarfile.TarInfo) -> None:
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"}


def old_sparse(info: tarfile.TarInfo) -> None:
    info.type = tarfile.GNUTYPE_SPARSE


def link(info: tarfile.TarInfo) -> None:
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"


@pytest.mark.parametrize("change", [sparse, old_sparse, link])
def test_what_is_no_plain_file_is_told(change: Callable[[tarfile.TarInfo], None]) -> None:
    info = tarfile.TarInfo("x")
    change(info)
    assert read(tar((info, b""))) == [("x", b"", False)]


@pytest.mark.parametrize(
    "records", [b"x", b"7 a=b\n", b"5 a=b\n", b"-1 a=b\n", b"6 a=b\n" * 2 + b"6", b"99 a=b\n", b"6 abc\n", b"9" * 7]
)
def test_records_that_are_none(records: bytes) -> None:
    content = with_header(tarfile.XHDTYPE, len(records)) + records.ljust(512, b"\0") + tar()
    with pytest.raises(tarfile.TarError, match="not made of records"):
        read(content)


@pytest.mark.parametrize("size", ["-1", "x", "1" * 20, "١"])
def test_a_size_that_is_none(size: str) -> None:
    info = tarfile.TarInfo("x")
    info.pax_headers = {"size": size}
    with pytest.raises(tarfile.TarError, match="a member of"):
        read(tar((info, b"abc")))


def test_an_end_that_is_missing_and_bytes_that_are_wrong() -> None:
    content = tar((tarfile.TarInfo("x"), b"x" * 600))
    for end in (100, 512, 700, 1024, 1536):
        with pytest.raises(EOFError):
            read(content[:end])
    with pytest.raises(tarfile.TarError):
        read(b"y" + content[1:])


@pytest.mark.parametrize("name", ["/x", "../x", "a/../../x", "\\x", "..\\x", "C:\\x", "c:x", "a\0b"])
def test_names_that_lead_outside(name: str) -> None:
    assert leads_outside(name)
    assert not leads_outside("a/b..c/d.e")
