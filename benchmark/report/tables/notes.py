"""Notes below tables: prose from templates/notes, which runs are left out, under which rules and where runs were made.

A template is a list whose points begin with a dash at the start of a line; each becomes a note, on one line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.paper.printed import BASELINES, CITATION
from benchmark.plan.run_spec import RunSetting
from benchmark.report.methods import title_of
from benchmark.report.query import Results, RunGroup, profile_in_words
from benchmark.report.significance import MIN_SEEDS, POWER
from benchmark.report.tables import numbers
from benchmark.report.templates import environment
from benchmark.runs.metrics import CUTOFFS
from benchmark.runs.preparation import MASKED_SHARE_WORTH_A_WARNING
from benchmark.store.record import RunRecord

FILTERS = ("number", "signed", "plus", "percent", "share", "p_value", "count", "spans", "in_print")
"""What templates use of `numbers`."""


def notes(table: str, **facts: object) -> list[str]:
    """What the template of a table says about these facts."""
    text = _ENVIRONMENT.get_template(f"notes/{table}.jinja").render(facts)
    points = re.split(r"^- ", text, flags=re.MULTILINE)
    return [line for point in points if (line := " ".join(point.split()))]


def notes_on_runs(table: str, results: Results, groups: Sequence[RunGroup], /, **facts: object) -> list[str]:
    """What the template says, which of the groups' runs are left out, and how the others were made."""
    named = {runs.title: runs for runs in groups}
    return [*notes(table, **facts), *status_notes(named), *closing_notes(results, groups)]


def closing_notes(results: Results, groups: Sequence[RunGroup]) -> list[str]:
    """Under which rules and on which machines these runs were made; nothing without any."""
    records = [record for group in groups for record in group.done]
    if not records:
        return []
    tested = numbers.count(records[0].data["test_users"], "test user")
    return [f"{setting_text(results.setting)}; {tested}.", machines_note(records)]


def status_notes(groups: Mapping[str, RunGroup]) -> list[str]:
    """What became of runs that are not done, by the names that the groups are shown under, and which of these have no
    run at all.
    """
    absent = [name for name, group in groups.items() if not group.done and set(group.not_done) <= {"missing"}]
    told = left_out_notes({name: group for name, group in groups.items() if name not in absent})
    return [*told, f"Not run: {'; '.join(absent)}."] if absent else told


def left_out_notes(groups: Mapping[str, RunGroup]) -> list[str]:
    """Which runs are no part of a mean, and why: one note for all names with the same seeds by status."""
    names: dict[str, list[str]] = {}
    for name, group in groups.items():
        left_out = group.not_done.items()
        said = [f"{status} (seed{'s' * (len(seeds) > 1)} {numbers.spans(seeds)})" for status, seeds in left_out]
        if said:
            names.setdefault("; ".join(said), []).append(name)
    return [
        f"{'; '.join(together)}: {said}; left out of the mean{'' if len(together) == 1 else 's'}."
        for said, together in names.items()
    ]


def masked_note(results: Results) -> list[str]:
    """A warning where the share of masked targets is too high for accuracy to mean much."""
    share = results.data.get("masked_share")
    if not results.masks_history or not isinstance(share, int | float) or share <= MASKED_SHARE_WORTH_A_WARNING:
        return []
    return notes("masked", share=share)


def setting_text(setting: RunSetting, protocol: str = "") -> str:
    """Under which rules runs were made, in words; `protocol` details the one that they name."""
    profile = profile_in_words(setting.profile)
    return f"Protocol {setting.protocol}{protocol}, {setting.hparams} hyper-parameters, profile {', '.join(profile)}"


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
    return ", ".join(f"{name} ({numbers.count(n, 'run')})" for name, n in sorted(counts.items()))


_ENVIRONMENT = environment(
    Path(__file__).parent,
    {each: getattr(numbers, each) for each in FILTERS} | {"title": title_of},
    finalize=lambda value: " ".join(value.split()) if isinstance(value, str) else value,
    trim_blocks=False,
    lstrip_blocks=False,
)
_ENVIRONMENT.globals |= {"BASELINES": BASELINES, "CITATION": CITATION, "CUTOFFS": CUTOFFS, "DASH": numbers.DASH}
_ENVIRONMENT.globals |= {"MIN_SEEDS": MIN_SEEDS, "POWER": numbers.share(POWER)}
