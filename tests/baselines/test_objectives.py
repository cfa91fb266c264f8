from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from baselines import kernels
from baselines.kernels import bucketed_cross_entropy, linear_cross_entropy, sampled_logits
from baselines.objectives import (
    BinaryCrossEntropy,
    CrossEntropy,
    GeneralisedBinaryCrossEntropy,
    Objective,
    SampledCrossEntropy,
    ScalableCrossEntropy,
    uniform_negatives,
)
from baselines.registry import METHODS
from baselines.training_data import TrainBatch, TrainingData
from tests.baselines.batches import MakeData, generator

WIDTH = 6
Loss = Callable[[Tensor, Tensor], Tensor]


def inputs(tokens: int, n_items: int, scale: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """States (T, D) and table (V, D), float64 leaves."""
    rng = generator(seed)
    states = scale * torch.randn(tokens, WIDTH, dtype=torch.float64, generator=rng)
    table = scale * torch.randn(n_items, WIDTH, dtype=torch.float64, generator=rng)
    return states.requires_grad_(), table.requires_grad_()


def assert_same(fast: Loss, slow: Loss, states: Tensor, table: Tensor, tolerance: float = 1e-9) -> None:
    """Assert that value and gradients agree in float64, and to 1e-5 of their size in float32."""
    expected = slow(states, table)
    gradients = torch.autograd.grad(3 * expected, (states, table))
    value = fast(states, table)
    for ours, theirs in zip(
        (value, *torch.autograd.grad(3 * value, (states, table))), (expected, *gradients), strict=True
    ):
        assert torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    single = [x.detach().float().requires_grad_() for x in (states, table)]
    value = fast(*single)
    for ours, theirs in zip((value, *torch.autograd.grad(3 * value, single)), (expected, *gradients), strict=True):
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def batch_of(data: TrainingData) -> TrainBatch:
    return data.batch(data.trainable)


# Slow references, one state at a time


def slow_cross_entropy(states: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    losses = []
    for x, t in zip(states, targets.tolist(), strict=True):
        p = torch.exp(table @ x)
        losses.append(-torch.log(p[t] / p.sum()))
    return torch.stack(losses).mean()


def slow_binary(states: Tensor, table: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    losses = []
    for x, t, drawn in zip(states, targets.tolist(), negatives.tolist(), strict=True):
        terms = [-torch.log(torch.sigmoid(x @ table[t]))]
        terms += [-torch.log(1 - torch.sigmoid(x @ table[j])) for j in drawn]
        losses.append(sum(terms) / len(terms))
    return torch.stack(losses).mean()


def slow_generalised_binary(states: Tensor, table: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    """Petrov & Macdonald (2023), with beta as printed there and t = 0.4."""
    alpha = negatives.shape[1] / (len(table) - 1)
    beta = alpha * (0.4 * (1 - 1 / alpha) + 1 / alpha)
    losses = []
    for x, t, drawn in zip(states, targets.tolist(), negatives.tolist(), strict=True):
        terms = [-torch.log(torch.sigmoid(x @ table[t]) ** beta)]
        terms += [-torch.log(1 - torch.sigmoid(x @ table[j])) for j in drawn]
        losses.append(sum(terms) / len(terms))
    return torch.stack(losses).mean()


def slow_sampled_cross_entropy(states: Tensor, table: Tensor, targets: Tensor, negatives: Tensor) -> Tensor:
    losses = []
    for x, t, drawn in zip(states, targets.tolist(), negatives.tolist(), strict=True):
        target = torch.exp(x @ table[t])
        losses.append(-torch.log(target / (target + sum(torch.exp(x @ table[j]) for j in drawn))))
    return torch.stack(losses).mean()


def slow_bucketed(states: Tensor, table: Tensor, targets: Tensor, x_ids: Tensor, y_ids: Tensor) -> Tensor:
    losses: dict[int, list[Tensor]] = {}
    for xs, ys in zip(x_ids.tolist(), y_ids.tolist(), strict=True):
        for i in xs:
            t = int(targets[i])
            target = torch.exp(states[i] @ table[t])
            others = sum(torch.exp(states[i] @ table[j]) for j in ys if j != t)
            losses.setdefault(i, []).append(-torch.log(target / (target + others)))
    return torch.stack([max(found) for found in losses.values()]).mean()


# The objectives on a batch


def test_cross_entropy_equals_a_loop(random_data: MakeData) -> None:
    batch = batch_of(random_data())
    states, table = inputs(len(batch.next_items), batch.data.n_items)
    assert_same(
        lambda x, w: CrossEntropy()(x, batch, w, generator()),
        lambda x, w: slow_cross_entropy(x, w, batch.next_items),
        states,
        table,
    )


@pytest.mark.parametrize(
    ("objective", "slow"),
    [
        (BinaryCrossEntropy(5), slow_binary),
        (GeneralisedBinaryCrossEntropy(5, 0.4), slow_generalised_binary),
        (SampledCrossEntropy(5), slow_sampled_cross_entropy),
    ],
    ids=["bce", "gbce", "sampled-ce"],
)
def test_sampled_objectives_equal_a_loop_over_the_same_draws(
    objective: Objective, slow: Callable[..., Tensor], random_data: MakeData
) -> None:
    batch = batch_of(random_data())
    negatives = uniform_negatives(batch, 5, generator())
    states, table = inputs(len(batch.next_items), batch.data.n_items)
    assert_same(
        lambda x, w: objective(x, batch, w, generator()),
        lambda x, w: slow(x, w, batch.next_items, negatives),
        states,
        table,
    )


def test_gbce_without_calibration_is_bce_and_with_it_weighs_targets_less(random_data: MakeData) -> None:
    batch = batch_of(random_data())
    states, table = inputs(len(batch.next_items), batch.data.n_items)
    plain = BinaryCrossEntropy(5)(states, batch, table, generator())
    by_t = [GeneralisedBinaryCrossEntropy(5, t)(states, batch, table, generator()) for t in (0.0, 0.5, 1.0)]
    assert torch.allclose(by_t[0], plain, rtol=1e-12)
    assert by_t[0] > by_t[1] > by_t[2] > 0
    # As many draws as there are other items: the sampling rate is one, and nothing is left to make up for.
    every = batch.data.n_items - 1
    pair = [
        each(states, batch, table, generator())
        for each in (BinaryCrossEntropy(every), GeneralisedBinaryCrossEntropy(every))
    ]
    assert torch.allclose(*pair, rtol=1e-12)


@pytest.mark.parametrize("mix", [False, True])
@pytest.mark.parametrize("sizes", [(0, 0, 8), (3, 7, 4), (5, 500, 256)], ids=["default", "small", "all"])
def test_scalable_cross_entropy_equals_a_loop_over_its_buckets(
    mix: bool, sizes: tuple[int, int, int], random_data: MakeData
) -> None:
    batch = batch_of(random_data(users=8))
    objective = ScalableCrossEntropy(*sizes, mix=mix)
    states, table = inputs(len(batch.next_items), batch.data.n_items)
    chosen = objective.select(states.detach(), table.detach(), generator())
    assert_same(
        lambda x, w: bucketed_cross_entropy(x, w, batch.next_items, *chosen),
        lambda x, w: slow_bucketed(x, w, batch.next_items, *chosen),
        states,
        table,
    )
    loss = objective(states, batch, table, generator())
    assert torch.allclose(loss, slow_bucketed(states, table, batch.next_items, *chosen))


@pytest.mark.parametrize("mix", [False, True])
def test_buckets_hold_the_highest_projections(mix: bool) -> None:
    states, table = inputs(50, 40)
    x_ids, y_ids = ScalableCrossEntropy(4, 9, 7, mix=mix).select(
        states.detach().float(), table.detach().float(), generator()
    )
    directions = torch.randn(4, 50 if mix else WIDTH, generator=generator())
    if mix:
        directions = directions @ states.detach().float()
    for ids, vectors in ((x_ids, states), (y_ids, table)):
        for found, direction in zip(ids.tolist(), directions, strict=True):
            ranked = (vectors.detach().float() @ direction).argsort(descending=True).tolist()
            assert found == sorted(ranked[: len(found)])
    assert x_ids.shape == (4, 9)
    assert y_ids.shape == (4, 7)


def test_default_buckets_grow_with_the_root_of_the_tokens() -> None:
    states, table = inputs(100, 500)
    x_ids, y_ids = ScalableCrossEntropy().select(states.detach().float(), table.detach().float(), generator())
    assert x_ids.shape == (20, 20)
    assert y_ids.shape == (20, 256)


def test_objective_names_match_the_registry() -> None:
    names = [entry.settings.objective.name for name, entry in METHODS.items() if name.startswith("sasrec-")]
    assert names == ["bce", "ce", "sce", "sampled-ce", "gbce"]


# The kernels


@pytest.mark.parametrize("scale", [1.0, 4.0], ids=["moderate", "large logits"])
@pytest.mark.parametrize("tokens", [1, 95, 96, 250])
def test_linear_cross_entropy_equals_the_plain_formula(tokens: int, scale: float) -> None:
    states, table = inputs(tokens, 70, scale)
    assert kernels._exp_is_safe(states, table) == (scale == 1.0), "both ways are tested"
    targets = torch.randint(70, (tokens,), generator=generator())
    plain = torch.nn.functional.cross_entropy
    assert_same(
        lambda x, w: linear_cross_entropy(x, w, targets), lambda x, w: plain(x @ w.T, targets), states, table, 1e-8
    )


def test_linear_cross_entropy_survives_logits_that_overflow_exp() -> None:
    states, table = torch.full((3, 2), 50.0), torch.tensor([[50.0, 50.0], [-50.0, -50.0]])
    states.requires_grad_()
    loss = linear_cross_entropy(states, table, torch.tensor([0, 1, 0]))
    loss.backward()
    assert loss.item() == pytest.approx(10_000 / 3)
    assert states.grad.isfinite().all()


@pytest.mark.parametrize("n_items", [33, 10, 9, 4], ids=["more items", "one more", "as many", "fewer items"])
def test_sampled_logits_equal_gathered_dot_products(n_items: int) -> None:
    states, table = inputs(60, n_items)
    candidates = torch.randint(n_items, (60, 9), generator=generator())
    weights = torch.randn(60, 9, generator=generator(), dtype=torch.float64)

    def total(logits: Tensor) -> Tensor:
        return (logits * weights.to(logits.dtype)).sum()

    expected = (states[:, None] * table[candidates]).sum(2)
    assert torch.allclose(sampled_logits(states, table, candidates), expected)
    assert_same(
        lambda x, w: total(sampled_logits(x, w, candidates)),
        lambda x, w: total((x[:, None] * w[candidates]).sum(2)),
        states,
        table,
    )


@pytest.mark.parametrize("scale", [1.0, 4.0], ids=["moderate", "large logits"])
def test_bucketed_cross_entropy_equals_the_plain_formula(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    states, table = inputs(80, 50, scale)
    targets = torch.randint(50, (80,), generator=generator())
    x_ids, y_ids = ScalableCrossEntropy(7, 30, 20).select(states.detach(), table.detach(), generator())
    monkeypatch.setattr(kernels, "CPU_ELEMENTS", 3 * 30 * 20)

    def plain(x: Tensor, w: Tensor) -> Tensor:
        logits = x[x_ids] @ w[y_ids].mT
        logits = logits.masked_fill(targets[x_ids][:, :, None] == y_ids[:, None], -torch.inf)
        correct = (x * w[targets]).sum(1)[x_ids]
        losses = torch.logaddexp(correct, logits.logsumexp(2)) - correct
        worst = x.new_full((80,), -torch.inf).scatter_reduce(0, x_ids.flatten(), losses.flatten(), "amax")
        return worst[worst > -torch.inf].mean()

    assert_same(lambda x, w: bucketed_cross_entropy(x, w, targets, x_ids, y_ids), plain, states, table, 1e-7)


def test_a_state_in_two_equal_buckets_counts_once() -> None:
    states, table = inputs(12, 20)
    targets = torch.randint(20, (12,), generator=generator())
    x_ids, y_ids = torch.arange(0, 12, 2)[None], torch.arange(3, 11)[None]
    once = bucketed_cross_entropy(states, table, targets, x_ids, y_ids)
    twice = bucketed_cross_entropy(states, table, targets, x_ids.repeat(2, 1), y_ids.repeat(2, 1))
    assert torch.allclose(once, twice)
    for a, b in zip(
        torch.autograd.grad(once, (states, table)), torch.autograd.grad(twice, (states, table)), strict=True
    ):
        assert torch.allclose(a, b)


@pytest.mark.parametrize("name", ["linear", "sampled", "bucketed"])
def test_gradients_pass_gradcheck(name: str) -> None:
    states, table = inputs(11, 9)
    targets = torch.randint(9, (11,), generator=generator())
    chosen = torch.tensor([[0, 2, 5, 7], [1, 2, 3, 10]]), torch.tensor([[0, 3, 4], [2, 5, 8]])
    function = {
        "linear": lambda x, w: linear_cross_entropy(x, w, targets),
        "sampled": lambda x, w: sampled_logits(x, w, torch.stack([targets, targets.flip(0)], dim=1)),
        "bucketed": lambda x, w: bucketed_cross_entropy(x, w, targets, *chosen),
    }[name]
    assert torch.autograd.gradcheck(function, (states, table))


# Negatives


@pytest.mark.parametrize("negatives", [1, 40], ids=["searched", "tabulated"])
def test_negatives_are_chosen_by_rank_among_items_the_user_lacks(negatives: int, random_data: MakeData) -> None:
    batch = batch_of(random_data(users=20, n_items=60))
    drawn = uniform_negatives(batch, negatives, generator())
    assert drawn.shape == (len(batch.next_items), negatives)
    u = torch.rand(*drawn.shape, generator=generator(), dtype=torch.float64)
    rows = torch.arange(20).repeat_interleave(batch.inputs.lengths).tolist()
    for t, row in enumerate(rows):
        free = sorted(set(range(60)) - set(batch.data.sequences[int(batch.rows[row])].tolist()))
        assert drawn[t].tolist() == [free[math.floor(x * len(free))] for x in u[t].tolist()]


@pytest.mark.parametrize("negatives", [2, 400], ids=["searched", "tabulated"])
def test_negatives_are_uniform_and_never_items_of_the_user(negatives: int, make_data: MakeData) -> None:
    data = make_data([[3, 9, 9, 0, 4], [11, 10, 1], [5, 6, 7, 8] * 5], 12, maxlen=6)
    batch = data.batch(torch.tensor([0, 2]))  # row 2 owns items that its window repeats
    rng = generator()
    drawn = torch.cat([uniform_negatives(batch, negatives, rng) for _ in range(8000 // negatives)], dim=1)
    for tokens, owned in ((slice(0, 4), {0, 3, 4, 9}), (slice(4, 10), {5, 6, 7, 8})):
        counts = torch.bincount(drawn[tokens].flatten(), minlength=12)
        assert len(counts) == 12, "padding was drawn"
        assert counts[list(owned)].sum() == 0
        assert chisquare(counts[[i for i in range(12) if i not in owned]].numpy()).pvalue > 0.001


def test_items_before_the_window_are_not_negatives_either(make_data: MakeData) -> None:
    data = make_data([[0, 1, 2, 3, 4, 5, 6, 7, 8]], 10, maxlen=2)
    assert uniform_negatives(data.batch(torch.tensor([0])), 50, generator()).unique().tolist() == [9]


def test_a_user_with_every_item_has_no_negatives(make_data: MakeData) -> None:
    data = make_data([[0, 1, 2, 3, 4], [2, 3]], 5)
    batch = batch_of(data)
    drawn = uniform_negatives(batch, 3, generator())
    assert (drawn[:4] == 5).all()
    assert (drawn[4:] < 5).all()
    states, table = inputs(5, 5)
    correct = (states * table[batch.next_items]).sum(1)
    binary = torch.nn.functional.softplus(-correct[:4])
    last = slow_binary(states[4:], table, batch.next_items[4:], drawn[4:]) * 4
    loss = BinaryCrossEntropy(3)(states, batch, table, generator())
    assert torch.allclose(loss, (binary.sum() + last) / 20)
    softmax = SampledCrossEntropy(3)(states, batch, table, generator())
    only = slow_sampled_cross_entropy(states[4:], table, batch.next_items[4:], drawn[4:])
    assert torch.allclose(softmax, only / 5)
    for value in (loss, softmax):
        gradients = torch.autograd.grad(value, (states, table))
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_draws_follow_the_generator(random_data: MakeData) -> None:
    batch = batch_of(random_data())
    first, again, other = (uniform_negatives(batch, 6, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
