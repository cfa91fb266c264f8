"""The words below a table: how to read it, under which rules its numbers came about."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from benchmark.paper.printed import BASELINES, CITATION
from benchmark.report.comparison import DECIMALS, MainComparison, starred_after_holm
from benchmark.report.methods import LOOKS, look
from benchmark.report.rows import RunSet
from benchmark.report.significance import MIN_SEEDS
from benchmark.report.tables.layout import DASH, MINUS
from benchmark.runs.metrics import CUTOFFS
from benchmark.store.record import RunRecord


def table2_notes(comparison: MainComparison, family: Sequence[MainComparison]) -> Iterable[str]:
    """One sentence or a few per note: reading, choice, setting, users, runs left out, methods not run, machines."""
    runs = comparison.runs
    yield _reading_note(comparison, family)
    if comparison.choice:
        yield _choice_note(comparison)
    yield _setting_note(comparison)
    if comparison.users and comparison.users.lead:
        yield _users_note(comparison)
    yield from left_out_notes({look(method).title: runs.not_done(method) for method in runs.methods()})
    if runs.of("ec4srec"):
        yield "EC4SRec: no complete public implementation exists; this one follows the paper."
    for record in runs.external():
        yield _external_note(record, runs)
    if absent := [look(method).title for method in LOOKS if not runs.of(method)]:
        yield f"Not run: {', '.join(absent)}."
    if runs.ours():
        yield machines_note(runs)


def _reading_note(comparison: MainComparison, family: Sequence[MainComparison]) -> str:
    ran, six = len(comparison.baselines), "the paper's six baselines"
    rivals = six if ran == len(BASELINES) else f"those that were run ({ran}) of {six}"
    text = "Mean over seeds, ± sample standard deviation."
    if any(row.printed for row in comparison.metrics):
        text += f" In italics: what the paper prints ({CITATION})."
    if len(comparison.contestants) > 1:
        text += " Bold: best, underlined: second best of the paper's columns."
    if any(row.versus for row in comparison.metrics):
        text += (
            f" Improve: BT-SR against the best of {rivals}, with the p of a two-sided paired t-test, seed against seed;"
            f" * marks p < 0.05 in favour of BT-SR on at least {MIN_SEEDS} seeds, for every metric alike."
        )
    tested, starred, kept = starred_after_holm(family)
    if tested:
        text += (
            f" Stars on {starred} of {tested} accuracy cells, on {kept} after Holm's correction over these {tested}."
        )
    return text


def _choice_note(comparison: MainComparison) -> str:
    assert comparison.choice is not None
    means = [
        f"{look(method).title} {grounds['mean']:.{DECIMALS}f} ({_many(len(grounds['seeds']), 'seed')})"
        for method, grounds in comparison.choice.evidence.items()
    ]
    chosen = look(comparison.choice.choice).title
    return f"† {chosen} represents BT-SR: highest mean validation NDCG@10 among {', '.join(means)}."


def _setting_note(comparison: MainComparison) -> str:
    runs = comparison.runs
    protocol = runs.records[0].spec["protocol"]
    seeds = {record.seed for record in runs.ours()} | {seed for _, seed in runs.missing}
    text = (
        f"Protocol {runs.setting.protocol} (filter {protocol['filter']}, history {protocol['history']}, ties "
        f"{protocol['ties']}), footing {runs.setting.hparams}, profile {runs.setting.profile}; "
    )
    text += f"seeds {_list(seeds)}; " if seeds else ""
    threshold = runs.data.get("threshold")
    if isinstance(threshold, int):
        text += f"T = {threshold} ({_date(threshold)}); "
    text += f"{runs.records[0].data['test_users']} test users"
    if comparison.users and not math.isnan(comparison.users.sampling_error):
        error, method = comparison.users.sampling_error, runs.look(comparison.users.method).title
        text += f"; the sampling error of NDCG@10 over them is {error:.{DECIMALS}f} ({method}, mean of its seeds)"
    if not runs.ours():
        return f"{text}."
    return f"{text}. All choices were made on validation; test was computed once, on the selected model."


def _users_note(comparison: MainComparison) -> str:
    assert comparison.users is not None
    assert comparison.users.rival is not None
    assert comparison.users.lead is not None
    lead = comparison.users.lead
    return (
        f"Over users instead of seeds (paired bootstrap, seed-averaged): NDCG@10 of BT-SR minus that of "
        f"{look(comparison.users.rival).title} is {lead.difference:+.{DECIMALS}f}, 95% interval "
        f"[{lead.low:+.{DECIMALS}f}, {lead.high:+.{DECIMALS}f}], p {p_value(lead.p)}; these users would reveal a true "
        f"difference of {comparison.users.detectable:.{DECIMALS}f} with 80% power."
    ).replace("-0.", f"{MINUS}0.")


def _external_note(record: RunRecord, runs: RunSet) -> str:
    settings, counts = record.spec["method"]["settings"], record.counts
    text = (
        f"{runs.look(record.method).title}: recommendations made elsewhere ({settings.get('file')}, sha256 "
        f"{str(settings.get('sha256'))[:12]}), scored here on the same users, targets and catalogue; how they came "
        f"about is not ours to say, so no footing is equal; one file, so no deviation and no test. "
        f"{counts.get('users_without_list')} of {counts.get('users')} test users have no list and count as misses; "
        f"{counts.get('history_items_dropped')} listed items were dropped because the user's history holds them."
    )
    known, others = counts.get("known_cutoff"), counts.get("other_files_before")
    if isinstance(known, int) and known < max(CUTOFFS):
        text += f" The shortest list has {_many(known, 'item')} then: metrics at a larger K are unknown ({DASH})."
    if isinstance(others, int) and others:
        text += f" Before this file, {_many(others, 'other file')} of that name had been scored on the test targets."
    return text


def left_out_notes(not_done: Mapping[str, Mapping[str, Sequence[int]]]) -> list[str]:
    """Which runs are no part of a mean, and why: one note for all names with the same seeds by status."""
    names: dict[str, list[str]] = {}
    for name, states in not_done.items():
        said = [f"{status} (seed{'s' * (len(seeds) > 1)} {_list(seeds)})" for status, seeds in states.items()]
        if said:
            names.setdefault("; ".join(said), []).append(name)
    return [
        f"{'; '.join(group)}: {said}; no part of {'its mean' if len(group) == 1 else 'their means'}."
        for said, group in names.items()
    ]


def machines_note(runs: RunSet) -> str:
    """On which devices and with which torch the runs were made."""
    devices = Counter(str(record.hardware.get("device", "unknown")) for record in runs.ours())
    torches = Counter(str(record.versions.get("torch", "unknown")) for record in runs.ours())
    mixed = "" if len(devices) == len(torches) == 1 else "The runs come from different machines or versions. "
    return f"{mixed}Device: {_shares(devices)}; torch: {_shares(torches)}."


def _shares(counts: Counter[str]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} ({_many(number, 'run')})" for name, number in sorted(counts.items()))


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _list(seeds: Iterable[int]) -> str:
    """Numbers with runs of three and more drawn together: 0–4, 7, 8."""
    spans: list[str] = []
    for _, span in itertools.groupby(enumerate(sorted(seeds)), lambda pair: pair[1] - pair[0]):
        values = [seed for _, seed in span]
        spans += [f"{values[0]}{DASH}{values[-1]}"] if len(values) > 2 else map(str, values)
    return ", ".join(spans)


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def p_value(p: float) -> str:
    """As in `p = .012`, from the sign on."""
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".")
