from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from baselines.settings import Shares
from baselines.training_data import TrainingData
from baselines.views import (
    TwinPool,
    crop,
    draw_by_overlap,
    guided_view,
    least_important,
    mask,
    most_important,
    nearest_items,
    remove,
    reorder,
    scattered,
    shuffle,
    stretch,
    substitute,
    two_random_views,
)
from datasets.sequences import Batch
from tests.baselines.batches import MakeData, batch_of, generator, rows_of

Row = list[int]
V, L = 30, 12
PAD, MASK = V, V + 1
UNLIKELY = 1e-3
"""Seeds are fixed, so a smaller p-value means a wrong distribution and not bad luck."""


def places_of(touched: Tensor) -> list[Row]:
    return [torch.nonzero(row).squeeze(1).tolist() for row in touched]


def edge_cases(seed: int = 0) -> Batch:
    """Random rows with repeats, and edge cases: one item, two items, the full window, equal items."""
    random = np.random.default_rng(seed)
    rows = [random.integers(0, V, n).tolist() for n in random.integers(1, L + 1, 40)]
    return batch_of([*rows, [4], [4], [3, 9], [7, 7], list(range(L)), [7] * L], PAD)


def distinct(rows: int, shortest: int = 15, longest: int = 25, seed: int = 0) -> Batch:
    """Rows without repeated items."""
    random = np.random.default_rng(seed)
    rows_of_items = [random.permutation(V)[: random.integers(shortest, longest + 1)].tolist() for _ in range(rows)]
    return batch_of(rows_of_items, PAD)


def random_importance(batch: Batch, seed: int = 0) -> Tensor:
    """Random values that sum to one per row, with ties, and zero at padding."""
    raw = torch.randint(1, 9, batch.items.shape, generator=generator(seed)).float() * batch.mask()
    return raw / raw.sum(1, keepdim=True)


def floor_of(share: float, length: int) -> int:
    return math.floor(Fraction(str(share)) * length)


@pytest.fixture
def data(random_data: MakeData) -> TrainingData:
    return random_data(users=60, n_items=V, maxlen=L)


def slow_stretch(lengths: Row, counts: Row, rng: torch.Generator) -> list[Row]:
    u = torch.rand(len(lengths), generator=rng, dtype=torch.float64).tolist()
    starts = [math.floor(x * (n - k + 1)) for x, n, k in zip(u, lengths, counts, strict=True)]
    return [list(range(start, start + k)) for start, k in zip(starts, counts, strict=True)]


def slow_shuffle(rows: list[Row], touched: list[Row], keys: Tensor) -> list[Row]:
    shuffled = []
    for row, places, key in zip(rows, touched, keys.tolist(), strict=True):
        new = list(row)
        for place, source in zip(places, sorted(places, key=key.__getitem__), strict=True):
            new[place] = row[source]
        shuffled.append(new)
    return shuffled


def slow_remove(rows: list[Row], touched: list[Row]) -> list[Row]:
    kept = [[x for i, x in enumerate(row) if i not in places] for row, places in zip(rows, touched, strict=True)]
    return [left or row[-1:] for left, row in zip(kept, rows, strict=True)]


# --- which positions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.29, 0.3, 0.6, 0.7, 1.0])
def test_scattered_positions_have_the_smallest_random_keys_of_their_row(share: float) -> None:
    batch = edge_cases()
    keys = torch.rand(batch.items.shape, generator=generator(), dtype=torch.float64).tolist()
    expected = [
        sorted(sorted(range(n), key=key.__getitem__)[: floor_of(share, n)])
        for key, n in zip(keys, batch.lengths.tolist(), strict=True)
    ]
    assert places_of(scattered(batch, share, generator())) == expected


