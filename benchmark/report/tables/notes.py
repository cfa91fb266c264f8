"""Notes that several tables share: which runs are left out, under which rules and on which machines runs were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from benchmark.plan.run_spec import RunSetting
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.numbers import count, spans
from benchmark.runs.preparation import MASKED_SHARE_WORTH_A_WARNING
from benchmark.store.record import RunRecord


def status_notes(groups: Mapping[str, RunGroup]) -> list[str]:
    """What became of runs that are not done, by the names that the groups are shown under, and which of these have no
    run at all.
    """
    absent = [name for name, group in groups.items() if not group.done and set(group.not_done) <= {"missing"}]
    notes = left_out_notes({name: group for name, group in groups.items() if name not in absent})
    return [*notes, f"Not run: {'; '.join(absent)}."] if absent else notes


def left_out_notes(groups: Mapping[str, RunGroup]) -> list[str]:
    """Which runs are no part of a mean, and why: one note for all names with the same seeds by status."""
    names: dict[str, list[str]] = {}
    for name, group in groups.items():
        said = [f"{status} (seed{'s' * (len(seeds) > 1)} {spans(seeds)})" for status, seeds in group.not_done.items()]
        if said:
            names.setdefault("; ".join(said), []).append(name)
    return [
        f"{'; '.join(together)}: {said}; left out of the mean{'' if len(together) == 1 else 's'}."
        for said, together in names.items()
    ]


def closing_notes(results: Results, groups: Sequence[RunGroup]) -> list[str]:
    """Under which rules and on which machines these runs were made; nothing without any."""
    records = [record for group in groups for record in group.done]
    if not records:
        return []
    setting, users = results.setting, records[0].data["test_users"]
    rules = f"{setting_text(setting)}; {users} test users."
    return [rules, machines_note(records)]


def masked_note(results: Results) -> list[str]:
    """A warning where the share of masked targets is too high for accuracy to mean much."""
    share = results.data.get("masked_share")
    if any("evaluation" in record.spec for record in results.records()):  # history is not masked there
        return []
    if not isinstance(share, int | float) or share <= MASKED_SHARE_WORTH_A_WARNING:
        return []
    return [
        f"The targets of {share:.1%} of the test users are items that their histories already hold. Such a target is "
        "masked and counts as a miss for every method, which limits every accuracy below. If rows of the data are "
        "repeated, remove the repetitions."
    ]


def setting_text(setting: RunSetting, protocol: str = "") -> str:
    """Under which rules runs were made, in words; `protocol` details the one that they name."""
    return f"Protocol {setting.protocol}{protocol}, {setting.hparams} hyper-parameters, profile {setting.profile}"


def machines_note(records: Sequence[RunRecord]) -> str:
    """On which devices and with which torch these runs were made, external ones left aside."""
    ours = [record for record in records if not record.external]
    devices = Counter(str(record.hardware.get("device", "unknown")) for record in ours)
    torches = Counter(str(record.versions.get("torch", "unknown")) for record in ours)
    mixed = "" if len(devices) == len(torches) == 1 else "The runs come from different machines or versions. "
    return f"{mixed}Device: {_shares(devices)}; torch: {_shares(torches)}."


def _shares(counts: Counter[str]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} ({count(number, 'run')})" for name, number in sorted(counts.items()))
