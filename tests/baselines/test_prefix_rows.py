"""Training on a row for every prefix, against rows that are written out one by one."""

from __future__ import annotations

import pytest
import torch

from baselines.objectives import uniform_negatives
from baselines.registry import METHODS
from baselines.training_data import TrainingData
from baselines.views import TwinPool
from datasets.sequences import Batch
from tests.baselines.batches import MakeData, generator, rows_of, small_encoder
from tests.datasets.rows import as_lists

PREDICTING = [name for name, entry in METHODS.items() if hasattr(entry.settings, "objective")]
WITH_CROSS_ENTROPY = [name for name in PREDICTING if METHODS[name].settings.objective.name == "ce"]


def written_out(sequences: list[list[int]]) -> list[list[int]]:
    return [sequence[:k] for sequence in sequences for k in range(2, len(sequence) + 1)]


@pytest.fixture
def whole(make_data: MakeData, random_data: MakeData) -> TrainingData:
    """Sequences of many lengths, from a single item to more than the window of six."""
    sequences = as_lists(random_data(users=12, n_items=20, maxlen=8).sequences)
    return make_data([[3], *sequences, [4, 5], [7]], 20, 6)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_rows_are_all_prefixes_with_one_target_each(whole: TrainingData, noise: float) -> None:
    noisy = whole.with_noise(noise, seed=0)
    data = noisy.with_prefix_rows()
    clean, inputs = written_out(as_lists(whole.sequences)), written_out(as_lists(noisy.noisy or noisy.sequences))
    assert len(data.trainable) == sum(len(sequence) - 1 for sequence in as_lists(whole.sequences)) == len(clean)
    batch = data.batch(data.trainable)
    assert rows_of(batch.inputs) == [row[:-1][-6:] for row in inputs]
    assert batch.next_items.tolist() == [row[-1] for row in clean]
    assert data.sequences.items is whole.sequences.items, "nothing is copied"


def test_cross_entropy_is_the_mean_over_last_positions_only(whole: TrainingData) -> None:
    data, method = whole.with_prefix_rows(), METHODS["sasrec-ce"].method(METHODS["sasrec-ce"].settings)
    encoder, losses = small_encoder(whole, width=16), []
    for row in written_out(as_lists(whole.sequences)):
        history = torch.tensor([row[:-1][-6:]])
        logits = encoder.score(Batch(history, torch.tensor([history.shape[1]])))[0]
        losses.append(logits.logsumexp(0) - logits[row[-1]])
    found = method.loss(encoder, data.batch(data.trainable), generator())["next-item"]
    torch.testing.assert_close(found, torch.stack(losses).mean())


def test_binary_cross_entropy_draws_negatives_for_last_positions_only(whole: TrainingData) -> None:
    data, settings = whole.with_prefix_rows(), METHODS["sasrec-bce"].settings
    encoder, batch = small_encoder(whole, width=16), data.batch(data.trainable)
    negatives = uniform_negatives(batch, settings.objective.negatives, generator())
    assert len(negatives) == len(data.trainable)
    owners = [set(sequence) for sequence in as_lists(whole.sequences) for _ in sequence[1:]]
    for owned, drawn in zip(owners, negatives.tolist(), strict=True):
        assert not owned & set(drawn), "an item that the user has later is no negative either"
        assert len(set(drawn)) > 1
    logits = encoder.last(batch.inputs) @ encoder.item_table.T
    positive = logits.gather(1, batch.next_items[:, None]).sigmoid().log()
    negative = (1 - logits.gather(1, negatives).sigmoid()).log()
    found = METHODS["sasrec-bce"].method(settings).loss(encoder, batch, generator())["next-item"]
    torch.testing.assert_close(found, -torch.cat([positive, negative], 1).mean())


@pytest.mark.parametrize("pool", ["final", "prefix"])
def test_a_twin_is_any_other_row_with_the_same_target(whole: TrainingData, pool: str) -> None:
    data = whole.with_prefix_rows()
    rows, twins, rng = written_out(as_lists(whole.sequences)), TwinPool.build(data, pool), generator()
    found: list[set[int]] = [set() for _ in rows]
    for _ in range(400):
        for each, twin in zip(found, twins.index.draw(twins.own, rng).tolist(), strict=True):
            each.add(twin)
    for i, row in enumerate(rows):
        others = {j for j, other in enumerate(rows) if other[-1] == row[-1] and j != i}
        assert found[i] == (others or {i})
    assert rows_of(twins.batch(twins.own)) == [row[:-1][-6:] for row in rows], "a view has no target in it"
    alone = [sum(other[-1] == row[-1] for other in rows) == 1 for row in rows]
    assert twins.twinless_share == pytest.approx(sum(alone) / len(rows))


@pytest.mark.parametrize("name", WITH_CROSS_ENTROPY)
def test_added_terms_equal_those_of_prefixes_written_out(name: str, whole: TrainingData, make_data: MakeData) -> None:
    """Data whose sequences are the prefixes gives the same views, twins and importances."""
    plain = make_data(written_out(as_lists(whole.sequences)), 20, 6)
    terms = []
    for data in (whole.with_prefix_rows(), plain):
        method, encoder = METHODS[name].method(METHODS[name].settings), small_encoder(whole, width=16)
        method.build(16)
        method.prepare(data)
        method.on_epoch(encoder, data, 5)  # EC4SRec's terms begin after it
        terms.append(method.loss(encoder, data.batch(data.trainable), generator()))
    found, expected = terms
    assert set(found) == set(expected)
    assert not found["next-item"].isclose(expected["next-item"])
    for term in set(found) - {"next-item"}:
        torch.testing.assert_close(found[term], expected[term])


@pytest.mark.parametrize("name", PREDICTING)
def test_every_method_that_predicts_learns_from_prefix_rows(name: str, whole: TrainingData) -> None:
    data, encoder = whole.with_prefix_rows(), small_encoder(whole, width=16)
    method = METHODS[name].method(METHODS[name].settings)
    optimizer = torch.optim.Adam([*encoder.parameters(), *method.build(16).parameters()], lr=1e-2)
    method.prepare(data)
    method.pretraining_epochs(1)
    losses, rng = [], generator()
    for _ in range(8):
        loss = method.loss(encoder, data.batch(data.trainable), rng)["next-item"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
