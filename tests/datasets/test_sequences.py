"""Packed sequences, batches and twins against plain Python lists."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from datasets.sequences import Batch, Sequences, TwinIndex, shifted_targets, windows
from tests.datasets.rows import as_lists

PAD = 99


def pack(sequences: list[list[int]]) -> Sequences:
    flat = [item for sequence in sequences for item in sequence]
    return Sequences.from_arrays(np.array(flat), np.cumsum([0, *map(len, sequences)]))


def random_sequences(seed: int, n: int = 20, longest: int = 9) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, PAD, rng.integers(1, longest + 1)).tolist() for _ in range(n)]


def padded(rows: list[list[int]]) -> list[list[int]]:
    width = max(1, *map(len, rows))
    return [row + [PAD] * (width - len(row)) for row in rows]


def test_a_sequence_is_what_was_packed() -> None:
    sequences = random_sequences(0)
    packed = pack(sequences)
    assert len(packed) == len(sequences)
    assert as_lists(packed) == sequences
    assert packed.final_items().tolist() == [sequence[-1] for sequence in sequences]


@pytest.mark.parametrize("k", [0, 1, 2, 5])
def test_without_last_shortens_and_copies_nothing(k: int) -> None:
    sequences = random_sequences(1)
    shortened = pack(sequences).without_last(k)
    assert as_lists(shortened) == [sequence[: max(0, len(sequence) - k)] for sequence in sequences]
    packed = pack(sequences)
    assert packed.without_last(k).items is packed.items


def test_select_takes_rows_in_the_order_asked_for() -> None:
    sequences = random_sequences(2)
    assert as_lists(pack(sequences).select(torch.tensor([7, 0, 7]))) == [sequences[i] for i in (7, 0, 7)]


@pytest.mark.parametrize("maxlen", [1, 3, 50])
def test_windows_are_the_last_items_followed_by_padding(maxlen: int) -> None:
    sequences = random_sequences(3)
    rows = [4, 0, 19, 4]
    batch = windows(pack(sequences), torch.tensor(rows), maxlen, PAD)
    expected = [sequences[row][-maxlen:] for row in rows]
    assert batch.items.tolist() == padded(expected)
    assert batch.lengths.tolist() == [len(row) for row in expected]
    assert batch.mask().sum(dim=1).tolist() == batch.lengths.tolist()
    assert (batch.items[~batch.mask()] == PAD).all()


def inputs_and_targets(sequences: list[list[int]], rows: list[int], maxlen: int) -> tuple[Batch, torch.Tensor]:
    packed, chosen = pack(sequences), torch.tensor(rows)
    inputs = windows(packed.without_last(1), chosen, maxlen, PAD)
    return inputs, shifted_targets(packed, chosen, inputs, PAD)


@pytest.mark.parametrize("maxlen", [1, 3, 50])
def test_shifted_targets_pair_each_item_with_its_successor(maxlen: int) -> None:
    sequences = [*random_sequences(4), [5]]
    rows = [20, 3, 11, 8]
    batch, targets = inputs_and_targets(sequences, rows, maxlen)
    assert batch.items.tolist() == padded([sequences[row][:-1][-maxlen:] for row in rows])
    assert targets.tolist() == padded([sequences[row][1:][-maxlen:] for row in rows])
    assert batch.lengths.tolist() == [min(maxlen, len(sequences[row]) - 1) for row in rows]


def test_a_batch_of_sequences_without_any_successor_is_all_padding() -> None:
    batch, targets = inputs_and_targets([[5], [6]], [0, 1], 10)
    assert batch.items.tolist() == targets.tolist() == [[PAD], [PAD]]
    assert batch.lengths.tolist() == [0, 0]


def test_windows_never_reach_into_a_neighbour() -> None:
    batch = windows(pack([[1, 2, 3], [4], [5, 6]]), torch.tensor([1]), 10, PAD)
    assert batch.items.tolist() == [[4]]


@pytest.mark.parametrize(("first_maxlen", "second_maxlen"), [(2, 5), (5, 2), (3, 3)])
def test_concatenate_pads_the_narrower_batch(first_maxlen: int, second_maxlen: int) -> None:
    sequences = pack(random_sequences(5))
    rows = torch.arange(10)
    first = windows(sequences, rows, first_maxlen, PAD)
    second = windows(sequences, rows + 10, second_maxlen, PAD)
    both = Batch.concatenate([first, second], PAD)
    expected = [sequences[i].tolist()[-first_maxlen:] for i in range(10)]
    expected += [sequences[i].tolist()[-second_maxlen:] for i in range(10, 20)]
    assert both.items.tolist() == padded(expected)
    assert both.lengths.tolist() == [len(row) for row in expected]


# --- twins ------------------------------------------------------------------------------------------------


def draw(final_items: list[int], rows: list[int], seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return TwinIndex.build(torch.tensor(final_items)).draw(torch.tensor(rows), generator).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_a_twin_ends_in_the_same_item_and_is_another_sequence(seed: int) -> None:
    final_items = np.random.default_rng(seed).integers(0, 12, 40).tolist()
    anchors = [row for row in range(40) for _ in range(25)]
    for anchor, twin in zip(anchors, draw(final_items, anchors, seed), strict=True):
        assert final_items[twin] == final_items[anchor]
        assert (twin == anchor) == (final_items.count(final_items[anchor]) == 1)


def test_group_sizes_count_the_sequences_of_an_ending() -> None:
    final_items = np.random.default_rng(6).integers(0, 12, 40).tolist()
    sizes = TwinIndex.build(torch.tensor(final_items)).group_sizes.tolist()
    assert sizes == [final_items.count(item) for item in final_items]


def test_a_lone_sequence_is_its_own_twin() -> None:
    assert draw([3, 1, 3, 2], [1, 3, 1]) == [1, 3, 1]


@pytest.mark.parametrize("anchor", [0, 3, 6])
def test_twins_are_uniform_over_the_others(anchor: int) -> None:
    final_items = [7, 2, 7, 7, 2, 7, 7, 7]
    drawn = draw(final_items, [anchor] * 12_000)
    others = [row for row, item in enumerate(final_items) if item == 7 and row != anchor]
    assert set(drawn) == set(others)
    assert chisquare([drawn.count(row) for row in others]).pvalue > 0.01


def test_the_generator_decides_the_twins() -> None:
    final_items, rows = [1] * 30, list(range(30))
    assert draw(final_items, rows, seed=1) == draw(final_items, rows, seed=1)
    assert draw(final_items, rows, seed=1) != draw(final_items, rows, seed=2)
