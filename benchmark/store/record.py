"""The run record: everything that is kept about one run, as JSON. Reports query it and never run anything again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict

from benchmark.store import schema as fields
from benchmark.store.json_text import parse_json, plain, to_json
from benchmark.store.schema import RecordError
from datasets.protocol import N_BUCKETS

EXTERNAL = "external-"
"""Prefix of the method of a run whose recommendations were made elsewhere and only scored here."""

PER_USER = {"ranks": 0, "validation_ranks": 0, "target_buckets": 0, "top_items": 1, "history_buckets": 1}
"""Arrays with an entry for each of the N test users, in split order, and the number of dimensions of an entry. Of a run
that was tested on K tie draws they hold K entries a user, (N, K, ...). All other arrays are vectors about all users."""

WHOLE = ("ranks", "validation_ranks", "top_items", "target_buckets")
"""Arrays of whole numbers: ranks and items, up to the number of items, and buckets."""

SHARE = 1.001  # with room for rounding
LIMITS = {
    "target_buckets": N_BUCKETS - 1,
    "history_buckets": SHARE,
    "calibration_confidence": SHARE,
    "calibration_accuracy": SHARE,
    "calibration_count": sys.float_info.max,
    "singular_values": sys.float_info.max,
    "singular_values_centred": sys.float_info.max,
}
"""The largest values of arrays that begin at 0; only densities and their grid are not bounded."""

ALIGNED = (
    ("score_grid", "target_density", "negative_density"),
    ("calibration_count", "calibration_confidence", "calibration_accuracy"),
    ("singular_values", "singular_values_centred"),
)
"""Vectors that have the same length."""


@dataclass(frozen=True)
class RunRecord:
    """One run: what was asked for, on which data, by which code and machine, and what came out.

    `data`: the source's file name and sha256, the split's fingerprint and counts. `started`, `finished`: ISO 8601.
    `timings`: seconds. `error`: type, message and traceback of a run that failed. `command` regenerates the run.
    `metrics`: by stage, and by names such as `ndcg@10`, `hr@10/bucket1`; undefined ones are absent.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # for `fields.check`; what is not read from a file may be anything

    key: fields.Name
    status: fields.Status
    spec: Annotated[dict[str, Any], fields.like(fields.SpecFields)]
    data: Annotated[dict[str, Any], fields.like(fields.DataFields)]
    versions: dict[str, Any]
    hardware: dict[str, Any]
    command: fields.Line
    started: fields.Time
    finished: fields.Time
    epochs: list[Annotated[dict[str, Any], fields.like(fields.EpochFields)]]
    selected_epoch: fields.Count | None
    timings: Annotated[dict[str, Any], fields.like(fields.TimingFields)]
    peak_memory_bytes: fields.Count | None
    counts: dict[str, Any]
    metrics: Annotated[dict[str, dict[str, fields.Metric]], fields.like(fields.MetricFields)]
    error: dict[str, str] | None = None
    schema: fields.Version = fields.SCHEMA

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
        """Whether the recommendations were made elsewhere."""
        return self.method.startswith(EXTERNAL)

    @property
    def is_trial(self) -> bool:
        """Whether this is a trial of tuning, which was never tested."""
        return bool(self.spec.get("trial"))

    @property
    def has_arrays(self) -> bool:
        """Whether the run must have arrays: all that are done have, but for trials."""
        return self.done and not self.is_trial

    @property
    def seed(self) -> int:
        return int(self.spec["seed"])

    def to_json(self) -> str:
        """The record as text; raises RecordError if it does not fit the schema.

        JSON has no NaN: a loss or a validation value that is not finite becomes null, and such a final metric is left
        out.
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
            content = parse_json(document)
        except ValueError as error:
            raise RecordError(f"{source}: is not a JSON document ({error})") from error
        if isinstance(content, dict):
            content = {"schema": None} | content  # it has to be given, unlike in `RunRecord`
            _rename_footing(content)
        _check(content, source)
        return cls(**content)


def _rename_footing(content: dict[str, Any]) -> None:
    """Earlier records call the hyper-parameters "footing", and tuned ones are equal ones whose profile says "tuned"."""
    spec = content.get("spec")
    if isinstance(spec, dict) and "footing" in spec:
        spec["hparams"] = spec.pop("footing")
        profile = str(spec.get("profile"))
        if spec["hparams"] == "equal" and "-tuned" in profile:
            spec["hparams"], spec["profile"] = "tuned", profile.replace("-tuned", "", 1)


def _check(content: Any, source: str) -> None:
    try:
        fields.check(RunRecord, content)
        is_tested, is_trial = bool(content["metrics"]["test"]), bool(content["spec"].get("trial"))
        if content["status"] == "done" and not is_tested and not is_trial:
            raise ValueError("field metrics.test is empty although the run is done")
        if is_trial and is_tested:
            raise ValueError("field metrics.test: a trial of tuning must not be tested")
    except ValueError as error:
        raise RecordError(f"{source}: {error}") from error


def check_arrays(record: RunRecord, arrays: Mapping[str, np.ndarray], source: str) -> None:
    """Raise RecordError unless all arrays hold numbers in the shapes and within the bounds that the record implies.

    `ranks` must be there if the run is done. `source` is the file.
    """
    users = record.data["test_users"]
    if record.has_arrays and "ranks" not in arrays:
        raise RecordError(f"{source}: array ranks: missing although the run is done")
    for name, array in arrays.items():
        _check_values(name, array, record.data["items"], source)
        if not _fits(name, array, users, arrays["ranks"].shape[1:] if "ranks" in arrays else ()):
            raise RecordError(f"{source}: array {name}: shape {array.shape} does not fit {users} test users")
    for group in ALIGNED:
        shapes = {arrays[name].shape for name in group if name in arrays}
        if len(shapes) > 1 or any(0 in shape for shape in shapes):
            raise RecordError(f"{source}: arrays {', '.join(group)}: expected equal lengths from 1")


def _fits(name: str, array: np.ndarray, users: int, draws: tuple[int, ...]) -> bool:
    """Whether the shape is right; `draws`: (K,) if the run was tested on K tie draws, else ()."""
    if name not in PER_USER:
        return array.ndim == 1
    rows = (users, *draws)
    is_possible = len(draws) < 2 and 0 not in draws
    return is_possible and array.shape[: len(rows)] == rows and array.ndim == len(rows) + PER_USER[name]


def _check_values(name: str, array: np.ndarray, n_items: int, source: str) -> None:
    kinds, wanted = ("iu", "whole numbers") if name in WHOLE else ("iuf", "numbers")
    if array.dtype.kind not in kinds:
        raise RecordError(f"{source}: array {name}: expected {wanted}, found {array.dtype}")
    highest = LIMITS.get(name, n_items if name in WHOLE else None)
    if highest is not None and not ((array >= 0) & (array <= np.float64(highest))).all():  # in float64, whatever it is
        raise RecordError(f"{source}: array {name}: expected numbers from 0 to {highest:g}")
