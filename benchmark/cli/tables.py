"""python -m benchmark table and audit: tables for a user's own paper, and a check of the paper's printed numbers."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from baselines.registry import METHODS
from benchmark.cli.session import Session
from benchmark.plan.config import ConfigError, suggestion, unknown_name
from benchmark.plan.planner import choose_methods
from benchmark.runs.metrics import CUTOFFS, definition
from benchmark.store.atomic_files import replacing
from datasets.interactions import DataError

if TYPE_CHECKING:
    from benchmark.report.query import Results

LEGEND = "[ ] best; * p < 0.05 in favour of a method against its rival"


def table(options: Namespace) -> int:
    """Print or write a table: best in bold, second best underlined, a star for significantly beating the rival."""
    from benchmark.report.shown_runs import planned_results  # imports pandas, which is slow
    from benchmark.report.tables.formats import to_markdown, to_plain, to_tabular
    from benchmark.report.tables.table2 import table_of_methods

    # The others need --protocol sets.
    every = [name for name, entry in METHODS.items() if not entry.method.known_users_only]
    named = every if options.methods is None else [m for word in options.methods for m in _registered(word)]
    session = Session(Namespace(**vars(options) | {"experiments": ["main"], "methods": named or every}))
    [dataset, *others], store = session.chosen, session.store
    if others:
        raise ConfigError("a table shows one dataset; name it with --dataset or --interactions")
    [planned] = session.plan().values()
    results = planned_results(planned, store.records(dataset.name), store.data(dataset.name), store.arrays)
    methods = results.ran if options.methods is None else _columns(options.methods, results)
    if not any(results.method(method).done for method in methods):
        raise DataError(f"{dataset.name}: none of these methods has a finished run under these rules")
    known = results.frame.loc[results.frame["stage"] == "test", "metric"].unique().tolist()
    for metric in options.metrics:
        if metric not in known:
            if not definition(metric):
                remedy = suggestion(metric, [name for name in known if "/" not in name])
            elif metric.partition("@")[2] in map(str, CUTOFFS):
                remedy = "; python -m benchmark recompute adds it"
            else:
                remedy = f"; runs have it at the cut-offs {', '.join(map(str, CUTOFFS))}"
            raise ConfigError(f"--metrics: no run of {dataset.name} has {metric!r:.60}{remedy}")
    shown = table_of_methods(results, methods, options.metrics)
    if options.format == "latex":
        text = to_tabular(shown)
    else:
        text = to_markdown([shown], head="") if options.format == "markdown" else to_plain(shown, LEGEND)
    if options.to is None:
        print(text, end="")
    else:
        with replacing(options.to, "--to") as stream:
            stream.write(text.encode())
    return 0


def audit(options: Namespace) -> int:
    """Write tables/audit.md and audit.csv, for which neither data nor runs are needed."""
    from benchmark.report.audit import write_audit

    for path in write_audit(options.out_dir / "tables"):
        print(f"table   {path}")
    return 0


def _registered(word: str) -> tuple[str, ...]:
    """Return the registered methods that a word names, or () if it may name recommendations that were scored."""
    try:
        return choose_methods([word])
    except ConfigError:
        return ()


def _columns(words: Sequence[str], results: Results) -> list[str]:
    """Return the methods that the words name, each once, including recommendations that were scored."""
    external = {results.method(m).title.removesuffix(" (external)"): m for m in results.ran if m not in METHODS}
    columns: dict[str, None] = {}
    for word in words:
        found = _registered(word) or tuple(filter(None, [external.get(word)]))
        if not found:
            raise ConfigError(f"--methods: {unknown_name('method', word, [*METHODS, *external])}")
        columns |= dict.fromkeys(found)
    return list(columns)
