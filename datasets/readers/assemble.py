"""From rows of text to Interactions, for every reader: what is an id, what is a timestamp, which line is at fault."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from itertools import islice

from datasets.interactions import DataError, Interactions
from datasets.readers.ids import Ids
from datasets.readers.timestamps import Clock, Timestamps, unix_clock

Row = tuple[int, str, str, str]
"""The number of the line on which it begins, user id, item id and timestamp, as they are written."""

ROWS_AT_ONCE = 500  # few enough to stay in the processor's cache


def assemble(
    rows: Iterator[Row],
    source: str,
    clock: Clock = unix_clock,
    names: tuple[str, str, str] = ("user id", "item id", "timestamp"),
) -> Interactions:
    """The interactions of all rows, in their order; `clock` reads the timestamps, `names` is what errors call values.

    Raises DataError, which names `source` and the line, at a value that cannot be used, or if there are no rows.
    """
    users, items, timestamps = Ids(), Ids(), Timestamps()
    user_numbers, item_numbers = array("i"), array("i")
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        _, written_users, written_items, times = zip(*batch, strict=True)
        try:
            user_numbers.extend(map(users.__getitem__, written_users))
            item_numbers.extend(map(items.__getitem__, written_items))
            timestamps.extend(clock(times))
        except ValueError as error:
            readers = (users.__getitem__, items.__getitem__, lambda text: clock([text]))
            raise _first_problem(batch, source, names, readers) from error
    if not users:
        raise DataError(f"{source}: has no interactions; give a file with a line for each")
    user_ids, user_labels, user_notes = users.labelled(user_numbers, names[0])
    item_ids, item_labels, item_notes = items.labelled(item_numbers, names[1])
    ticks, ticks_per_second, time_notes = timestamps.ticks(source)
    notes = (*user_notes, *item_notes, *time_notes)
    return Interactions(user_ids, item_ids, ticks, user_labels, item_labels, ticks_per_second, notes)


def _first_problem(
    batch: list[Row], source: str, names: tuple[str, ...], readers: tuple[Callable[[str], object], ...]
) -> Exception:
    for line, *texts in batch:
        for name, text, read in zip(names, texts, readers, strict=True):
            try:
                read(text)
            except ValueError as error:
                return DataError(f"{source}: line {line}: {name} {text!r:.60} {error}")
    raise AssertionError("no value of the batch is at fault")
