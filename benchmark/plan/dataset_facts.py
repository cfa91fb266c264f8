"""What a plan has to know of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.store.store import Store
from datasets.protocol import Protocol


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
