"""A dataset in numbers: before and after the filter, what is trained on, who is tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from benchmark.report.query import Results
from benchmark.report.tables.layout import Head, TablesAndRows, dataset_table, stack
from benchmark.report.tables.notes import masked_note, notes
from benchmark.report.tables.numbers import DASH

Facts = Mapping[str, Any]


def _utc(value: float) -> str:
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M")


_whole, _one_decimal, _share = "{:,.0f}".format, "{:,.1f}".format, "{:.1%}".format

SECTIONS: tuple[tuple[tuple[str, tuple[str | int, ...], Callable[[float], str]], ...], ...] = (
    (
        ("users as published", ("raw", "users"), _whole),
        ("items as published", ("raw", "items"), _whole),
        ("interactions as published", ("raw", "interactions"), _whole),
        ("exact duplicates among them", ("duplicate_rows",), _whole),
    ),
    (
        ("users after the filter", ("filtered", "users"), _whole),
        ("items after the filter", ("filtered", "items"), _whole),
        ("interactions after the filter", ("filtered", "interactions"), _whole),
        ("density", ("density",), "{:.3%}".format),
        ("interactions per user, mean", ("interactions_per_user", "mean"), _one_decimal),
        ("interactions per user, median", ("interactions_per_user", "median"), _one_decimal),
    ),
    (
        ("T (UTC)", ("threshold",), _utc),
        ("training users", ("train_users",), _whole),
        ("training interactions", ("train_interactions",), _whole),
        ("training items: the catalogue", ("items",), _whole),
        ("items in bucket 1, most popular", ("bucket_sizes", 0), _whole),
        ("items in bucket 2", ("bucket_sizes", 1), _whole),
        ("items in bucket 3", ("bucket_sizes", 2), _whole),
        ("sequences without a twin", ("twinless_share",), _share),
    ),
    (
        ("users active from T on", ("test_users_before_rule",), _whole),
        ("test users: with enough events", ("test_users",), _whole),
        ("last two events simultaneous", ("tied_share",), _share),
        ("target in the history, masked", ("masked_share",), _share),
    ),
)
"""The lines of the table: the label, the path of the number in data.json, and how it is printed."""


def data_table(results: Results) -> TablesAndRows | None:
    """Tabulate the numbers of data.json, or of the runs' records if it is lost; None if there are no records either."""
    records = results.records()
    facts = results.data or (records[0].data if records else {})
    values = [[(label, path, form, _at(facts, path)) for label, path, form in section] for section in SECTIONS]
    if all(value is None for section in values for *_, value in section):
        return None
    own_notes = notes(
        "data",
        facts=facts,
        rules=facts.get("protocol"),
        preset=results.setting.protocol,
        masks_history=results.masks_history,
        lost=not results.data,
    )
    table = dataset_table(
        results,
        "data",
        f"{results.heading} before and after filter and split.",
        [Head("")],
        [[stack(label, [DASH if v is None else form(v)]) for label, _, form, v in section] for section in values],
        [*own_notes[:2], *masked_note(results), *own_notes[2:]],
    )
    rows = [
        {"statistic": ".".join(map(str, path)), "label": label, "value": value}
        for section in values
        for label, path, _, value in section
    ]
    return [table], rows


def _at(facts: Facts, path: Sequence[str | int]) -> float | None:
    found: Any = facts
    try:
        for step in path:
            found = found[step]
    except (KeyError, IndexError, TypeError):
        return None
    return float(found) if isinstance(found, int | float) else None
