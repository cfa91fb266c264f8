"""Checks of JSON values that compose: a schema is written down as what it is, and an error names the field.

A check takes a value and where it stands, such as `spec.method.name`, and raises FieldError if the value does
not fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

Check = Callable[[Any, str], None]

MAX_TITLE = 200
UNFIT_FIRST = "=+-@[* "
"""What no title begins with: a spreadsheet would compute it, LaTeX take it for an argument of what stands before."""

LARGEST = 1e12
"""Of a metric or a duration: sums and squares of such numbers are finite, and an axis can show them."""


class FieldError(ValueError):
    """A field with a value that does not fit; the message is one line naming the field."""


def matches(expected: str, holds: Callable[[Any], bool]) -> Check:
    """A value for which `holds` is true; `expected` says in words what that means."""

    def check(value: Any, where: str) -> None:
        if not holds(value):
            raise _misfit(where, expected, value)

    return check


def optional(check: Check) -> Check:
    """null, or what `check` accepts."""
    return lambda value, where: None if value is None else check(value, where)


def all_of(*checks: Check) -> Check:
    """What passes each of `checks`, tried in this order."""

    def check_all(value: Any, where: str) -> None:
        for check in checks:
            check(value, where)

    return check_all


def list_of(check: Check) -> Check:
    """A list whose entries all pass `check`."""

    def check_list(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise _misfit(where, "a list", value)
        for i, entry in enumerate(value):
            check(entry, f"{where}[{i}]")

    return check_list


def mapping_of(check: Check, key: Check | None = None) -> Check:
    """An object whose values all pass `check`, and whose keys pass `key`."""

    def check_mapping(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _misfit(where, "an object", value)
        for name, entry in value.items():
            if key:
                key(name, f"{where}, its key")
            check(entry, f"{where}.{name}" if where else name)

    return check_mapping


def object_with(others: Check | None = None, /, **required: Check) -> Check:
    """An object that has at least these keys, each passing its check; what else it has passes `others`."""

    def check_object(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _misfit(where, "an object", value)
        for key, check in required.items():
            path = f"{where}.{key}" if where else key
            if key not in value:
                raise FieldError(f"field {path}: missing")
            check(value[key], path)
        for key in value.keys() - required.keys():
            (others or anything)(value[key], f"{where}.{key}" if where else key)

    return check_object


def object_with_any(**known: Check) -> Check:
    """An object of any keys; those named here, where it has them, must pass their checks."""

    def check_object(value: Any, where: str) -> None:
        anything_in(value, where)
        for key, check in known.items():
            if key in value:
                check(value[key], f"{where}.{key}" if where else key)

    return check_object


def _misfit(where: str, expected: str, value: Any) -> FieldError:
    found = repr(value)
    return FieldError(f"field {where}: expected {expected}, found {found[:40]}{'...' * (len(found) > 40)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_moment(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_title(value: Any) -> bool:
    if not isinstance(value, str) or not value.isprintable():
        return False
    return 0 < len(value) <= MAX_TITLE and value[0] not in UNFIT_FIRST


anything = matches("anything", lambda value: True)
anything_in = mapping_of(anything)
text = matches("text", lambda value: isinstance(value, str))
line = matches("text on one line", lambda value: isinstance(value, str) and value.isprintable())
title = matches(f"a title of 1 to {MAX_TITLE} printable characters, the first none of {UNFIT_FIRST}", _is_title)
flag = matches("true or false", lambda value: isinstance(value, bool))
number = matches("a finite number", _is_number)
moderate = all_of(number, matches(f"a number within {LARGEST:g} of zero", lambda value: abs(value) <= LARGEST))
seconds = all_of(number, matches(f"a number from 0 to {LARGEST:g}", lambda value: 0 <= value <= LARGEST))
count = matches("a whole number from 0", lambda value: type(value) is int and value >= 0)
positive = matches("a whole number from 1", lambda value: type(value) is int and value >= 1)
moment = matches("an ISO 8601 time", _is_moment)
