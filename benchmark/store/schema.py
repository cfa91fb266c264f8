"""Schemas of the store's JSON files: the run record (with `record.RunRecord`), data.json and selection.json.

The schemas only check: a document stays a plain dict, so that it is written back exactly as it was read. Keys that a
class does not mention are allowed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

SCHEMA = 1  # to be raised when a field changes its meaning; records with another schema are reported and ignored

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")  # of datasets, methods and run keys, which become path components
MAX_TITLE = 200
MAX_PLACE = 120  # characters of a field's name in an error
BAD_STARTS = "=+-@[* "  # of a title, because a spreadsheet or LaTeX would interpret them
LARGEST = 1e12  # bound of metrics and durations, whose sums and squares must stay finite
LATEST_SECOND = 253_402_300_800  # Unix time of the year 10000, which Python's datetime cannot represent

_MESSAGES = {
    "missing": "is missing",
    "unexpected_keyword_argument": "is unknown",
    **dict.fromkeys(("model_type", "dict_type", "dataclass_type"), "should be an object"),
}


class RecordError(Exception):
    """A record or its arrays cannot be used. The message is one line that names the file and the fault."""


def check(document: type, content: Any) -> None:
    """Validate `content`; raise ValueError with one line about the first invalid field."""
    try:
        _adapter(document).validate_python(content)
        return
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"]).lstrip(".")
    found = repr(first["input"])
    message = _MESSAGES.get(first["type"]) or (
        f"{first['msg'].removeprefix('Input ')}, found {found[:40]}{'...' * (len(found) > 40)}"
    )
    raise ValueError(f"field {place:.{MAX_PLACE}} {message}" if place else f"it {message}")


_adapter = functools.cache(TypeAdapter)


def fits(expected: str, is_met: Callable[[Any], Any]) -> AfterValidator:
    """Require that `is_met(value)` is true and raises no ValueError. `expected` describes such values in the error."""

    def validate(value: Any) -> Any:
        with suppress(ValueError):
            if is_met(value):
                return value
        raise PydanticCustomError("misfit", "{expected}", {"expected": f"should be {expected}"})

    return AfterValidator(validate)


def validated_by(model: type[BaseModel]) -> AfterValidator:
    """Check a dict against `model`, but keep it a plain dict."""

    def validate(value: Any) -> Any:
        model.model_validate(value)
        return value

    return AfterValidator(validate)


def _is_title(value: str) -> bool:
    return value.isprintable() and 0 < len(value) <= MAX_TITLE and value[0] not in BAD_STARTS


Line = Annotated[str, fits("text on one line", str.isprintable)]
Name = Annotated[str, fits(f"a name like {NAME.pattern}", NAME.fullmatch)]
Title = Annotated[
    str,
    fits(f"a title of 1 to {MAX_TITLE} printable characters, not beginning with one of {BAD_STARTS}", _is_title),
]
Status = Literal["done", "diverged", "failed", "interrupted"]
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
    title: Title = ""  # of external recommendations


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
    loss: Finite | None  # null: not finite
    terms: dict[str, Finite | None]
    validation: dict[str, Metric | None]


class TimingFields(_Open):
    __pydantic_extra__: dict[str, Seconds | None]


class MetricFields(_Open):
    test: Any
    validation: Any  # other stages are optional


class ProtocolSummary(_Open):
    """The part of data.json about one protocol, limited to the fields that the code relies on."""

    fingerprint: Line = ""
    source: Line = ""
    sha256: Line = ""
    protocol: ProtocolFields | None = None
    threshold: Annotated[float, Field(ge=0, lt=LATEST_SECOND)] = 0
    user_numbers: Numbers = ""


class DataDocument(_Open):
    """data.json: a dataset, and a summary for each protocol, by the protocol's label."""

    dataset: Name
    title: Title
    synthetic: bool
    protocols: dict[Title, ProtocolSummary]


class SelectionDocument(_Open):
    """selection.json: {setting: {alias: choice}}."""

    dataset: Name
    settings: dict[str, dict[str, dict[str, Any]]]
