"""The report as one page: the answer, the claims, then for each dataset what the paper shows in the paper's order, what
goes beyond it, and the runs. It opens from a file, offline.

Everything is inside: pictures are data URIs, and style and script are inline under a policy that forbids all else.
Links lead to the run records beside it and to the written tables and figures.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from benchmark.paper.printed import CITATION
from benchmark.plan.run_spec import RunSetting
from benchmark.report.claims.judged_claims import VERDICTS, JudgedClaim, verdict_counts
from benchmark.report.figures.captions import caption, paper_figure
from benchmark.report.page.answer import answer
from benchmark.report.page.runs_table import METRICS, anchor_of, not_run, run_rows, slug
from benchmark.report.query import Results
from benchmark.report.tables.layout import Stack, Table
from benchmark.report.tables.notes import machines_note
from benchmark.report.tables.numbers import MINUS
from benchmark.report.templates import environment
from benchmark.store.atomic_files import write_file

NOT_RUN = "not run"
"""The verdict on a claim for which nothing has run."""

PAPERS = (
    *("table1", "table2", "figure1-buckets", "buckets", "figure2-scores", "figure2-spectrum"),
    *("sensitivity-alpha", "alpha", "figure5-regimes", "table3", "sensitivity-lambda", "lambda"),
)
"""What the paper shows, in its order; `buckets`, `alpha` and `lambda` give the numbers of the figure above."""

SUMMARIES = ("windows", "accuracy-coverage")
"""The pictures that the page may open with: for each dataset it takes the first one that was drawn."""

Link = Callable[[str], str | None]
"""Where the runs of a RunGroup stand, by its name; None if they are not on the page."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class DatasetReport:
    """What a report made of one dataset in one setting.

    `tables` and `figures` by name, the latter as the PNG files that were written; `folder` has the tables' files.
    `gaps`: what could not be shown, in words.
    """

    results: Results
    tables: Mapping[str, Sequence[Table]]
    figures: Mapping[str, Path]
    folder: Path
    gaps: Sequence[str] = ()


def write_page(
    root: Path, reports: Sequence[DatasetReport], judged: Sequence[JudgedClaim], folder: Path | None = None
) -> Path:
    """Write the page into `folder`, or beside the datasets of the store at `root`, and return its path.

    It is index.html in `folder`. In the store, every setting but the usual one has a page of its own, which its name
    tells; and if all that is shown is one generated dataset, the page goes into that dataset's folder, so that a demo
    never takes the place of results. Raises StoreError if it cannot be written.
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
    """The page that shows the store at `root` and stands there or in `folder`."""
    folder = folder or root
    store = "" if folder == root else f"{_relative(root, folder)}/"
    audit = root.parent / "tables" / "audit.md"
    names = dict.fromkeys(verdict.claim.id for verdict in judged)
    claims = [[verdict for verdict in judged if verdict.claim.id == name] for name in names]
    style, script = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    table = answer([report.results for report in reports])
    return _ENVIRONMENT.get_template("page.html.jinja").render(
        citation=CITATION,
        style=Markup(style),
        script=Markup(script),
        synthetic=bool(reports) and all(report.results.synthetic for report in reports),
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


def _dataset(report: DatasetReport, reports: Sequence[DatasetReport], folder: Path, store: str) -> dict[str, object]:
    results = report.results
    alone = sum(other.results.dataset == results.dataset for other in reports) == 1
    identity = slug(results.dataset if alone else f"{results.dataset}-{results.setting.name}")
    records = results.records()
    summary = next((name for name in SUMMARIES if name in report.figures), "")
    blocks = {
        name: [
            *([_picture(name, results, report.figures[name], folder)] if name in report.figures else []),
            *([_table(report, name, identity, folder, store)] if name in report.tables else []),
        ]
        for name in dict.fromkeys((*PAPERS, *report.tables, *report.figures))
    }
    opening = [blocks[summary].pop(0)] if summary else []
    return {
        "identity": identity,
        "results": results,
        "facts": machines_note(records) if any(not record.external for record in records) else "",
        "opening": opening,
        "paper": [(_title(name, results.dataset), name, blocks[name]) for name in PAPERS if blocks[name]],
        "further": [(name, found) for name, found in blocks.items() if found and name not in PAPERS],
        "rows": run_rows(results, identity),
        "not_run": not_run(results),
        "gaps": report.gaps,
    }


def _title(name: str, dataset: str) -> str:
    """What the paper calls what is on PAPERS; empty for numbers that it does not have."""
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
    """A figure on the page, in a format that takes two thirds of the bytes of its file, and its PDF as a link; without
    a `uri` if its file cannot be read.
    """
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
    """The table below its caption, with its notes folded.

    `identity`: its id on the page. A number of ours links to the runs of its row or its column, and to `origin` where
    neither names any.
    """
    template = _ENVIRONMENT.get_template("table.html.jinja")
    return Markup(template.render(table=table, identity=identity, link=link, origin=origin))


def sort_value(text: str) -> str:
    """The number with which a text begins, as a script can read it; empty if it begins with none."""
    match = _NUMBER.match(text.replace(MINUS, "-"))
    return match[0] if match else ""


def _target(table: Table, stack: Stack, column: int, link: Link, origin: str | None) -> str | None:
    """Where the numbers of a cell link to; None for those that the paper prints."""
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
