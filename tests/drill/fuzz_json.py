"""Valid JSON made wrong: values replaced, removed, doubled, renamed, buried; always by a seeded draw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

VALUES: tuple[Any, ...] = (
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


def json_changed(rng: Random, content: bytes) -> bytes:
    """A value of the document replaced, removed, doubled, renamed or buried; what is no JSON comes back as it is."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return content
    places = list(_places(document))
    if not places:
        return json.dumps(rng.choice(VALUES)).encode()
    parent, key = rng.choice(places)
    action, value = rng.randrange(8), rng.choice(VALUES)
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
