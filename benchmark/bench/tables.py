"""Render the JSON files of the bench as one Markdown document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HEAD = "<!-- Written by python -m benchmark bench from results/bench/. -->\n\n# Speed and memory\n"
MIB = 2**20


def to_markdown(documents: Sequence[dict[str, Any]]) -> str:
    """Render the contents of the JSON files: all ratios first, then each case."""
    ratios = [line for document in documents for line in ratio_lines(document)]
    parts = [HEAD, _table(["ours beside another way", "times better"], ratios)] if ratios else [HEAD]
    return "\n".join([*parts, *map(_case, documents)])


def ratio_lines(document: dict[str, Any]) -> list[list[str]]:
    """Return the label and the value of each ratio of a case."""
    return [[ratio["label"], _times(ratio)] for group in document["groups"] for ratio in group["ratios"]]


def _times(ratio: dict[str, Any]) -> str:
    if ratio["value"] is None:
        return "not measured"
    spread = "" if ratio["low"] == ratio["high"] else f" ({ratio['low']:.3g} to {ratio['high']:.3g})"
    return f"{ratio['value']:.3g}{spread}"


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
    more = list(dict.fromkeys(column for result in group["results"] for column in result.get("columns", {})))
    columns = ["", f"{group['unit']} per s", "quartiles", "seconds", "laps", *more, "added MiB", "peak MiB", ""]
    rows = [_result(result, more) for result in group["results"]]
    return f"**{group['title']}** ({label}{work})\n\n{_table(columns, rows)}"


def _result(result: dict[str, Any], more: Sequence[str]) -> list[str]:
    rate = result["rate"]
    if rate is None:
        return [result["contender"], result["status"], *[""] * (5 + len(more)), result["note"]]
    columns = [result["columns"].get(column) for column in more]
    memory = [result[key] for key in ("added_memory_bytes", "peak_memory_bytes")]
    return [
        result["contender"],
        _number(rate["median"]),
        f"{_number(rate['low'])} to {_number(rate['high'])}" if len(result["seconds"]) > 1 else "",
        f"{result['amount'] / rate['median']:.3g}",
        str(len(result["seconds"]) if result["status"] == "measured" else 0),
        *("" if value is None else f"{value:.3g}" for value in columns),
        *("" if value is None else f"{value / MIB:,.0f}" for value in memory),
        result["note"],
    ]


def _number(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.3g}"


def _fits(fits: Sequence[dict[str, Any]]) -> str:
    rows = [
        [fit["contender"], fit["quantity"], f"{fit['exponent']:.2f}", f"{min(fit['sizes']):,} to {max(fit['sizes']):,}"]
        for fit in fits
    ]
    return _table(["growth with the size", "", "exponent", "sizes"], rows) if rows else ""


def _breakdown(found: dict[str, Any]) -> str:
    """Render one column per contender and one row per kind of operation, in the order of the first contender."""
    kinds = dict.fromkeys(kind for shares in found["shares"].values() for kind in shares)
    rows = []
    for kind in kinds:
        shares = {name: shares.get(kind, 0.0) for name, shares in found["shares"].items()}
        rows.append([kind, *(f"{share * found['seconds'][name]:.3g} ({share:.0%})" for name, share in shares.items())])
    label = " (synthetic data)" if found["synthetic"] else ""
    title = f"Where the time goes, {found['title']}{label}: seconds of a lap under the profiler, and their share"
    return f"**{title}**\n\n{_table(['', *found['shares']], rows)}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = "|:--|" + "--:|" * (len(columns) - 1)
    head, *lines = (f"| {' | '.join(row)} |" for row in [columns, *rows])
    return "\n".join([head, rule, *lines, ""])
