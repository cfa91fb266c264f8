"""What the JSON files of a store must look like: the run record, data.json and selection.json.

Keys that a class does not name are kept as they are; those it names must be there and fit. The documents themselves
stay plain dicts: they are only checked here, and so they are written back as they were read. `record.RunRecord` has the
fields of a record.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

SCHEMA = 1
"""Raise it when a field changes its meaning; a record of another schema is reported and not used."""

STATUSES = ("done", "diverged", "failed", "interrupted")

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""What a dataset, a method or a key must look like, because it becomes a path component."""

MAX_TITLE = 200
UNFIT_FIRST = "=+-@[* "
"""No title begins with one of these: a spreadsheet would compute it, or LaTeX would take it for an argument."""

LARGEST = 1e12
"""Bound of a metric or a duration: sums and squares of such numbers are finite, and an axis can show them."""

LATEST_SECOND = 253_402_300_800
"""Unix seconds of the year 10000, which no date can show."""


_MESSAGES = {
    "missing": "is missing",
    "unexpected_keyword_argument": "is unknown",
    **dict.fromkeys(("model_type", "dict_type", "dataclass_type"), "should be an object"),
}


class RecordError(Exception):
    """A record or its arrays cannot be used; the message is one line that names the file and what is wrong in it."""


def check(document: type, content: Any) -> None:
    """Raise ValueError, one line that names the first field at fault, unless `content` fits."""
    try:
        _adapter(document).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    else:
        return
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"]).lstrip(".")
    found = repr(first["input"])
    message = _MESSAGES.get(first["type"]) or (
        f"{first['msg'].removeprefix('Input ')}, found {found[:40]}{'...' * (len(found) > 40)}"
    )
    raise ValueError(f"field {place} {message}" if place else f"it {message}")


_adapter = functools.cache(TypeAdapter)


def fits(expected: str, is_met: Callable[[Any], Any]) -> AfterValidator:
    """A check beyond the type: `is_met` must return something true. `expected` says in words what the value must be."""

    def validate(value: Any) -> Any:
        with suppress(ValueError):
            if is_met(value):
                return value
        raise PydanticCustomError("misfit", "{expected}", {"expected": f"should be {expected}"})

    return AfterValidator(validate)


def like(model: type[BaseModel]) -> AfterValidator:
    """A dict must have the fields of `model`, and stays a plain dict."""
    return AfterValidator(lambda value: (model.model_validate(value), value)[1])


def _is_title(value: str) -> bool:
    return value.isprintable() and 0 < len(value) <= MAX_TITLE and value[0] not in UNFIT_FIRST


Line = Annotated[str, fits("text on one line", str.isprintable)]
Name = Annotated[str, fits(f"a name like {NAME.pattern}", NAME.fullmatch)]
Title = Annotated[
    str, fits(f"a title of 1 to {MAX_TITLE} printable characters, not beginning with one of {UNFIT_FIRST}", _is_title)
]
Status = Annotated[str, fits("'done', 'diverged', 'failed' or 'interrupted'", STATUSES.__contains__)]
Time = Annotated[str, fits("an ISO 8601 time", datetime.fromisoformat)]
Numbers = Annotated[
    str, fits("whole numbers with spaces between them", re.compile(r"(\d{1,9}( \d{1,9})*)?", re.ASCII).fullmatch)
]
Version = Annotated[int, Strict(), fits(f"{SCHEMA}, which this version reads", SCHEMA.__eq__)]
Count = Annotated[int, Strict(), Field(ge=0)]
Positive = Annotated[int, Strict(), Field(ge=1)]
Finite = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Seconds = Annotated[float, Strict(), Field(ge=0, le=LARGEST)]
Metric = Annotated[float, Strict(), Field(ge=-LARGEST, le=LARGEST)]


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class ProtocolFields(_Open):
    preset: Line
    filter: Line
    history: Line
    ties: Line
    quantile: Finite
    until: Finite = 1.0
    min_events: Count


class MethodSettings(_Open):
    title: Title = ""  # under which external recommendations are shown


class MethodFields(_Open):
    name: Name
    settings: MethodSettings


class SpecFields(_Open):
    dataset: Name
    title: Title
    synthetic: bool
    protocol: ProtocolFields
    hparams: Name
    profile: Name
    encoder: dict[str, Any]
    training: dict[str, Any]
    method: MethodFields
    seed: Count


class DataFields(_Open):
    source: Line
    sha256: Line
    fingerprint: Line
    items: Positive
    train_users: Count
    train_interactions: Count
    test_users: Positive


class EpochFields(_Open):
    epoch: Count
    seconds: Finite
    loss: Finite | None  # null stands for a number that is not finite
    terms: dict[str, Finite | None]
    validation: dict[str, Metric | None]


class TimingFields(_Open):
    __pydantic_extra__: dict[str, Seconds | None]


class MetricFields(_Open):
    test: Any
    validation: Any  # there are more stages, such as other orders of ties


class ProtocolSummary(_Open):
    """What is known of a dataset under one protocol, as far as it is relied on; a default stands for an absent key."""

    fingerprint: Line = ""
    source: Line = ""
    sha256: Line = ""
    protocol: ProtocolFields | None = None
    threshold: Annotated[float, Field(ge=0, lt=LATEST_SECOND)] = 0
    user_numbers: Numbers = ""


class DataDocument(_Open):
    """data.json: what is known of a dataset, under each protocol by its label."""

    dataset: Name
    title: Title
    synthetic: bool
    protocols: dict[Title, ProtocolSummary]


class SelectionDocument(_Open):
    """selection.json: the choices of each setting by alias."""

    dataset: Name
    settings: dict[str, dict[str, dict[str, Any]]]
