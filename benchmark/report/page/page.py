"""The report as one HTML page that works offline, opened as a file.

It shows the answer and the claims, then for each dataset what the paper shows, in the paper's order, what goes beyond
the paper, and the runs. Pictures are data URIs, and style and script are inline under a policy that forbids anything
else. Links lead to the run records beside the page and to the written tables and figures.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from benchmark.paper.printed import BASELINES, BTSR, CITATION
from benchmark.plan.run_spec import RunSetting
from benchmark.plan.selection import METRIC
from benchmark.report.claims.judged_claims import VERDICTS, JudgedClaim, verdict_counts
from benchmark.report.claims.sides import MAIN_EXPERIMENTS, Side, best_against, btsr_and_rivals, lead, sides_of
from benchmark.report.figures.captions import caption, paper_figure
from benchmark.report.page.runs_table import METRICS, anchor_of, not_run, run_rows, slug
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import LEVEL, MIN_SEEDS
from benchmark.report.tables.layout import Cell, Head, Row, Stack, Table, below_row
from benchmark.report.tables.notes import machines_note, notes
from benchmark.report.tables.numbers import DASH, MINUS, p_value, signed
from benchmark.report.templates import environment
from benchmark.store.atomic_files import write_file

NOT_RUN = "not run"
"""The verdict on a claim without any runs."""

PAPER_ORDER = (
    *("table1", "table2", "figure1-buckets", "buckets", "figure2-scores", "figure2-spectrum"),
    *("sensitivity-alpha", "alpha", "figure5-regimes", "table3", "sensitivity-lambda", "lambda"),
)
"""What the paper shows, in its order. `buckets`, `alpha` and `lambda` hold the numbers of the figure before them."""

OPENING_FIGURES = ("windows", "accuracy-coverage")
"""The page opens with a picture of each dataset: the first of these that was drawn."""

Link = Callable[[str], str | None]
"""Returns the link to the runs of the RunGroup with this name, or None if they are not on the page."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class DatasetReport:
    """What a report shows of one dataset in one setting.

    `tables` and `figures` by name, figures as the PNG files that were written. `folder`: where the tables' files are.
    `gaps`: the names of tables and figures that no run has numbers for.
    """

    results: Results
    tables: Mapping[str, Sequence[Table]]
    figures: Mapping[str, Path]
    folder: Path
    gaps: Sequence[str] = ()


def write_page(
    root: Path, reports: Sequence[DatasetReport], judged: Sequence[JudgedClaim], folder: Path | None = None
) -> Path:
    """Write the page into `folder`, by default into the store at `root`, and return its path.

    In `folder` it is index.html. In the store, a setting other than the default one has a page named after it. A page
    about nothing but a generated dataset goes into that dataset's folder, so that a demo never replaces results. Raises
    StoreError if it cannot be written.
    """
    shown = [report.results for report in reports]
    alone = len({results.dataset for results in shown}) == 1 and shown[0].synthetic
    is_usual = folder is not None or shown[0].setting == RunSetting()
    folder = folder or (root / shown[0].dataset if alone else root)
    path = folder / ("index.html" if is_usual else f"index-{shown[0].setting.name}.html")
    write_file(path, page(root, reports, judged, folder).encode())
    return path


def page(
    root: Path, reports: Sequence[DatasetReport], judged: Sequence[JudgedClaim], folder: Path | None = None
) -> str:
    """Render the page about the store at `root`, to be written into `folder` or `root`.

    It opens with the answer and the claims if the runs of Table 1 or 2 were asked for or any claim was judged.
    """
    folder = folder or root
    store = "" if folder == root else f"{_relative(root, folder)}/"
    audit = root.parent / "tables" / "audit.md"
    names = dict.fromkeys(verdict.claim.id for verdict in judged)
    claims = [[verdict for verdict in judged if verdict.claim.id == name] for name in names]
    style, script = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    shown = [report.results for report in reports]
    table = answer(shown)
    return _ENVIRONMENT.get_template("page.html.jinja").render(
        citation=CITATION,
        style=Markup(style),
        script=Markup(script),
        synthetic=bool(reports) and all(report.results.synthetic for report in reports),
        on_the_paper=bool(judged) or any(results.experiment(name) for results in shown for name in MAIN_EXPERIMENTS),
        answer=to_html(table, "answer-table") if table else "",
        decided=verdict_counts(judged),
        judged=[group for group in claims if any(claim.verdict != NOT_RUN for claim in group)],
        unjudged=[group for group in claims if all(claim.verdict == NOT_RUN for claim in group)],
        counts={verdict: sum(claim.verdict == verdict for claim in judged) for verdict in VERDICTS},
        datasets=[_dataset(report, reports, folder, store) for report in reports],
        audit=_relative(audit, folder) if audit.is_file() else "",
        store=store,
        metrics=METRICS,
    )


def answer(shown: Sequence[Results]) -> Table | None:
    """Tabulate differences in NDCG@10 on every dataset, pooled over windows of time if these were run.

    On each objective BT-SR is compared with the objective alone, and the BT-SR that validation chose with the best
    baseline. None if nothing can be compared.
    """
    sections = [tuple(_stacks(results)) for results in shown]
    if not any(sections):
        return None
    return Table(
        name="answer",
        caption="What Barlow Twins adds to NDCG@10, and on what evidence. A difference is bold where p < 0.05.",
        heads=(Head("compared"), Head("difference")),
        sections=tuple(section for section in sections if section),
        notes=tuple(notes("answer")),
    )


