"""The bench's table in Markdown, from its JSON files alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HEAD = "<!-- Written by python -m benchmark bench from results/bench/. -->\n\n# Speed and memory\n"
MIB = 2**20


def to_markdown(documents: Sequence[dict[str, Any]]) -> str:
    """`documents`: the contents of the JSON files; all ratios first, then each case."""
    ratios = [ratio for document in documents for group in document["groups"] for ratio in group["ratios"]]
    parts = [HEAD, _ratios(ratios)] if ratios else [HEAD]
    return "\n".join([*parts, *map(_case, documents)])


def ratio_lines(document: dict[str, Any]) -> list[str]:
    """One line of plain text for each ratio of a case, with its target."""
    lines = []
    for group in document["groups"]:
        for ratio in group["ratios"]:
            target = f" (target {ratio['target']:g}: {_verdict(ratio)})" if ratio["target"] else ""
            lines.append(f"{ratio['label']}: {_times(ratio)}{target}")
    return lines


def _ratios(ratios: Sequence[dict[str, Any]]) -> str:
    lines = []
    for ratio in sorted(ratios, key=lambda ratio: ratio["target"] is None):
        goal = f"| {ratio['target']:g} | {_verdict(ratio)} |" if ratio["target"] else "| | |"
        lines.append(f"| {ratio['label']} | {_times(ratio)} {goal}")
    return _table(["ours beside another way", "times better", "target", ""], lines)


def _times(ratio: dict[str, Any]) -> str:
    if ratio["value"] is None:
        return "not measured"
    spread = "" if ratio["low"] is None else f" ({ratio['low']:.3g} to {ratio['high']:.3g})"
    return f"{ratio['value']:.3g}{'' if ratio['extrapolated'] else spread}{' extrapolated' * ratio['extrapolated']}"


def _verdict(ratio: dict[str, Any]) -> str:
    if ratio["value"] is None:
        return "open"
    return "reached" if ratio["value"] >= ratio["target"] else "missed"


def _case(document: dict[str, Any]) -> str:
    hardware, versions = document["hardware"], document["versions"]
    dirty = ", changed since" if versions["code_dirty"] else ""
    facts = [
        f"`{document['command']}`",
        f"{hardware['name']} ({hardware['device']}), {hardware['threads']} thread(s), {hardware['platform']}",
        f"torch {versions['torch']}, numpy {versions['numpy']}, Python {versions['python']}",
        f"commit {versions['code'][:12]}{dirty}",
        document["finished"],
    ]
    quick = "\nSizes for tests (`--quick`): these figures say nothing.\n" if document["quick"] else ""
    head = f"\n## {document['case'].capitalize()}\n\n{document['description']}\n{quick}\n{'; '.join(facts)}.\n"
    parts = [
        *map(_group, document["groups"]),
        _fits(document["fits"]),
        *map(_breakdown, document.get("breakdowns", ())),
        *(f"{note}\n" for note in document.get("notes", ())),
    ]
    return "\n".join([head, *parts]).rstrip() + "\n"


def _group(group: dict[str, Any]) -> str:
    work = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in group["workload"].items())
    label = "synthetic data; " if group["synthetic"] else ""
    columns = ["", f"{group['unit']} per s", "quartiles", "seconds", "laps", "added MiB", "peak MiB", ""]
    lines = [_result(result) for result in group["results"]]
    return f"**{group['title']}** ({label}{work})\n\n{_table(columns, lines)}"


def _result(result: dict[str, Any]) -> str:
    rate = result["rate"]
    if rate is None:
        return f"| {result['contender']} | {result['status']} | | | | | | {result['note']} |"
    cells = [
        result["contender"],
        f"{rate['median']:,.0f}",
        f"{rate['low']:,.0f} to {rate['high']:,.0f}" if len(result["seconds"]) > 1 else "",
        f"{result['amount'] / rate['median']:.3g}",
        "0" if result["status"] == "extrapolated" else str(len(result["seconds"])),
        *(
            "" if result[key] is None else f"{result[key] / MIB:,.0f}"
            for key in ("added_memory_bytes", "peak_memory_bytes")
        ),
        result["note"],
    ]
    return f"| {' | '.join(cells)} |"


def _fits(fits: Sequence[dict[str, Any]]) -> str:
    if not fits:
        return ""
    lines = [
        f"| {fit['contender']} | {fit['quantity']} | {fit['exponent']:.2f} | "
        f"{min(fit['sizes']):,} to {max(fit['sizes']):,} |"
        for fit in fits
    ]
    return _table(["growth with the catalogue", "", "exponent", "items"], lines)


def _breakdown(found: dict[str, Any]) -> str:
    """Kinds of operation down, in the order of the first contender's shares, contenders across."""
    contenders = list(found["shares"])
    kinds = dict.fromkeys(kind for shares in found["shares"].values() for kind in shares)
    lines = [
        f"| {kind} | {' | '.join(_seconds(found, contender, kind) for contender in contenders)} |" for kind in kinds
    ]
    label = " (synthetic data)" if found["synthetic"] else ""
    title = f"Where the time goes, {found['title']}{label}: seconds of a lap under the profiler, and their share"
    return f"**{title}**\n\n{_table(['', *contenders], lines)}"


def _seconds(found: dict[str, Any], contender: str, kind: str) -> str:
    share = found["shares"][contender].get(kind, 0.0)
    return f"{share * found['seconds'][contender]:.3g} ({share:.0%})"


def _table(columns: Sequence[str], lines: Sequence[str]) -> str:
    rule = "|:--|" + "--:|" * (len(columns) - 1)
    return "\n".join([f"| {' | '.join(columns)} |", rule, *lines, ""])
