"""What a plan has to know of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.store.store import Store
from datasets.protocol import Protocol
from datasets.registry import DATASETS


@dataclass(frozen=True)
class DatasetFacts:
    """What a plan has to know of a dataset, from `Prepared.facts` or, without the data, from an earlier data.json."""

    title: str
    synthetic: bool
    protocol: Protocol
    fingerprint: str

    @classmethod
    def stored(cls, store: Store, dataset: str, protocol: Protocol) -> DatasetFacts | None:
        """From data.json; None if the dataset has not been prepared under this protocol."""
        data = store.data(dataset) or {"protocols": {}}
        for entry in data["protocols"].values():
            if entry.get("protocol") == protocol.to_json() and "fingerprint" in entry:
                return cls(data["title"], data["synthetic"], protocol, entry["fingerprint"])
        return None


def released_filter_of(dataset: str) -> str:
    """What the released preprocessing filters; a file of one's own is not filtered."""
    return DATASETS[dataset].released_filter if dataset in DATASETS else "none"


def label_of(dataset: str, protocol: Protocol) -> str:
    """The protocol's name in print and in data.json, such as "released" or "released,ties=file"."""
    return protocol.label(released_filter_of(dataset))
