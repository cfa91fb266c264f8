from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.regularizers import STANDARDISATION_EPS, attract_negatives, barlow_twins, cross_correlation, info_nce


def views(rows: int = 20, width: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(rows, width, dtype=torch.float64, generator=generator)
    second = 0.7 * first + torch.randn(rows, width, dtype=torch.float64, generator=generator)
    return first.requires_grad_(), second.requires_grad_()


def assert_same_with_gradients(ours: Tensor, expected: Tensor, inputs: tuple[Tensor, ...]) -> None:
    assert torch.allclose(ours, expected, rtol=1e-10)
    gradients = zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(expected, inputs), strict=True)
    for gradient, reference in gradients:
        assert torch.allclose(gradient, reference, rtol=1e-8, atol=1e-10)
        assert gradient.abs().max() > 0, "gradients reach every view"


def slow_columns(z: Tensor, l2: bool) -> list[Tensor]:
    """Standardise the columns one at a time."""
    rows = [row / row.square().sum().sqrt() if l2 else row for row in z]
    columns = []
    for i in range(z.shape[1]):
        column = torch.stack([row[i] for row in rows])
        mean = column.sum() / len(column)
        deviation = ((column - mean).square().sum() / len(column)).sqrt()
        columns.append((column - mean) / (deviation + STANDARDISATION_EPS))
    return columns


def slow_barlow_twins(z_a: Tensor, z_b: Tensor, lambd: float, l2: bool = True) -> Tensor:
    """Eq. 6 and 7, entry by entry and without dividing by D."""
    a, b = slow_columns(z_a, l2), slow_columns(z_b, l2)
    loss = torch.zeros((), dtype=torch.float64)
    for i in range(len(a)):
        for j in range(len(b)):
            c = (a[i] * b[j]).sum() / len(z_a)
            loss = loss + ((1 - c) ** 2 if i == j else lambd * c**2)
    return loss


@pytest.mark.parametrize("l2", [True, False])
@pytest.mark.parametrize("lambd", [0.0, 0.05, 1.0])
def test_barlow_twins_and_its_gradients_equal_a_loop(lambd: float, l2: bool) -> None:
    z_a, z_b = views()
    loss = barlow_twins(z_a, z_b, lambd, l2=l2, per_dimension=False)
    assert_same_with_gradients(loss, slow_barlow_twins(z_a, z_b, lambd, l2), (z_a, z_b))


def test_per_dimension_divides_the_sum_by_the_width() -> None:
    z_a, z_b = views()
    summed = barlow_twins(z_a, z_b, 0.3, per_dimension=False)
    assert torch.allclose(barlow_twins(z_a, z_b, 0.3) * 5, summed)


def test_equal_views_with_uncorrelated_dimensions_have_no_loss() -> None:
    hadamard = torch.tensor([[1.0]], dtype=torch.float64)
    for _ in range(4):
        hadamard = torch.cat([torch.cat([hadamard, hadamard], 1), torch.cat([hadamard, -hadamard], 1)])
    z = hadamard[:, 1:]  # centred, uncorrelated columns; rows of equal norm
    assert barlow_twins(z, z.clone(), 1.0).item() == pytest.approx(0, abs=1e-8)
    assert barlow_twins(z, -z, 1.0, per_dimension=True).item() == pytest.approx(4, rel=1e-3)


def test_correlations_ignore_positive_affine_maps_of_each_dimension() -> None:
    z_a, z_b = views(rows=200)
    generator = torch.Generator().manual_seed(1)
    scale = 0.5 + torch.rand(5, dtype=torch.float64, generator=generator)
    shift = torch.randn(5, dtype=torch.float64, generator=generator)
    before = cross_correlation(z_a, z_b, l2=False)
    after = cross_correlation(z_a * scale + shift, z_b * scale.flip(0) - shift, l2=False)
    assert torch.allclose(before, after, atol=1e-4)
    assert not torch.allclose(cross_correlation(z_a, z_b), cross_correlation(z_a + shift, z_b), atol=1e-2)


def test_correlations_equal_those_of_torch_corrcoef() -> None:
    z_a, z_b = views(rows=50)
    expected = torch.corrcoef(torch.cat([z_a, z_b], dim=1).T)[:5, 5:]
    assert torch.allclose(cross_correlation(z_a, z_b, l2=False), expected, atol=1e-4)


