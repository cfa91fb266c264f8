"""Valid input made wrong: in its bytes, its encoding, its lines and fields, its JSON; always by a seeded draw."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

Mutation = Callable[[Random, bytes], bytes]

FIELDS = (
    b"",
    b" ",
    b" 7",
    b"7 ",
    b"007",
    b"7.0",
    b"-1",
    b"-0",
    b"+5",
    b"1_0",
    b"0x10",
    b"1e3",
    b"1e400",
    b"-1e400",
    b"nan",
    b"inf",
    b"-inf",
    b"9223372036854775807",
    b"9223372036854775808",
    b"99999999999999999999999999",
    b"978300760000",
    b"978300760.5",
    b"0" * 40 + b"978300760",
    b"978300760." + b"0" * 40,
    b"9999999999",
    b"10000000000",
    b'"7"',
    b'"7',
    b'7"',
    b'7"7',
    b'""',
    b'"a,b"',
    b'"a\tb"',
    b'"a\nb"',
    b'"a""b"',
    b"'7'",
    b"=1+1",
    b"<script>",
    b"\\N",
    b"NULL",
    b"None",
    b"#7",
    b"7\x00",
    b"\x007",
    b"7\x007",
    b"\x1b[2J",
    b"\x7f",
    b"\xef\xbb\xbf7",
    b"\xff",
    b"\xc3\xa9",
    b"\xe9",
    b"\xed\xa0\x80",
    b"\xe2\x80\xa8",
    b"\xd9\xa1",
    b"x" * 127,
    b"x" * 128,
    "é".encode() * 70,
    b"2010-10-19T23:55:27Z",
    b"2010-02-30T23:55:27Z",
    b"1969-12-31T23:59:59Z",
    b"2010-10-19 23:55:27",
)
JSON_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2**63,
    10**30,
    0.5,
    -0.5,
    1e300,
    float("nan"),
    float("inf"),
    "",
    "x",
    "x" * 5000,
    "../../x",
    "<script>alert(1)</script>",
    "%_&#{}\\$~^",
    "=1+1",
    "-",
    "\ud800",
    "a\nb",
    "\x1b[2J",
    "\x00",
    "007",
    "2010-10-19 23:55:27",
    [],
    [[]],
    {},
    {"a": {"b": []}},
    [1, "a", None],
)
DELIMITERS = (b",", b"\t", b";", b"::", b":", b"|", b" ")
NEWLINES = (b"\n", b"\r\n", b"\r", b"\n\n", b"\n \n", b"\n\r", b"\x0b", b"\xe2\x80\xa8")
ENCODINGS = ("latin-1", "utf-16", "utf-16-le", "utf-8-sig", "cp1252", "utf-32", "utf-7")
LONG = 1_000_000


def mutated(rng: Random, content: bytes, mutations: Sequence[Mutation]) -> bytes:
    """One mutation, often a second and a third on top."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        content = rng.choice(mutations)(rng, content)
    return content


# --- bytes -----------------------------------------------------------------------------------------------------------


def flipped(rng: Random, content: bytes) -> bytes:
    """One bit or byte changed."""
    if not content:
        return bytes([rng.randrange(256)])
    place = rng.randrange(len(content))
    byte = content[place] ^ (1 << rng.randrange(8)) if rng.random() < 0.5 else rng.randrange(256)
    return content[:place] + bytes([byte]) + content[place + 1 :]


def cut(rng: Random, content: bytes) -> bytes:
    """The beginning, or all but a stretch."""
    first, last = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return content[:first] if rng.random() < 0.5 else content[:first] + content[last:]


def inserted(rng: Random, content: bytes) -> bytes:
    """Some bytes put in: random ones, one of FIELDS, or a stretch of the content itself."""
    place = rng.randrange(len(content) + 1)
    first, last = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    extra = rng.choice((rng.randbytes(rng.randrange(1, 9)), rng.choice(FIELDS), content[first:last]))
    return content[:place] + extra + content[place:]


def random_bytes(rng: Random, content: bytes) -> bytes:
    """Nothing of the content."""
    return rng.randbytes(rng.randrange(200))


def encoded(rng: Random, content: bytes) -> bytes:
    """The text in another encoding, or behind byte-order marks."""
    if rng.random() < 0.2:
        return b"\xef\xbb\xbf" * rng.randrange(1, 3) + content
    return content.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "replace")


BYTES = (flipped, flipped, cut, inserted, random_bytes)


# --- lines and fields ------------------------------------------------------------------------------------------------


def newlines(rng: Random, content: bytes) -> bytes:
    """Other ends of lines, of all or of one."""
    count = -1 if rng.random() < 0.6 else 1
    content = content.replace(b"\n", rng.choice(NEWLINES), count)
    return content.rstrip(b"\r\n") if rng.random() < 0.2 else content


