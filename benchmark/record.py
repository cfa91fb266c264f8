"""The run record: everything that is kept of one run, as JSON. Later reports query it and never re-run."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from benchmark.checks import (
    FieldError,
    anything,
    count,
    flag,
    list_of,
    mapping_of,
    matches,
    moment,
    number,
    object_with,
    optional,
    text,
)

SCHEMA = 1
"""Raise it when a field changes its meaning; a record of another schema is reported and not used."""

STATUSES = ("done", "diverged", "failed", "interrupted")
"""How a run ends. Only a done run is ever reused; the others stay visible until they are run again."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""What a dataset, a method or a key must look like, because it becomes a path component."""

EXTERNAL = "external-"
"""How the method of a run begins whose recommendations somebody else made; they were only scored here."""

PER_USER = {"ranks": 1, "validation_ranks": 1, "top_items": 2, "target_buckets": 1, "history_buckets": 2}
"""Arrays with one row per test user, in split order, and their dimensions; every other array is a vector."""


class RecordError(Exception):
    """A record that cannot be used; the message is one line naming the file and the field."""


@dataclass(frozen=True)
class RunRecord:
    """One run: what was asked for, on which data, by which code and machine, and what came out.

    `spec`: dataset, title, synthetic, protocol, footing, profile, encoder, training, method {name, settings},
    seed. `data`: the source's file name and sha256, the split's fingerprint and counts. `started`,
    `finished`: ISO 8601. `epochs`: per epoch its number, seconds, loss, terms {name: value} and validation
    {metric: value}. `timings`: seconds. `error`: type, message and traceback of a run that failed. `command`
    regenerates the run. `metrics`: {"test": {...}, "validation": {...}} by names such as `ndcg@10`,
    `hr@10/bucket1`; undefined ones absent.
    """

    key: str
    status: str
    spec: dict[str, Any]
    data: dict[str, Any]
    versions: dict[str, Any]
    hardware: dict[str, Any]
    command: str
    started: str
    finished: str
    epochs: list[dict[str, Any]]
    selected_epoch: int | None
    timings: dict[str, Any]
    peak_memory_bytes: int | None
    counts: dict[str, Any]
    metrics: dict[str, dict[str, float]]
    error: dict[str, str] | None = None
    schema: int = SCHEMA

    @property
    def done(self) -> bool:
        """Whether the run ended well, so that it may be averaged and reused."""
        return self.status == "done"

    @property
    def dataset(self) -> str:
        """The dataset's key, such as `ml-1m`."""
        return str(self.spec["dataset"])

    @property
    def title(self) -> str:
        """The dataset as printed, such as `ML-1M`."""
        return str(self.spec["title"])

    @property
    def synthetic(self) -> bool:
        """Whether the data was generated; its numbers are labelled so wherever they are shown."""
        return bool(self.spec["synthetic"])

    @property
    def method(self) -> str:
        """The method's name, such as `btsr-ce`."""
        return str(self.spec["method"]["name"])

    @property
    def external(self) -> bool:
        """Whether somebody else made the recommendations."""
        return self.method.startswith(EXTERNAL)

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.spec["seed"])

    def to_json(self) -> str:
        """The record as text; raises RecordError if it does not fit the schema.

        JSON has no NaN: where a loss or a validation value is not finite it says null; such a final metric is
        left out.
        """
        content = plain(asdict(self))
        for stage, values in content["metrics"].items():
            content["metrics"][stage] = {name: value for name, value in values.items() if value is not None}
        _check(content, f"record {self.key}")
        return to_json(content)

    @classmethod
    def from_json(cls, document: str | bytes, source: str) -> RunRecord:
        """Read and check; `source` names the file in errors. Raises RecordError."""
        try:
            content = json.loads(document, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{source}: not a JSON document ({error})") from error
        _check(content, source)
        return cls(**content)


_name = matches(f"a name like {NAME.pattern}", lambda v: isinstance(v, str) and NAME.fullmatch(v) is not None)
_status = matches(f"one of {', '.join(STATUSES)}", lambda value: value in STATUSES)
_schema = matches(f"{SCHEMA}, which this version reads", lambda value: value == SCHEMA)

_SPEC = object_with(
    dataset=_name,
    title=text,
    synthetic=flag,
    protocol=object_with(preset=text, filter=text, history=text, ties=text, quantile=number, min_events=count),
    footing=_name,
    profile=_name,
    encoder=mapping_of(anything),
    training=mapping_of(anything),
    method=object_with(name=_name, settings=mapping_of(anything)),
    seed=count,
)
_DATA = object_with(
    source=text,
    sha256=text,
    fingerprint=text,
    items=count,
    train_users=count,
    train_interactions=count,
    test_users=count,
)
_EPOCH = object_with(
    epoch=count,
    seconds=number,
    loss=optional(number),
    terms=mapping_of(optional(number)),
    validation=mapping_of(optional(number)),
)
_RECORD = object_with(
    schema=_schema,
    key=_name,
    status=_status,
    spec=_SPEC,
    data=_DATA,
    versions=mapping_of(anything),
    hardware=mapping_of(anything),
    command=text,
    started=moment,
    finished=moment,
    epochs=list_of(_EPOCH),
    selected_epoch=optional(count),
    timings=mapping_of(optional(number)),
    peak_memory_bytes=optional(count),
    counts=mapping_of(anything),
    metrics=object_with(test=mapping_of(number), validation=mapping_of(number)),
    error=optional(mapping_of(text)),
)


def _check(content: Any, source: str) -> None:
    try:
        _RECORD(content, "")
        unknown = sorted(content.keys() - {field.name for field in fields(RunRecord)})
        if unknown:
            raise FieldError(f"field {unknown[0]}: unknown")
        if content["status"] == "done" and not content["metrics"]["test"]:
            raise FieldError("field metrics.test: empty although the run is done")
    except FieldError as error:
        raise RecordError(f"{source}: {error}") from error


def check_arrays(record: RunRecord, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Raise RecordError unless all arrays hold numbers in the shapes that the record implies.

    Those of PER_USER have one row per test user; `ranks` must be there if the run is done. `source` names the
    file.
    """
    users = record.data["test_users"]
    for name, array in arrays.items():
        if array.dtype.kind not in "iuf":
            raise RecordError(f"{source}: array {name}: expected numbers, found {array.dtype}")
        if array.ndim != PER_USER.get(name, 1) or (name in PER_USER and len(array) != users):
            raise RecordError(f"{source}: array {name}: shape {array.shape} does not fit {users} test users")
    if record.done and "ranks" not in arrays:
        raise RecordError(f"{source}: array ranks: missing although the run is done")


def plain(value: Any) -> Any:
    """The same value in the types that JSON has; a number that is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json(value: Any) -> str:
    """How every JSON file of the store is written: the same value gives the same text."""
    return json.dumps(plain(value), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