def test_a_constant_dimension_stays_finite() -> None:
    z = torch.ones(8, 3, dtype=torch.float64, requires_grad=True)
    loss = barlow_twins(z, z, 0.1, l2=False)
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def slow_info_nce(z_a: Tensor, z_b: Tensor, temperature: float) -> Tensor:
    """Each of the 2B views against its counterpart and the 2B - 2 others, one dot product at a time."""
    views, B = [*z_a, *z_b], len(z_a)
    loss = torch.zeros((), dtype=torch.float64)
    for i, anchor in enumerate(views):
        others = [(anchor * other).sum() / temperature for j, other in enumerate(views) if j != i]
        positive = (anchor * views[(i + B) % (2 * B)]).sum() / temperature
        loss = loss - positive + torch.stack(others).exp().sum().log()
    return loss / (2 * B)


def slow_attract_negatives(z_negative: Tensor, z_positive: Tensor, temperature: float) -> Tensor:
    """-log of the softmax of another negative view against all positive views, for every ordered pair."""
    losses = []
    for i, anchor in enumerate(z_negative):
        for j, other in enumerate(z_negative):
            if i == j:
                continue
            attraction = ((anchor * other).sum() / temperature).exp()
            contrast = torch.zeros((), dtype=torch.float64)
            for positive in z_positive:
                contrast = contrast + ((anchor * positive).sum() / temperature).exp()
            losses.append(-(attraction / (attraction + contrast)).log())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("rows", [2, 7])
def test_info_nce_and_its_gradients_equal_a_double_loop(rows: int, temperature: float) -> None:
    pair = views(rows)
    assert_same_with_gradients(info_nce(*pair, temperature), slow_info_nce(*pair, temperature), pair)


def test_info_nce_is_invariant_to_the_order_of_rows_and_of_views() -> None:
    z_a, z_b = views(9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(info_nce(z_a[order], z_b[order]), info_nce(z_a, z_b), rtol=1e-12)
    assert torch.allclose(info_nce(z_b, z_a), info_nce(z_a, z_b), rtol=1e-12)
    assert not torch.allclose(info_nce(z_a[order], z_b), info_nce(z_a, z_b), rtol=1e-2), "pairs are what counts"


def test_info_nce_falls_as_positives_align() -> None:
    z_a, z_b = (F.normalize(z.detach(), dim=1) for z in views(9))
    losses = [info_nce(z_a, F.normalize(t * z_a + (1 - t) * z_b, dim=1)).item() for t in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] - losses[-1] > 0.1


def test_info_nce_of_a_single_pair_is_zero() -> None:
    assert info_nce(*views(1)).item() == 0


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize(("rows", "positives"), [(2, 1), (6, 12)])
def test_the_attraction_of_negatives_and_its_gradients_equal_a_triple_loop(
    rows: int, positives: int, temperature: float
) -> None:
    pair = (views(rows)[0], views(positives, seed=1)[1])
    assert_same_with_gradients(attract_negatives(*pair, temperature), slow_attract_negatives(*pair, temperature), pair)


def test_the_attraction_of_negatives_is_invariant_to_any_order() -> None:
    z_negative, z_positive = views(6)[0], views(12, seed=1)[1]
    generator = torch.Generator().manual_seed(2)
    loss = attract_negatives(z_negative, z_positive)
    shuffled = z_negative[torch.randperm(6, generator=generator)]
    assert torch.allclose(attract_negatives(shuffled, z_positive), loss, rtol=1e-12)
    shuffled = z_positive[torch.randperm(12, generator=generator)]
    assert torch.allclose(attract_negatives(z_negative, shuffled), loss, rtol=1e-12)


def test_a_single_negative_view_has_no_loss_and_no_gradient() -> None:
    z_negative, z_positive = views(1)[0], views(2, seed=1)[1]
    loss = attract_negatives(z_negative, z_positive)
    assert loss.item() == 0
    assert all(gradient.abs().max() == 0 for gradient in torch.autograd.grad(loss, (z_negative, z_positive)))


def test_negatives_that_agree_and_stay_away_from_positives_cost_least() -> None:
    z_negative, z_positive = (F.normalize(z.detach(), dim=1) for z in (views(6)[0], views(12, seed=1)[1]))
    loss = attract_negatives(z_negative, z_positive)
    together = F.normalize(z_negative + 2 * z_negative[0], dim=1)
    assert attract_negatives(together, -together) < attract_negatives(together, together)
    assert attract_negatives(together, z_positive - 2 * z_negative[0]) < loss
