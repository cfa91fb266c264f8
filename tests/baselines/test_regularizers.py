from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.regularizers import STANDARDISATION_EPS, barlow_twins, cross_correlation


def views(rows: int = 20, width: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(rows, width, dtype=torch.float64, generator=generator)
    second = 0.7 * first + torch.randn(rows, width, dtype=torch.float64, generator=generator)
    return first.requires_grad_(), second.requires_grad_()


def slow_columns(z: Tensor, l2: bool) -> list[Tensor]:
    """The standardised columns, one at a time."""
    rows = [row / row.square().sum().sqrt() if l2 else row for row in z]
    columns = []
    for i in range(z.shape[1]):
        column = torch.stack([row[i] for row in rows])
        mean = column.sum() / len(column)
        deviation = ((column - mean).square().sum() / len(column)).sqrt()
        columns.append((column - mean) / (deviation + STANDARDISATION_EPS))
    return columns


def slow_barlow_twins(z_a: Tensor, z_b: Tensor, lambd: float, l2: bool = True) -> Tensor:
    """Eq. 6 and 7 entry by entry, the sum."""
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
    expected = slow_barlow_twins(z_a, z_b, lambd, l2)
    assert torch.allclose(loss, expected, rtol=1e-10)
    for ours, theirs in zip(
        torch.autograd.grad(loss, (z_a, z_b)), torch.autograd.grad(expected, (z_a, z_b)), strict=True
    ):
        assert torch.allclose(ours, theirs, rtol=1e-8, atol=1e-10)
        assert ours.abs().max() > 0, "gradients reach both views"


def test_per_dimension_is_the_sum_over_the_width() -> None:
    z_a, z_b = views()
    summed = barlow_twins(z_a, z_b, 0.3, per_dimension=False)
    assert torch.allclose(barlow_twins(z_a, z_b, 0.3) * 5, summed)


def test_perfect_decorrelated_agreement_costs_nothing() -> None:
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


def test_correlations_are_numpys() -> None:
    z_a, z_b = views(rows=50)
    expected = torch.corrcoef(torch.cat([z_a, z_b], dim=1).T)[:5, 5:]
    assert torch.allclose(cross_correlation(z_a, z_b, l2=False), expected, atol=1e-4)


def test_a_constant_dimension_stays_finite() -> None:
    z = torch.ones(8, 3, dtype=torch.float64, requires_grad=True)
    loss = barlow_twins(z, z, 0.1, l2=False)
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.isfinite()
    assert gradient.isfinite().all()
