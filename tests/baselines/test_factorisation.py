"""Matrix factorisation and EASE against their formulas, one user at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from baselines import regularizers
from baselines.factorisation import EASE, MatrixFactorisation
from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from datasets.sequences import windows
from tests.baselines.batches import MakeData

SETS = [[0, 1, 2], [1, 3], [2, 4, 1, 0], [5]]  # nobody else has item 5


def begun(data: TrainingData, alpha: float = 0.0) -> tuple[MatrixFactorisation, Any]:
    torch.manual_seed(0)
    method = MatrixFactorisation(MatrixFactorisation.Settings(alpha=alpha))
    method.prepare(data)
    return method, method.build_encoder(data.n_items, EncoderSettings(width=6, dropout=0.0, maxlen=9), "fp32").train()


def test_every_item_of_a_user_is_a_target_of_the_full_softmax(make_data: MakeData) -> None:
    data = make_data(SETS, 7)
    method, encoder = begun(data)
    rows = torch.tensor([2, 0])
    found = method.loss(encoder, data.batch(rows), torch.Generator())["next-item"]
    losses = [
        -torch.log_softmax(encoder.items.weight[:7] @ encoder.users.weight[user], 0)[item]
        for user in rows.tolist()
        for item in SETS[user]
    ]
    assert torch.allclose(found, torch.stack(losses).mean(), atol=1e-6)


def test_scores_are_products_with_the_users_own_vector(make_data: MakeData) -> None:
    data = make_data(SETS, 7)
    _, encoder = begun(data)
    scores = encoder.eval().score(windows(data.sequences, torch.tensor([3, 1]), 9, 7))
    expected = encoder.users.weight[torch.tensor([3, 1])] @ encoder.items.weight[:7].T
    assert torch.equal(scores, expected)


def test_twins_are_drawn_through_a_random_shared_item(make_data: MakeData) -> None:
    data = make_data(SETS, 7)
    method, encoder = begun(data, alpha=0.5)
    rng = torch.Generator().manual_seed(0)
    drawn = method.draw_twins(torch.zeros(6000, dtype=torch.long), rng).bincount(minlength=4) / 6000
    # User 0's item 0 is shared with user 2, item 1 with users 1 and 2, item 2 with user 2.
    assert drawn.tolist() == pytest.approx([0, 1 / 6, 5 / 6, 0], abs=0.02)
    assert method.draw_twins(torch.tensor([3]), rng).tolist() == [3]
    batch = data.batch(torch.tensor([0, 1, 2]))
    terms = method.loss(encoder, batch, torch.Generator().manual_seed(1))
    z, twins = (
        encoder.user_vectors(batch.rows),
        encoder.user_vectors(method.draw_twins(batch.rows, torch.Generator().manual_seed(1))),
    )
    assert torch.allclose(terms["barlow-twins"], 0.5 * regularizers.barlow_twins(z, twins, 0.05))


def test_barlow_twins_bring_users_with_the_same_taste_together(make_data: MakeData) -> None:
    """There are ten tastes of four items, and ten users per taste who have three of the four."""
    data = make_data([[4 * taste + (user + i) % 4 for i in range(3)] for taste in range(10) for user in range(10)], 40)

    def trained(alpha: float) -> torch.Tensor:
        method, encoder = begun(data, alpha)
        adam, rng = torch.optim.Adam(encoder.parameters(), lr=0.05), torch.Generator().manual_seed(0)
        for _ in range(60):
            adam.zero_grad()
            sum(method.loss(encoder, data.batch(data.trainable), rng).values()).backward()
            adam.step()
        vectors = torch.nn.functional.normalize(encoder.users.weight.detach(), dim=1).reshape(10, 10, -1)
        return (vectors @ vectors.transpose(1, 2)).mean()

    assert trained(5.0) > trained(0.0) + 0.05


def test_ease_is_the_best_linear_model_without_a_diagonal(random_data: MakeData) -> None:
    """The gradient of ||X - X B||^2 + l2 ||B||^2 is zero off the diagonal, where B is free."""
    data = random_data()
    score = EASE(EASE.Settings(l2=3.0)).fit(data)
    x = torch.zeros(len(data.user_items), data.n_items)
    rows, items = data.user_items.flatten()
    x[rows, items] = 1
    everything = torch.arange(data.n_items)
    b = score(
        windows(type(data.user_items)(everything, everything, torch.ones_like(everything)), everything, 1, data.pad_id)
    )
    assert b.diagonal().abs().max() == 0
    gradient = x.T @ (x @ b - x) + 3.0 * b
    assert gradient.fill_diagonal_(0).abs().max() < 1e-3
