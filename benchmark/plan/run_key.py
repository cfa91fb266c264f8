"""The key of a run: everything that decides its numbers, so that equal keys mean equal results."""

from __future__ import annotations

import hashlib
import json

from baselines.registry import METHODS
from benchmark.plan.run_spec import RunSpec
from datasets.protocol import PROTOCOL_VERSION

EVALUATION_VERSION = 1
"""Raise it whenever benchmark/runs/evaluation.py gives other ranks or raw measurements for the same scores."""


def versions(spec: RunSpec) -> dict[str, int]:
    """The versions whose rise makes earlier runs of this spec void."""
    method = METHODS[spec.method].method
    return {
        "protocol": PROTOCOL_VERSION,
        "encoder": method.encoder_version,
        "method": method.version,
        "evaluation": EVALUATION_VERSION,
    }


def run_key(spec: RunSpec, fingerprint: str) -> str:
    """16 hex digits of everything that decides the numbers: neither the device nor the mere names of presets."""
    identity = {"spec": spec.identity(), "fingerprint": fingerprint, "versions": versions(spec)}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
