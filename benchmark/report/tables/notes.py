"""The notes below tables: prose from templates/notes, which runs are left out, and how the others were made.

A template is a Markdown list. Each point, from a dash at the start of a line, becomes one note on one line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmark.paper.printed import BASELINES, CITATION
from benchmark.plan.run_spec import RunSetting
from benchmark.report.methods import title_of
from benchmark.report.query import Results, RunGroup, split_profile
from benchmark.report.significance import MIN_SEEDS, POWER
from benchmark.report.tables import numbers
from benchmark.report.templates import environment
from benchmark.runs.metrics import CUTOFFS
from benchmark.runs.preparation import MASKED_SHARE_WORTH_A_WARNING
from benchmark.store.record import RunRecord

FILTERS = ("number", "signed", "plus", "percent", "share", "p_value", "count", "spans", "in_print")
"""The functions of `numbers` that templates use."""


def notes(template: str, **facts: object) -> list[str]:
    """Render the template with these facts and return its notes."""
    text = _ENVIRONMENT.get_template(f"notes/{template}.jinja").render(facts)
    points = re.split(r"^- ", text, flags=re.MULTILINE)
    return [line for point in points if (line := " ".join(point.split()))]


def by_title(groups: Iterable[RunGroup]) -> dict[str, RunGroup]:
    return {runs.title: runs for runs in groups}


def notes_on_runs(template: str, results: Results, groups: Mapping[str, RunGroup], /, **facts: object) -> list[str]:
    """The template's notes, then which runs are missing from the groups and how the others were made.

    `groups`: by the name that readers see.
    """
    return [*notes(template, **facts), *status_notes(groups), *setting_notes(results, groups.values())]


def setting_notes(results: Results, groups: Iterable[RunGroup]) -> list[str]:
    """Under which rules and on which machines the finished runs were made; nothing if there are none."""
    records = [record for group in groups for record in group.done]
    if not records:
        return []
    tested = numbers.count(records[0].data["test_users"], "test user")
    return [f"{setting_text(results.setting)}; {tested}.", machines_note(records)]


def status_notes(groups: Mapping[str, RunGroup]) -> list[str]:
    """Which runs did not finish, and which of the named groups have no run at all."""
    absent = [name for name, group in groups.items() if not group.done and set(group.not_done) <= {"missing"}]
    left_out = left_out_notes({name: group for name, group in groups.items() if name not in absent})
    return [*left_out, f"Not run: {'; '.join(absent)}."] if absent else left_out


def left_out_notes(groups: Mapping[str, RunGroup]) -> list[str]:
    """Which runs do not enter the mean, and why. Groups that lack the same seeds for the same reason share a note."""
    names: dict[str, list[str]] = {}
    for name, group in groups.items():
        left_out = group.not_done.items()
        reasons = [f"{status} (seed{'s' * (len(seeds) > 1)} {numbers.spans(seeds)})" for status, seeds in left_out]
        if reasons:
            names.setdefault("; ".join(reasons), []).append(name)
    return [
        f"{'; '.join(together)}: {reasons}; left out of the mean{'' if len(together) == 1 else 's'}."
        for reasons, together in names.items()
    ]


def masked_note(results: Results) -> list[str]:
    """Return a warning if too many targets are masked for accuracy to mean much."""
    share = results.data.get("masked_share")
    if not results.masks_history or not isinstance(share, int | float) or share <= MASKED_SHARE_WORTH_A_WARNING:
        return []
    return notes("masked", share=share)


def setting_text(setting: RunSetting, protocol: str = "") -> str:
    """The rules that runs were made under, in words; `protocol` adds details to the protocol's name."""
    profile = ", ".join(split_profile(setting.profile))
    return f"Protocol {setting.protocol}{protocol}, {setting.hparams} hyper-parameters, profile {profile}"


def machines_note(records: Sequence[RunRecord]) -> str:
    """The devices and torch versions behind these runs, external ones aside."""
    ours = [record for record in records if not record.external]
    devices = Counter(str(record.hardware.get("device", "unknown")) for record in ours)
    torches = Counter(str(record.versions.get("torch", "unknown")) for record in ours)
    mixed = "" if len(devices) == len(torches) == 1 else "The runs come from different machines or versions. "
    return f"{mixed}Device: {_with_counts(devices)}; torch: {_with_counts(torches)}."


def _with_counts(counts: Counter[str]) -> str:
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