@pytest.mark.parametrize("at_least", [0, 1])
@pytest.mark.parametrize("share", [0.0, 0.29, 0.3, 0.6, 0.7, 1.0])
def test_a_stretch_is_contiguous_and_starts_where_it_was_drawn(share: float, at_least: int) -> None:
    batch = edge_cases()
    lengths = batch.lengths.tolist()
    counts = [max(floor_of(share, n), at_least) for n in lengths]
    assert places_of(stretch(batch, share, generator(), at_least)) == slow_stretch(lengths, counts, generator())


def test_the_places_of_a_stretch_are_equally_likely() -> None:
    batch = batch_of([[0, 1, 2, 3, 4, 5]] * 3000, PAD)
    starts = stretch(batch, 0.5, generator()).long().argmax(1)
    assert chisquare(starts.bincount(minlength=4)).pvalue > UNLIKELY


def test_tenths_of_ten_items_are_counted_exactly() -> None:
    batch = batch_of([list(range(10))], PAD)
    for tenths in range(11):
        assert int(scattered(batch, tenths / 10, generator()).sum()) == tenths
        assert int(scattered(batch, tenths * 0.1, generator()).sum()) == tenths


@pytest.mark.parametrize("length", [90, 170, 180, 200])
@pytest.mark.parametrize("share", ["0.29", "0.3", "0.57", "0.6", "0.7"])
def test_a_share_of_a_length_is_counted_exactly(share: str, length: int) -> None:
    """For example, 0.7 of 90 items are 63, although 0.7 * 90 is slightly less in floating point."""
    batch = batch_of([list(range(length))], PAD)
    assert int(scattered(batch, float(share), generator()).sum()) == int(Fraction(share) * length)


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_important_positions_equal_those_of_a_stable_sort(share: float) -> None:
    batch = edge_cases()
    importance = random_importance(batch)
    most, least = most_important(batch, importance, share), least_important(batch, importance, share)
    for b, n in enumerate(batch.lengths.tolist()):
        values, k = importance[b].tolist(), floor_of(share, n)
        assert places_of(most)[b] == sorted(sorted(range(n), key=lambda i, v=values: -v[i])[:k])
        assert places_of(least)[b] == sorted(sorted(range(n), key=values.__getitem__)[:k])


# --- what is done there ---------------------------------------------------------------------------------------------


def test_crop_keeps_a_stretch_in_order_and_at_least_one_item() -> None:
    batch = edge_cases()
    rows, lengths = rows_of(batch), batch.lengths.tolist()
    kept = slow_stretch(lengths, [max(floor_of(0.6, n), 1) for n in lengths], generator())
    expected = [[row[i] for i in places] for row, places in zip(rows, kept, strict=True)]
    assert rows_of(crop(batch, 0.6, PAD, generator())) == expected
    assert rows_of(crop(batch, 0.0, PAD, generator())) != rows
    assert set(crop(batch, 0.0, PAD, generator()).lengths.tolist()) == {1}
    assert rows_of(crop(batch, 1.0, PAD, generator())) == rows


def test_mask_hides_a_share_behind_its_own_token_and_nothing_else() -> None:
    batch = edge_cases()
    masked = rows_of(mask(batch, scattered(batch, 0.3, generator()), MASK))
    for row, view in zip(rows_of(batch), masked, strict=True):
        assert len(view) == len(row)
        assert view.count(MASK) == floor_of(0.3, len(row))
        assert all(new in (old, MASK) for old, new in zip(row, view, strict=True))


def test_reorder_shuffles_one_stretch_by_its_random_keys() -> None:
    batch = edge_cases()
    rows, lengths, rng = rows_of(batch), batch.lengths.tolist(), generator()
    touched = slow_stretch(lengths, [floor_of(0.6, n) for n in lengths], rng)
    keys = torch.rand(batch.items.shape, generator=rng, dtype=torch.float64)
    assert rows_of(reorder(batch, 0.6, generator())) == slow_shuffle(rows, touched, keys)


