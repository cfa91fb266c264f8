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


def list_of(check: Check) -> Check:
    """A list whose entries all pass `check`."""

    def check_list(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise _misfit(where, "a list", value)
        for i, entry in enumerate(value):
            check(entry, f"{where}[{i}]")

    return check_list


def mapping_of(check: Check) -> Check:
    """An object with any keys whose values all pass `check`."""

    def check_mapping(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _misfit(where, "an object", value)
        for key, entry in value.items():
            check(entry, f"{where}.{key}" if where else key)

    return check_mapping


def object_with(**required: Check) -> Check:
    """An object that has at least these keys, each passing its check."""

    def check_object(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _misfit(where, "an object", value)
        for key, check in required.items():
            path = f"{where}.{key}" if where else key
            if key not in value:
                raise FieldError(f"field {path}: missing")
            check(value[key], path)

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


anything = matches("anything", lambda value: True)
text = matches("text", lambda value: isinstance(value, str))
flag = matches("true or false", lambda value: isinstance(value, bool))
number = matches("a finite number", _is_number)
count = matches("a whole number from 0", lambda value: type(value) is int and value >= 0)
moment = matches("an ISO 8601 time", _is_moment)
