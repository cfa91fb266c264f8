"""Ratings in a compressed file, a zip or a tar, hostile or damaged; and what the standard library finds there."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from random import Random

from tests.drill.fuzz_mutations import cut, flipped, mutated

COMPRESSIONS = (lambda content: gzip.compress(content, mtime=0), bz2.compress, lzma.compress)
NAMES = ("ratings.dat", "ml-1m/ratings.dat", "../ratings.dat", "/ratings.dat", "C:\\ratings.dat", "a\nb", "x" * 300)


def packed(rng: Random, content: bytes) -> bytes:
    """In a compressed file, a zip or a tar, mostly whole."""
    pack = rng.choice((_layers, _zip, _tar, lambda *given: rng.choice(COMPRESSIONS)(_tar(*given))))
    whole = pack(rng, content)
    return whole if rng.random() < 0.4 else mutated(rng, whole, (flipped, flipped, cut))


def _layers(rng: Random, content: bytes) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4, 30))):
        content = rng.choice(COMPRESSIONS)(content)
    return content + (rng.choice(COMPRESSIONS)(content) if rng.random() < 0.1 else b"")


def _zip(rng: Random, content: bytes) -> bytes:
    target = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(target, "w", method) as archive:
        for name in rng.sample(NAMES, rng.choice((1, 2))):
            archive.writestr(name, content)
    return target.getvalue()


def _tar(rng: Random, content: bytes) -> bytes:
    target = io.BytesIO()
    form = rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=target, mode="w", format=form, encoding="utf-8") as archive:
        for name in rng.sample(NAMES[:-1], rng.choice((1, 2))):
            info = tarfile.TarInfo(name)
            info.type = rng.choice((tarfile.REGTYPE,) * 6 + (tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE))
            info.size, info.linkname = len(content), "/etc/passwd"
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def extracted(content: bytes) -> bytes:
    """The ratings in a container, by the standard library's own means."""
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = next(info for info in archive.infolist() if info.filename.rpartition("/")[2] == "ratings.dat")
            return extracted(archive.read(name))
    for magic, decompress in ((b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress), (b"\xfd7zXZ", lzma.decompress)):
        if content.startswith(magic):
            return extracted(decompress(content))
    if content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            info = next(info for info in archive if info.name.rpartition("/")[2] == "ratings.dat")
            member = archive.extractfile(info)
            return b"" if member is None else member.read()
    return content