def test_reorder_keeps_the_multiset_and_moves_nothing_outside_a_stretch() -> None:
    batch, moved = distinct(200), 0
    for row, view in zip(rows_of(batch), rows_of(reorder(batch, 0.6, generator())), strict=True):
        assert sorted(view) == sorted(row)
        changed = [i for i, (old, new) in enumerate(zip(row, view, strict=True)) if old != new]
        moved += bool(changed)
        assert not changed or changed[-1] - changed[0] < floor_of(0.6, len(row))
    assert moved == 200


def test_shuffles_of_three_are_all_equally_likely() -> None:
    batch = batch_of([[5, 1, 2, 3, 6]] * 3000, PAD)
    touched = torch.tensor([[False, True, True, False, True]]).expand(3000, -1)
    orders = Counter(tuple(row) for row in rows_of(shuffle(batch, touched, generator())))
    assert len(orders) == 6
    assert all((row[0], row[3]) == (5, 3) for row in orders)
    assert chisquare(list(orders.values())).pvalue > UNLIKELY


def test_remove_keeps_the_others_in_order_and_the_last_item_of_an_emptied_row() -> None:
    batch = edge_cases()
    touched = (torch.rand(batch.items.shape, generator=generator()) < 0.6) & batch.mask()
    touched[-3:] = batch.mask()[-3:]  # nothing would be left
    assert rows_of(remove(batch, touched, PAD)) == slow_remove(rows_of(batch), places_of(touched))
    assert rows_of(remove(batch, batch.mask(), PAD)) == [row[-1:] for row in rows_of(batch)]
    assert rows_of(remove(batch, torch.zeros_like(touched), PAD)) == rows_of(batch)


def test_substitute_replaces_touched_items_by_their_nearest_and_no_others(data: TrainingData) -> None:
    batch, nearest = edge_cases(), nearest_items(data)
    touched = scattered(batch, 0.3, generator())
    views = rows_of(substitute(batch, touched, nearest))
    for row, view, places in zip(rows_of(batch), views, places_of(touched), strict=True):
        assert view == [int(nearest[item]) if i in places else item for i, item in enumerate(row)]


@pytest.mark.parametrize("rows_at_once", [1024, 7])
def test_nearest_items_are_those_of_a_dense_cosine(rows_at_once: int, make_data: MakeData) -> None:
    random = np.random.default_rng(0)
    sequences = [random.integers(0, 18, random.integers(2, 9)).tolist() for _ in range(25)]
    lonely, absent = 18, 19
    data = make_data([*sequences, [lonely, lonely], [3, 3, 3, 11]], 20)
    has = np.zeros((len(sequences) + 1, 20))
    for user, sequence in enumerate([*sequences, [3, 3, 3, 11]]):
        has[user, sequence] = 1
    together = has.T @ has
    cosine = together / np.sqrt(np.maximum(np.outer(together.diagonal(), together.diagonal()), 1))
    np.fill_diagonal(cosine, 0)

    nearest = nearest_items(data, rows_at_once).numpy()
    assert nearest[lonely] == lonely
    assert nearest[absent] == absent
    assert cosine[range(18), nearest[:18]] == pytest.approx(cosine[:18].max(1), abs=1e-6)
    assert (nearest[:18] != range(18)).all()


# --- pairs of views -------------------------------------------------------------------------------------------------


def operator_of(row: Row, view: Row) -> str:
    """Return which of CL4SRec's operators turned the row, whose items are distinct, into the view."""
    if MASK in view:
        assert view.count(MASK) == floor_of(0.3, len(row))
        assert all(new in (old, MASK) for old, new in zip(row, view, strict=True))
        return "mask"
    if len(view) < len(row):
        start = row.index(view[0])
        assert view == row[start : start + floor_of(0.6, len(row))]
        return "crop"
    assert sorted(view) == sorted(row)
    assert view != row
    return "reorder"