def _stacks(results: Results) -> Iterator[Stack]:
    for first, second, role in _pairs(results):
        reading = lead(first, second, METRIC)
        low, high = map(signed, reading.interval)
        resampled = "seeds" if reading.seeds >= MIN_SEEDS else "users"
        difference = Cell(signed(reading.lead), place="best" if reading.p < LEVEL else "")
        interval = "" if low == DASH else f"95 % interval over {resampled}: {low} to {high}"
        p = "" if math.isnan(reading.p) else f"p {p_value(reading.p)}; "
        yield (
            Row(f"{results.title}: {first.title}", (difference,)),
            below_row(f"against {second.title}{role}", [interval]),
            below_row("", [f"{p}{reading.evidence}"]),
        )


def _pairs(results: Results) -> Iterator[tuple[Side, Side, str]]:
    """Yield each pair of sides that were both run once, with what to add to the title of the second one."""
    pairs = []
    for method in BTSR:
        plain = str(RunGroup("main", method, method).plain)
        both = sides_of(results, "objectives", METRIC, (method, plain))
        pairs += [(both[method], both[plain])] if both[method].values and both[plain].values else []
    ours, baselines = btsr_and_rivals(results, BASELINES, METRIC)
    pairs += [(ours, best_against(baselines, ours))] if ours.values and baselines else []
    best = pairs[-1] if ours.values and baselines else ()
    for titles, pair in {tuple(side.title for side in pair): pair for pair in pairs}.items():
        yield *pair, ", the best baseline" if titles == tuple(side.title for side in best) else ""


def _dataset(report: DatasetReport, reports: Sequence[DatasetReport], folder: Path, store: str) -> dict[str, object]:
    results = report.results
    alone = sum(other.results.dataset == results.dataset for other in reports) == 1
    identity = slug(results.dataset if alone else f"{results.dataset}-{results.setting.name}")
    records = results.records()
    opening_figure = next((name for name in OPENING_FIGURES if name in report.figures), "")
    blocks = {
        name: [
            *([_picture(name, results, report.figures[name], folder)] if name in report.figures else []),
            *([_table(report, name, identity, folder, store)] if name in report.tables else []),
        ]
        for name in dict.fromkeys((*PAPER_ORDER, *report.tables, *report.figures))
    }
    opening = [blocks[opening_figure].pop(0)] if opening_figure else []
    return {
        "identity": identity,
        "results": results,
        "facts": machines_note(records) if any(not record.external for record in records) else "",
        "opening": opening,
        "paper": [(_title(name, results.dataset), name, blocks[name]) for name in PAPER_ORDER if blocks[name]],
        "further": [(name, found) for name, found in blocks.items() if found and name not in PAPER_ORDER],
        "rows": run_rows(results, identity),
        "not_run": not_run(results),
        "gaps": report.gaps,
    }


def _title(name: str, dataset: str) -> str:
    """What the paper calls this table or figure; empty for numbers that it does not show."""
    return f"Table {name[-1]}" if name.startswith("table") else paper_figure(name, dataset)


def _table(report: DatasetReport, name: str, identity: str, folder: Path, store: str) -> Mapping[str, object]:
    with_rows = {group.name for group in report.results.groups if group.records}

    def link(group: str) -> str | None:
        return f"#{anchor_of(identity, group)}" if group in with_rows else None

    origin = f"{store}{report.results.dataset}/data.json" if name == "data" else f"#{identity}-runs"
    tables = report.tables[name]
    ids = [f"{identity}-{name}" + (f"-{i}" if i else "") for i in range(len(tables))]
    return {
        "name": name,
        "parts": [to_html(table, own, link, origin) for table, own in zip(tables, ids, strict=True)],
        "files": {suffix: _relative(report.folder / f"{name}.{suffix}", folder) for suffix in ("csv", "tex", "md")},
    }


def _picture(name: str, results: Results, path: Path, folder: Path) -> Mapping[str, object]:
    """Embed a figure as lossless WebP, a third smaller than its PNG; the `uri` is empty if the file cannot be read."""
    shown = {"name": name, "caption": caption(name, results), "file": _relative(path.with_suffix(".pdf"), folder)}
    try:
        with Image.open(path) as image:
            (width, height), content = image.size, io.BytesIO()
            image.convert("RGB").save(content, "WEBP", lossless=True, method=1)
    except OSError:
        return shown | {"uri": ""}
    uri = f"data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}"
    return shown | {"uri": uri, "width": width // 2, "height": height // 2}


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def to_html(table: Table, identity: str, link: Link = lambda _: None, origin: str | None = None) -> Markup:
    """Render the table below its caption, with its notes folded.

    `identity`: its id on the page. Our numbers link to the runs of their row or column, or to `origin` if neither names
    any.
    """
    template = _ENVIRONMENT.get_template("table.html.jinja")
    return Markup(template.render(table=table, identity=identity, link=link, origin=origin))


def sort_value(text: str) -> str:
    """The number that a text begins with, in a form that scripts can read; empty if there is none."""
    match = _NUMBER.match(text.replace(MINUS, "-"))
    return match[0] if match else ""


def _target(table: Table, stack: Stack, column: int, link: Link, origin: str | None) -> str | None:
    """Where the numbers of a cell link to; None if the paper printed them."""
    head = table.heads[1 + column]
    named = (name for name in (stack[0].runs, head.runs) if name)
    return None if head.printed else next(filter(None, map(link, named)), origin)


_ENVIRONMENT = environment(
    Path(__file__).parent,
    {
        "digest": _digest,
        "has_digit": lambda text: any(map(str.isdigit, text)),
        "slug": slug,
        "sort_value": sort_value,
        "target": _target,
    },
    autoescape=True,
)
