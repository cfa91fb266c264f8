"""The paper held against itself: what it prints, what follows from the rest of what it prints, and a verdict on each.

It needs no run: the printed tables and `benchmark/paper/audit/audit.toml` are all it reads.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.paper.audit import cells, grain, text, words
from benchmark.paper.audit.cells import RUNS, VERDICTS, Finding
from benchmark.paper.printed import CITATION, audit_data, table1, table2, table3
from benchmark.report.tables.markdown import escape
from benchmark.store.atomic_files import write_file

SHOWN_WHOLE = 12
"""A longer check shows what disagrees or cannot be told; the CSV file has all."""

COLUMNS = ("check", "place", "printed", "follows", "verdict")


@dataclass(frozen=True)
class Check:
    """One question to the paper. `name`: short, for the CSV file; `method`: how it was answered, in a few sentences."""

    name: str
    title: str
    method: str
    findings: tuple[Finding, ...]


def audit() -> list[Check]:
    """Every check, with all its findings."""
    return [*_table2_checks(), *_table1_checks(), *_text_checks()]


def audit_frame(checks: Sequence[Check]) -> pd.DataFrame:
    """One row per finding, columns COLUMNS."""
    rows = [(check.name, *dataclasses.astuple(finding)) for check in checks for finding in check.findings]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def audit_markdown(checks: Sequence[Check] | None = None) -> str:
    """The audit as a document: an overview, then a section per check; without `checks` that of the paper."""
    checks = audit() if checks is None else checks
    lines = [
        "<!-- Written by run_all.py from benchmark/paper/. -->",
        "",
        "# What the paper prints, held against itself",
        "",
        f"Every figure is from the tables of {CITATION} or follows from them by arithmetic; nothing was run for it. "
        "A printed number is taken as all that rounds to it. *Disagrees* says that two printed things do not fit "
        "together, not which of them is right, nor why. *Cannot be told* says that the paper prints too little to "
        "decide. Quotations have Greek letters and hyphens restored.",
        "",
        "| check | agrees | disagrees | cannot be told |",
        "|:--|--:|--:|--:|",
        *(f"| [{escape(check.title)}](#{check.name}) | {' | '.join(map(str, _counts(check)))} |" for check in checks),
    ]
    for check in checks:
        lines += ["", *_section(check)]
    return "\n".join([*lines, ""])


def write_audit(folder: Path) -> list[Path]:
    """Write audit.md and audit.csv into `folder` and return their paths; StoreError if they cannot be written."""
    checks = audit()
    csv = audit_frame(checks).to_csv(index=False, lineterminator="\n")
    paths = {folder / "audit.md": audit_markdown(checks), folder / "audit.csv": csv}
    for path, content in paths.items():
        write_file(path, content.encode())
    return list(paths)


def _table2_checks() -> list[Check]:
    table, known = table2(), grain.populations(audit_data()["populations"])
    return [
        _check(
            "improve",
            "Improve, against the best printed baseline",
            "Table 2's last column, recomputed from BT-SR and the highest of the six baselines of the same row. Where "
            "it differs: every baseline whose value gives the printed percentage, and what the percentage implies.",
            cells.improvements(table),
        ),
        _check(
            "stars",
            "Stars, against the printed deviations",
            f"{_quoted('significance')}, read as the best baseline, to which Improve refers. A two-sided one-sample "
            f"t-test of the printed mean and deviation with n = {RUNS} against the printed baseline: it is the paired "
            "test if the baseline does not vary over runs. Baselines are printed without a deviation, and the pairs "
            "are not printed; with a baseline that varies along with BT-SR the paired test can reach what this one "
            "does not, so each finding names the deviation of the differences that it would take.",
            cells.stars(table),
        ),
        _check(
            "ndcg-gain",
            "NDCG from K = 5 to 10, against HR",
            "With one target per user, a hit at ranks 6 to 10 adds between 1 / log2(11) and 1 / log2(7) to NDCG. A "
            "method's gain in NDCG from K = 5 to 10 therefore lies between these multiples of its gain in HR, for "
            "single runs and for means alike. Bounds include rounding.",
            cells.ndcg_gains(table),
        ),
        _check(
            "sizes",
            "How many users and items the rates are fractions of",
            "The paper does not print how many users are tested or how many items can be recommended. They were "
            "counted on the public data; here, which sizes the printed rates themselves point to.",
            grain.sizes(table, known),
        ),
        _check(
            "five-runs",
            "Five runs, against the grain of the rates",
            f"{_quoted('five_runs')}; a deviation is printed for BT-SR alone. A hit rate over N users is a multiple of "
            f"1/N, a mean over {RUNS} runs one of 1/{RUNS}N. *Disagrees*: a value that no such mean rounds to, or all "
            "values as a single run gives them where means would rarely (p < .05, values taken as independent) look "
            "so. All of it on the premise that the counted users are those tested.",
            grain.runs_behind(table, known),
        ),
    ]


def _table1_checks() -> list[Check]:
    one, two, data = table1(), table2(), audit_data()
    quotes = data["quotes"]
    decimals = {(x["dataset"], x["column"]): x["decimals"] for x in data["shorter"] if x["table"] == 1}
    equal, place = words.baseline_cells(one, two), quotes["selection"]["place"]
    drop = quotes["top_1_drop"]
    return [
        _check(
            "best-variant",
            "BT-SR in Table 2, against Table 1",
            f"{_quoted('best_variant')}. NDCG@10 of BT-SR in both tables; Table 1 has it for three objectives, of "
            "which the highest is taken.",
            words.best_variants(one, two, decimals),
        ),
        _check(
            "baseline-cells",
            "The baselines of Table 1, against Table 2",
            "Whether the cells without Barlow Twins are the same numbers in both tables.",
            equal,
        ),
        _check(
            "choice",
            "On what the objective was chosen",
            "What the equality of these cells says of the choice per dataset, and the objectives that section 5 names "
            "against Table 1's highest.",
            [
                *words.chosen_on_test(equal, f"“{quotes['selection']['text']}”", place),
                *words.named_objectives(one, data["objectives"], place),
            ],
        ),
        _check(
            "barlow-twins",
            "Barlow Twins improves every objective",
            f"{_quoted('barlow_twins')}. Cell by cell, by sign; the table prints no deviations.",
            words.barlow_twins_gains(one),
        ),
        _check(
            "cross-entropy",
            "CE above BCE",
            f"{_quoted('cross_entropy')}. The sentence speaks of recent work; here are the paper's own columns, "
            "NDCG@10 without Barlow Twins.",
            words.cross_entropy(one),
        ),
        _check(
            "modest-coverage",
            "Modest coverage gains",
            f"{_quoted('modest_coverage')}. BT-SR against the best baseline of the same row, as in Improve: is it a "
            "gain? The sentence does not say over what else it would be one.",
            words.coverage_gains(two, quotes["modest_coverage"]["datasets"]),
        ),
        _check(
            "higher-coverage",
            "Substantially higher coverage",
            f"{_quoted('higher_coverage')}. The same by sign alone: how much is substantial is not defined.",
            words.coverage_gains(two, quotes["higher_coverage"]["datasets"]),
        ),
        _check(
            "top-1-drop",
            "A drop of 2 to 3 percentage points at top 1",
            f"{_quoted('top_1_drop')}. Whether the printed HR@1 leaves room for it, on the datasets that the section "
            "speaks of. Values over α stand in figures, not in tables.",
            words.top_1_drop(two, drop["datasets"], drop["at_least_points"]),
        ),
    ]


def _text_checks() -> list[Check]:
    data, tables = audit_data(), {"Table 1": table1(), "Table 2": table2(), "Table 3": table3()}
    return [
        _check(
            "datasets",
            "The datasets of section 4, against the tables",
            _quoted("datasets"),
            text.datasets(data["quotes"]["datasets"]["datasets"], tables),
        ),
        _check(
            "references",
            "References within the paper",
            "Whether the equation, section or figure referred to exists and is about what the sentence says.",
            text.references(data["references"], data["contents"]),
        ),
        _check(
            "statements",
            "Statements without a printed measure",
            "What is stated and not measured in a printed table.",
            text.statements(data["statements"]),
        ),
        _check(
            "reading-notes",
            "Two reading notes, against the paper",
            "Statements of two notes that summarise the paper, one in English and one in Chinese. Their figures were "
            "looked up in the tables, the rest in the text; what only a figure's drawing might show was not.",
            text.reading_notes(data["notes"], *tables.values()),
        ),
    ]


def _check(name: str, title: str, method: str, findings: Sequence[Finding]) -> Check:
    return Check(name, title, method, tuple(findings))


def _quoted(name: str) -> str:
    """A sentence of audit.toml's `quotes` with its place."""
    entry = audit_data()["quotes"][name]
    return f"“{entry['text']}” ({entry['place']})"


def _counts(check: Check) -> list[int]:
    counts = Counter(finding.verdict for finding in check.findings)
    return [counts[verdict] for verdict in VERDICTS]


def _section(check: Check) -> list[str]:
    whole = len(check.findings) <= SHOWN_WHOLE
    shown = [finding for finding in check.findings if whole or finding.verdict != "agrees"]
    counts = dict(zip(VERDICTS, _counts(check), strict=True))
    told = ", ".join(f"{verdict}: {count}" for verdict, count in counts.items())
    left_out = len(check.findings) - len(shown)
    lines = [f'<a id="{check.name}"></a>', f"## {escape(check.title)}", "", _emphasised(check.method), ""]
    lines += [f"Of {len(check.findings)}: {told}." + (" What agrees is in audit.csv." if left_out else "")]
    if shown:
        lines += ["", "| place | printed | what follows | verdict |", "|:--|:--|:--|:--|"]
        lines += [f"| {' | '.join(map(escape, dataclasses.astuple(finding)))} |" for finding in shown]
    return lines


def _emphasised(text: str) -> str:
    """Escaped but for *emphasis*."""
    return escape(text).replace("\\*", "*")