def test_two_random_views_are_two_different_operators_on_the_same_row(data: TrainingData) -> None:
    batch = distinct(2000)
    first, second = (rows_of(view) for view in two_random_views(batch, data, Shares(), generator()))
    pairs = Counter(
        (operator_of(row, a), operator_of(row, b)) for row, a, b in zip(rows_of(batch), first, second, strict=True)
    )
    assert len(pairs) == 6
    assert all(a != b for a, b in pairs)
    assert chisquare(list(pairs.values())).pvalue > UNLIKELY


def test_a_guided_view_removes_masks_or_shuffles_each_equally_often(data: TrainingData) -> None:
    batch = distinct(1500)
    rows, touched = rows_of(batch), most_important(batch, random_importance(batch), 0.7)
    view, chosen = guided_view(batch, data, touched, generator())
    again, other = guided_view(batch, data, touched, generator(1), avoid=chosen)
    for made, operators in ((view, chosen), (again, other)):
        removed = slow_remove(rows, places_of(touched))
        for b, (row, new, places) in enumerate(zip(rows, rows_of(made), places_of(touched), strict=True)):
            if operators[b] == 0:
                assert new == removed[b]
            elif operators[b] == 1:
                assert new == [MASK if i in places else item for i, item in enumerate(row)]
            else:
                assert sorted(new) == sorted(row)
                assert [new[i] for i in range(len(row)) if i not in places] == [
                    row[i] for i in range(len(row)) if i not in places
                ]
                assert new != row
    assert chisquare(chosen.bincount(minlength=3)).pvalue > UNLIKELY
    steps = ((other - chosen) % 3).bincount(minlength=3).tolist()
    assert steps[0] == 0, "the second operator is another one"
    assert chisquare(steps[1:]).pvalue > UNLIKELY


def test_positive_views_keep_the_most_important_items_in_time_order(data: TrainingData) -> None:
    batch = distinct(300)
    importance = random_importance(batch)
    view, _ = guided_view(batch, data, least_important(batch, importance, 0.3), generator())
    for b, (row, new) in enumerate(zip(rows_of(batch), rows_of(view), strict=True)):
        kept = len(row) - floor_of(0.3, len(row))
        by_importance = sorted(range(len(row)), key=lambda i, b=b: (importance[b, i].item(), i))
        important = [row[i] for i in sorted(by_importance[-kept:])]
        assert [item for item in new if item in important] == important


def test_negative_views_change_only_the_most_important_items(data: TrainingData) -> None:
    batch = distinct(300)
    importance = random_importance(batch)
    view, chosen = guided_view(batch, data, most_important(batch, importance, 0.7), generator())
    for b, (row, new) in enumerate(zip(rows_of(batch), rows_of(view), strict=True)):
        by_importance = sorted(range(len(row)), key=lambda i, b=b: (-importance[b, i].item(), i))
        important = {row[i] for i in by_importance[: floor_of(0.7, len(row))]}
        if chosen[b] == 2:
            assert {old for old, now in zip(row, new, strict=True) if old != now} <= important
            assert new != row
        else:
            assert set(new) - {MASK} == set(row) - important


