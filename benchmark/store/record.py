"""The run record: everything that is stored about one run, as JSON and arrays. Reports read nothing else."""

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

EXTERNAL = "external-"  # prefix of the method's name if other software made the recommendations

PER_USER = {"ranks": 0, "validation_ranks": 0, "target_buckets": 0, "top_items": 1, "history_buckets": 1}
"""Arrays with one entry per test user, in split order, and the number of dimensions of an entry. Their shape is
(N, ...), or (N, K, ...) if the run was tested on K tie draws. All other arrays are vectors about all users together."""

INTEGER_ARRAYS = ("ranks", "validation_ranks", "top_items", "target_buckets")

DENSITIES = ("score_grid", "target_density", "negative_density")
CALIBRATION = ("calibration_count", "calibration_confidence", "calibration_accuracy")
SPECTRA = ("singular_values", "singular_values_centred")

SHARE = 1.001  # leaves room for rounding
LIMITS = {
    "target_buckets": N_BUCKETS - 1,
    "history_buckets": SHARE,
    "calibration_confidence": SHARE,
    "calibration_accuracy": SHARE,
    "calibration_count": sys.float_info.max,
    "singular_values": sys.float_info.max,
    "singular_values_centred": sys.float_info.max,
}
"""Arrays whose values must lie between 0 and this maximum. Ranks and items are bounded by the number of items instead;
only the densities and their grid have no bounds."""


@dataclass(frozen=True)
class RunRecord:
    """One run: its configuration, its data, the code and machine that executed it, and the results.

    `data`: the source's file name and sha256, the split's fingerprint and counts. `command`: repeats the run.
    `started`, `finished`: ISO 8601. `timings`: in seconds. `metrics`: {stage: {name: value}} with names such as
    `ndcg@10` and `hr@10/bucket1`, without those that are undefined. `error`: type, message and traceback.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")  # used by `fields.check` only: the constructor checks nothing

    key: fields.Name
    status: fields.Status
    spec: Annotated[dict[str, Any], fields.validated_by(fields.SpecFields)]
    data: Annotated[dict[str, Any], fields.validated_by(fields.DataFields)]
    versions: dict[str, Any]
    hardware: dict[str, Any]
    command: fields.Line
    started: fields.Time
    finished: fields.Time
    epochs: list[Annotated[dict[str, Any], fields.validated_by(fields.EpochFields)]]
    selected_epoch: fields.Count | None
    timings: Annotated[dict[str, Any], fields.validated_by(fields.TimingFields)]
    peak_memory_bytes: fields.Count | None
    counts: dict[str, Any]
    metrics: Annotated[dict[str, dict[str, fields.Metric]], fields.validated_by(fields.MetricFields)]
    error: dict[str, str] | None = None
    schema: fields.Version = fields.SCHEMA

    @property
    def done(self) -> bool:
        """Whether the run completed. Only such runs are averaged and reused."""
        return self.status == "done"

    @property
    def dataset(self) -> str:
        """The dataset's name on the command line, such as `ml-1m`."""
        return str(self.spec["dataset"])

    @property
    def title(self) -> str:
        """The dataset's name in print, such as `ML-1M`."""
        return str(self.spec["title"])

    @property
    def synthetic(self) -> bool:
        return bool(self.spec["synthetic"])

    @property
    def method(self) -> str:
        return str(self.spec["method"]["name"])

    @property
    def external(self) -> bool:
        """Whether other software made the recommendations."""
        return self.method.startswith(EXTERNAL)

    @property
    def is_trial(self) -> bool:
        """Whether this is a tuning trial. Trials are never tested."""
        return bool(self.spec.get("trial"))

    @property
    def has_arrays(self) -> bool:
        """Whether arrays must be stored with the record: for every completed run that is not a trial."""
        return self.done and not self.is_trial

    @property
    def seed(self) -> int:
        return int(self.spec["seed"])

    def to_json(self) -> str:
        """Serialise the record; raise RecordError if it does not match the schema.

        JSON has no NaN. A loss or validation value that is not finite becomes null, and such a final metric is dropped.
        """
        content = plain(asdict(self))
        for stage, values in content["metrics"].items():
            content["metrics"][stage] = {name: value for name, value in values.items() if value is not None}
        _check(content, f"record {self.key}")
        return to_json(content)

    @classmethod
    def from_json(cls, document: str | bytes, source: str) -> RunRecord:
        """Parse and check a record; raise RecordError, naming the file `source`, if it is not valid."""
        try:
            content = parse_json(document)
        except ValueError as error:
            raise RecordError(f"{source}: is not a JSON document ({error})") from error
        if isinstance(content, dict):
            content = {"schema": None} | content  # required in a file, although RunRecord has a default
            _rename_footing(content)
        _check(content, source)
        return cls(**content)


def _rename_footing(content: dict[str, Any]) -> None:
    """Convert an early record, which says "footing" for "hparams" and marks tuned hyper-parameters in the profile."""
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
    """Raise RecordError, naming the file `source`, unless all arrays match the record in shape, type and bounds."""
    users = record.data["test_users"]
    if record.has_arrays and "ranks" not in arrays:
        raise RecordError(f"{source}: array ranks: missing although the run is done")
    draws = arrays["ranks"].shape[1:] if "ranks" in arrays else ()
    for name, array in arrays.items():
        _check_values(name, array, record.data["items"], source)
        if not _has_shape(name, array, users, draws):
            raise RecordError(f"{source}: array {name}: shape {array.shape} does not fit {users} test users")
    for group in (DENSITIES, CALIBRATION, SPECTRA):
        shapes = {arrays[name].shape for name in group if name in arrays}
        if len(shapes) > 1 or any(0 in shape for shape in shapes):
            raise RecordError(f"{source}: arrays {', '.join(group)}: expected equal lengths from 1")


def _has_shape(name: str, array: np.ndarray, users: int, draws: tuple[int, ...]) -> bool:
    """Whether the shape is right. `draws` is (K,) if the run was tested on K tie draws, otherwise ()."""
    if name not in PER_USER:
        return array.ndim == 1
    rows = (users, *draws)
    is_possible = len(draws) < 2 and 0 not in draws
    return is_possible and array.shape[: len(rows)] == rows and array.ndim == len(rows) + PER_USER[name]


def _check_values(name: str, array: np.ndarray, n_items: int, source: str) -> None:
    kinds, wanted = ("iu", "whole numbers") if name in INTEGER_ARRAYS else ("iuf", "numbers")
    if array.dtype.kind not in kinds:
        raise RecordError(f"{source}: array {name}: expected {wanted}, found {array.dtype}")
    highest = LIMITS.get(name, n_items if name in INTEGER_ARRAYS else None)
    if highest is not None and not ((array >= 0) & (array <= np.float64(highest))).all():  # compared in float64
        raise RecordError(f"{source}: array {name}: expected numbers from 0 to {highest:g}")