def lines_moved(rng: Random, content: bytes) -> bytes:
    """Lines dropped, repeated or in another order, the header among them."""
    lines = content.splitlines(keepends=True)
    for _ in range(rng.randrange(1, 3) if lines else 0):
        place = rng.randrange(len(lines))
        action = rng.randrange(4)
        if action == 0:
            lines = lines[:place] + lines[place + 1 :]
        elif action == 1:
            lines.insert(rng.randrange(len(lines) + 1), lines[place])
        elif action == 2:
            rng.shuffle(lines)
        else:
            lines = lines[: rng.choice((0, 1, 2))]
        if not lines:
            break
    return b"".join(lines)


def fields_changed(rng: Random, content: bytes) -> bytes:
    """A field replaced, dropped, added, or exchanged with another; on one line, seldom on all."""
    lines = content.split(b"\n")
    delimiter = max(DELIMITERS, key=lambda each: (content.count(each) * len(each), len(each)))
    nasty = rng.choice(FIELDS)
    action, place = rng.randrange(5), rng.randrange(6)
    for number in range(len(lines)) if rng.random() < 0.15 else [rng.randrange(len(lines))]:
        fields = lines[number].split(delimiter)
        at = place % len(fields)
        if action <= 1:
            fields[at] = nasty
        elif action == 2:
            fields = fields[:at] + fields[at + 1 :]
        elif action == 3:
            fields.insert(at, nasty)
        else:
            fields.reverse()
        lines[number] = delimiter.join(fields)
    return b"\n".join(lines)


def delimiters_changed(rng: Random, content: bytes) -> bytes:
    """One delimiter for another, everywhere or a few times; or one more at the end of lines."""
    if rng.random() < 0.2:
        return content.replace(b"\n", rng.choice(DELIMITERS) + b"\n", rng.choice((-1, 1)))
    return content.replace(rng.choice(DELIMITERS), rng.choice(DELIMITERS), rng.choice((-1, 1, 2)))


def long_line(rng: Random, content: bytes) -> bytes:
    """A stretch of a million bytes somewhere, or, for they take their time, mostly a shorter one."""
    stretch = rng.choice((b"x", b"7", b",", b'"', b" ", b"{", b'"a":', b"\t", b"[", b'\\"'))
    place = rng.randrange(len(content) + 1)
    length = LONG if rng.random() < 0.02 else rng.choice((130, 5_000, 70_000))
    return content[:place] + stretch * (length // len(stretch)) + content[place:]


LINES = (newlines, lines_moved, fields_changed, fields_changed, fields_changed, delimiters_changed, encoded)


# --- JSON -------------------------------------------------------------------------------------------------------------


def json_changed(rng: Random, content: bytes) -> bytes:
    """A value of the document replaced, removed, doubled, renamed or buried; what is no JSON comes back as it is."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return content
    places = list(_places(document))
    if not places:
        return json.dumps(rng.choice(JSON_VALUES)).encode()
    parent, key = rng.choice(places)
    action, value = rng.randrange(8), rng.choice(JSON_VALUES)
    if action <= 2:
        parent[key] = value
    elif action == 3:
        del parent[key]
    elif action == 4 and isinstance(parent, dict):
        parent[rng.choice(("", "x", "../x", "\ud800", "a\nb", "seed", "title"))] = parent.pop(key)
    elif action == 5:
        other, where = rng.choice(places)
        if isinstance(other, list):
            return content
        parent[key] = json.loads(json.dumps(other.get(where)))
    elif action == 6:
        return _with_a_key_twice(rng, document, str(key), value)
    else:
        return _buried(rng, document, parent, key)
    return json.dumps(document, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value below."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _with_a_key_twice(rng: Random, document: Any, key: str, value: Any) -> bytes:
    text, name = json.dumps(document), json.dumps(key)
    return text.replace(f"{name}: ", f"{name}: {json.dumps(value)}, {name}: ", 1).encode()


def _buried(rng: Random, document: Any, parent: Any, key: Any) -> bytes:
    depth, mark = rng.choice((5, 20, 500, 3_000, 100_000)), "buried here"
    parent[key] = mark
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    return json.dumps(document).replace(f'"{mark}"', opening * depth + "1" + closing * depth).encode()


def json_line_changed(rng: Random, content: bytes) -> bytes:
    """As `json_changed`, on one of the lines."""
    lines = content.split(b"\n")
    number = rng.randrange(len(lines))
    lines[number] = json_changed(rng, lines[number])
    return b"\n".join(lines)