VIEWS: dict[str, Callable[[Batch, TrainingData, torch.Generator], list[Batch]]] = {
    "crop": lambda batch, data, rng: [crop(batch, 0.6, data.pad_id, rng)],
    "mask": lambda batch, data, rng: [mask(batch, scattered(batch, 0.3, rng), data.mask_id)],
    "reorder": lambda batch, data, rng: [reorder(batch, 0.6, rng)],
    "substitute": lambda batch, data, rng: [substitute(batch, scattered(batch, 0.3, rng), nearest_items(data))],
    "remove": lambda batch, data, rng: [remove(batch, scattered(batch, 0.7, rng), data.pad_id)],
    "shuffle": lambda batch, data, rng: [shuffle(batch, scattered(batch, 0.7, rng), rng)],
    "two random": lambda batch, data, rng: list(two_random_views(batch, data, Shares(), rng)),
    "positive": lambda batch, data, rng: [
        guided_view(batch, data, least_important(batch, random_importance(batch), 0.3), rng)[0]
    ],
    "negative": lambda batch, data, rng: [
        guided_view(batch, data, most_important(batch, random_importance(batch), 0.7), rng)[0]
    ],
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_changes_neither_its_input_nor_the_padding(name: str, data: TrainingData) -> None:
    for seed in range(3):
        batch = edge_cases(seed)
        items, lengths = batch.items.clone(), batch.lengths.clone()
        for view in VIEWS[name](batch, data, generator(seed)):
            assert view.items.shape == items.shape
            assert (view.lengths >= 1).all()
            assert (view.lengths <= lengths).all()
            assert (view.items[~view.mask()] == PAD).all()
            assert (view.items[view.mask()] != PAD).all()
        assert torch.equal(batch.items, items)
        assert torch.equal(batch.lengths, lengths)


@pytest.mark.parametrize("name", [name for name in VIEWS if name != "substitute"])
def test_views_cannot_change_rows_of_one_item_or_of_equal_items(name: str, data: TrainingData) -> None:
    batch = batch_of([[4]] * 50 + [[7] * L] * 50, PAD)
    for view in VIEWS[name](batch, data, generator()):
        rows = rows_of(view)
        assert rows[:50] == [[4]] * 50, "no share of one item rounds up to touching it"
        assert all(set(row) <= {7, MASK} for row in rows[50:])


# --- twins ----------------------------------------------------------------------------------------------------------

# Rows 0 to 3 end in item 5, rows 4 and 5 in item 6, row 6 alone in item 7; rows 7 and 8 are too short to be anybody's.
SEQUENCES = [
    [0, 1, 5],
    [2, 3, 4, 5],
    [9, 9, 9, 1, 0, 2, 3, 5],
    [8, 5],
    [8, 9, 6],
    [9, 8, 3, 1, 6],
    [4, 2, 0, 7],
    [7],
    [5],
]
GROUPS = [[0, 1, 2, 3], [4, 5], [6]]


def drawn(pool: TwinPool, row: int, times: int) -> Counter[tuple[int, ...]]:
    batch = pool.draw(torch.full((times,), row), generator(row))
    return Counter(map(tuple, rows_of(batch)))


def follows_chances(counts: Counter[tuple[int, ...]], chances: dict[tuple[int, ...], float]) -> bool:
    """Return whether exactly the possible outcomes were drawn, about as often as expected."""
    possible = {view: chance for view, chance in chances.items() if chance > 0}
    if set(counts) != set(possible):
        return False
    if len(possible) == 1:
        return True
    expected = np.array(list(possible.values()))
    observed = [counts[view] for view in possible]
    return bool(chisquare(observed, expected / expected.sum() * sum(observed)).pvalue > UNLIKELY)


def test_twins_are_the_others_with_the_same_final_item_uniformly(make_data: MakeData) -> None:
    data = make_data(SEQUENCES, 10, maxlen=4)
    pool = TwinPool.build(data)
    for group in GROUPS:
        for anchor in group:
            others = [row for row in group if row != anchor] or [anchor]
            chances = {tuple(SEQUENCES[row][:-1][-4:]): 1.0 for row in others}
            assert follows_chances(drawn(pool, anchor, 1200), chances)
    assert pool.is_twinless(torch.arange(7)).tolist() == [False] * 6 + [True]
    assert pool.twinless_share == pytest.approx(1 / 7)


def test_the_prefix_pool_holds_every_prefix_before_the_same_item(random_data: MakeData) -> None:
    data = random_data(users=14, n_items=25, maxlen=6)
    sequences = [data.sequences[i].tolist() for i in range(len(data.sequences))]
    pool = TwinPool.build(data, "prefix")
    alone = 0
    for row in data.trainable.tolist():
        final, chances = sequences[row][-1], defaultdict[tuple[int, ...], float](float)
        for user, sequence in enumerate(sequences):
            for length in range(1, len(sequence)):
                itself = (user, length) == (row, len(sequences[row]) - 1)
                if sequence[length] == final and not itself:
                    chances[tuple(sequence[max(length - 6, 0) : length])] += 1
        alone += not chances
        assert pool.is_twinless(torch.tensor([row])).item() == (not chances)
        assert follows_chances(drawn(pool, row, 1000), chances or {tuple(sequences[row][:-1][-6:]): 1.0})
    assert 0 < alone < len(data.trainable)
    assert pool.twinless_share == pytest.approx(alone / len(data.trainable))


def test_twins_are_drawn_by_the_importance_of_the_items_they_share(make_data: MakeData) -> None:
    random = np.random.default_rng(3)
    sequences = [[*random.integers(0, 10, random.integers(1, 9)).tolist(), 11] for _ in range(7)]
    stranger, alone = [10, 10, 11], [2, 3, 9]  # shares no input item with its twins; has no twin
    sequences += [stranger, alone]
    data = make_data(sequences, 12, maxlen=5)
    pool, times = TwinPool.build(data), 1500
    inputs = [sequence[:-1][-5:] for sequence in sequences]
    rows = torch.arange(len(sequences)).repeat(times)
    batch = data.batch(rows)
    importance = random_importance(data.batch(torch.arange(len(sequences))).inputs)
    twins = rows_of(draw_by_overlap(pool, batch, importance[rows], generator()))

    uneven = 0
    for anchor, own in enumerate(inputs):
        chances = defaultdict[tuple[int, ...], float](float)
        others = [row for row, sequence in enumerate(sequences) if sequence[-1] == sequences[anchor][-1]]
        others = [row for row in others if row != anchor] or [anchor]
        overlaps = [
            sum(importance[anchor, i].item() for i, item in enumerate(own) if item in set(inputs[row]))
            for row in others
        ]
        for row, overlap in zip(others, overlaps, strict=True):
            chances[tuple(inputs[row])] += overlap if any(overlaps) else 1.0
        uneven += len(set(chances.values())) > 1
        views = Counter(tuple(twins[i]) for i in range(anchor, len(twins), len(sequences)))
        assert follows_chances(views, chances)
    assert uneven >= 5, "the case has something to tell apart"


def test_drawing_twins_changes_neither_the_data_nor_the_importances(make_data: MakeData) -> None:
    data = make_data(SEQUENCES, 10, maxlen=4)
    batch, items = data.batch(data.trainable), data.sequences.items.clone()
    importance = random_importance(batch.inputs)
    copies = [batch.inputs.items.clone(), importance.clone()]
    draw_by_overlap(TwinPool.build(data), batch, importance, generator())
    TwinPool.build(data, "prefix").draw(data.trainable, generator())
    assert torch.equal(data.sequences.items, items)
    assert torch.equal(batch.inputs.items, copies[0])
    assert torch.equal(importance, copies[1])


def test_twins_of_noisy_sequences_are_noisy(random_data: MakeData) -> None:
    data = random_data(users=20, n_items=8, maxlen=6).with_noise(0.5, seed=0)
    assert data.noisy is not None
    rows, pool = data.trainable, TwinPool.build(data)
    twins = pool.index.draw(rows, generator()).tolist()
    expected = [data.noisy[twin].tolist()[:-1][-6:] for twin in twins]
    assert rows_of(pool.draw(rows, generator())) == expected
    assert expected != [data.sequences[twin].tolist()[:-1][-6:] for twin in twins]


def test_prefixes_of_noisy_sequences_are_noisy(make_data: MakeData) -> None:
    data = make_data([[0, 1, 9], [2, 3, 9], [4, 5, 9]], 10).with_noise(1.0, seed=0)
    assert data.noisy is not None
    noisy = {tuple(data.noisy[row].tolist()[:-1]) for row in range(3)}
    assert set(drawn(TwinPool.build(data, "prefix"), 0, 50)) <= noisy
