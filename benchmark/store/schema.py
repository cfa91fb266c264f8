"""What the JSON files of a store must look like: the run record, data.json and selection.json.

Keys that a class does not name are kept as they are; those it names must be there and fit. The documents themselves
stay plain dicts: they are only checked here, and so they are written back as they were read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

SCHEMA = 1
"""Raise it when a field changes its meaning; a record of another schema is reported and not used."""

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
    "extra_forbidden": "is unknown",
    "model_type": "should be an object",
    "dict_type": "should be an object",
}


class FieldError(ValueError):
    """A field does not fit; the message is one line that names the field."""


def check(document: type[BaseModel], content: Any) -> None:
    """Raise FieldError, naming the first field at fault, unless `content` fits."""
    try:
        document.model_validate(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    else:
        return
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"]).lstrip(".")
    found = repr(first["input"])
    message = _MESSAGES.get(first["type"]) or (
        f"{first['msg'].removeprefix('Input ')}, found {found[:40]}{'...' * (len(found) > 40)}"
    )
    raise FieldError(f"field {place} {message}" if place else f"it {message}")


def _fits(expected: str, fits: Callable[[Any], Any]) -> AfterValidator:
    """A check beyond the type: `fits` must return something true. `expected` says in words what the value must be."""

    def validate(value: Any) -> Any:
        with suppress(ValueError):
            if fits(value):
                return value
        raise PydanticCustomError("misfit", "{expected}", {"expected": f"should be {expected}"})

    return AfterValidator(validate)


def _is_title(value: str) -> bool:
    return value.isprintable() and 0 < len(value) <= MAX_TITLE and value[0] not in UNFIT_FIRST


Line = Annotated[str, _fits("text on one line", str.isprintable)]
Name = Annotated[str, _fits(f"a name like {NAME.pattern}", NAME.fullmatch)]
Title = Annotated[
    str, _fits(f"a title of 1 to {MAX_TITLE} printable characters, not beginning with one of {UNFIT_FIRST}", _is_title)
]
Time = Annotated[str, _fits("an ISO 8601 time", datetime.fromisoformat)]
Numbers = Annotated[
    str, _fits("whole numbers with spaces between them", re.compile(r"(\d{1,9}( \d{1,9})*)?", re.ASCII).fullmatch)
]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=LARGEST)]
Metric = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


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


class MetricFields(_Open):
    __pydantic_extra__: dict[str, dict[str, Metric]]  # further stages, such as other orders of ties
    test: dict[str, Metric]
    validation: dict[str, Metric]


class RecordDocument(BaseModel):
    """record.json; `record.RunRecord` says what its fields mean."""

    model_config = ConfigDict(extra="forbid", strict=True)

    schema_: Annotated[int, Field(alias="schema"), _fits(f"{SCHEMA}, which this version reads", SCHEMA.__eq__)]
    key: Name
    status: Literal["done", "diverged", "failed", "interrupted"]
    spec: SpecFields
    data: DataFields
    versions: dict[str, Any]
    hardware: dict[str, Any]
    command: Line
    started: Time
    finished: Time
    epochs: list[EpochFields]
    selected_epoch: Count | None
    timings: dict[str, Seconds | None]
    peak_memory_bytes: Count | None
    counts: dict[str, Any]
    metrics: MetricFields
    error: dict[str, str] | None


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
