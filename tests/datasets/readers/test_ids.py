"""Valid ids, and how they become labels."""

from __future__ import annotations

import pytest

from datasets.interactions import DataError, Interactions
from datasets.readers.columns import PLACEHOLDERS, Ids, assemble


def read(users: list[str], items: list[str] | None = None) -> Interactions:
    rows = zip(range(2, 2 + len(users)), users, items or users, map(str, range(len(users))), strict=True)
    return assemble(iter(list(rows)), "file")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        (" \u3000", "is empty"),
        ("a" * 128, "is longer than 127 bytes"),
        ("é" * 64, "is longer than 127 bytes"),
        ("a\tb", "holds a control character"),
        ("a\0", "holds a control character"),
        ("a\x7f", "holds a control character"),
        ("\ufeff7", "holds a byte-order mark"),
        ("\udce9", "is not UTF-8 text"),
    ],
)
def test_impossible_ids_are_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Ids()[text]
    with pytest.raises(DataError, match=rf"file: line 603: item id .* {problem}"):
        read(["7"] * 602, [*["8"] * 601, text])


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        (("10", "9"), [9, 10]),
        (("-1", "0"), [-1, 0]),
        (("9223372036854775807", "-9223372036854775808"), [-(2**63), 2**63 - 1]),
        (("007", "7"), ["007", "7"]),
        (("+7", "7"), ["+7", "7"]),
        (("-0", "0"), ["-0", "0"]),
        (("7.0", "7"), ["7", "7.0"]),
        (("10", "é"), ["10", "é"]),
        (("10", "99999999999999999999"), ["10", "99999999999999999999"]),
        (("10", "9223372036854775808"), ["10", "9223372036854775808"]),
    ],
)
def test_labels_are_integers_only_if_all_ids_are(written: tuple[str, str], labels: list[object]) -> None:
    data = read(list(written), ["a", "b"])
    assert data.user_labels.tolist() == labels
    assert data.user_labels[data.user_ids].astype(str).tolist() == list(written)


def test_blanks_are_removed_and_counted() -> None:
    data = read(["35", " 35", "35\u00a0", "7", " 35"], ["a", "a", "a", "b ", "b"])
    assert data.user_labels.tolist() == [7, 35]
    assert data.user_ids.tolist() == [1, 1, 1, 0, 1]
    assert data.item_labels.tolist() == ["a", "b"]
    assert data.notes == (
        "blanks around the user id were removed in 3 of 5 rows",
        "blanks around the item id were removed in 1 of 5 rows",
    )


@pytest.mark.parametrize("word", ["NULL", "\\N", "nan", "NaN", "None", "NA", " null", "<NA>"])
def test_words_for_a_missing_value_are_kept_and_counted(word: str) -> None:
    data = read(["7", word, word], ["a", "b", "c"])
    assert data.user_labels.tolist() == sorted(["7", word.strip()])
    assert data.notes[-1] == (
        f"the user id is {word.strip()!r} or a similar word for a missing value in 2 of 3 rows; it is kept as an id "
        "like any other"
    )


def test_usual_ids_need_no_note() -> None:
    assert all(word == word.lower() for word in PLACEHOLDERS)
    assert read(["7", "nana", "Nullarbor", "0", "-1"]).notes == ()


def test_nothing_to_assemble_is_an_error() -> None:
    with pytest.raises(DataError, match="file: has no interactions; give"):
        read([])
