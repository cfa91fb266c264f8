"""Regularisers that compare views: Barlow Twins, InfoNCE, and the attraction of negative views."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

STANDARDISATION_EPS = 1e-5


def barlow_twins(z_a: Tensor, z_b: Tensor, lambd: float, *, l2: bool = True, per_dimension: bool = True) -> Tensor:
    """Barlow Twins loss of two views of a batch (BT-SR paper, Eq. 6 and 7; Zbontar et al., ICML 2021).

    Rows are L2-normalised if `l2`, columns are standardised over the batch, and C = Z^A' Z^B / B. The loss is
    sum_i (1 - C_ii)^2 + lambda * sum_{i != j} C_ij^2. With `per_dimension` it is divided by D, as in the released code
    but not in Eq. 7. Eq. 6 as printed divides by B twice; we take it to mean the correlation.

    Shapes: `z_a` and `z_b` (B, D), where rows with the same index are two views of one sequence. Returns a scalar.
    """
    width = z_a.shape[1]
    correlation = cross_correlation(z_a, z_b, l2=l2)  # (D, D)
    diagonal = correlation.diagonal()
    invariance = (1 - diagonal).square().sum()
    redundancy = correlation.square().sum() - diagonal.square().sum()
    loss = invariance + lambd * redundancy
    return loss / width if per_dimension else loss


def info_nce(z_a: Tensor, z_b: Tensor, temperature: float = 1.0) -> Tensor:
    """InfoNCE loss of two views of a batch (CL4SRec; DuoRec).

    Each of the 2B views must identify its counterpart among the other 2B - 1, by dot product over `temperature`.
    Shapes: `z_a` and `z_b` (B, D). Returns a scalar, the mean over the 2B views.
    """
    z = torch.cat([z_a, z_b])
    similarity = (z @ z.T / temperature).fill_diagonal_(-torch.inf)  # (2B, 2B)
    partner = torch.arange(len(z), device=z.device).roll(len(z_a))
    return F.cross_entropy(similarity, partner)


def attract_negatives(z_negative: Tensor, z_positive: Tensor, temperature: float = 1.0) -> Tensor:
    """Loss that pulls the negative views of a batch together, away from all positive views (EC4SRec).

    It is the mean over ordered pairs i != j of -log(e^(n_i n_j) / (e^(n_i n_j) + sum_p e^(n_i p))).
    Shapes: `z_negative` (B, D), `z_positive` (P, D). Returns a scalar, which is zero for a batch of one.
    """
    contrast = (z_negative @ z_positive.T / temperature).logsumexp(1, keepdim=True)  # (B, 1)
    losses = F.softplus(contrast - z_negative @ z_negative.T / temperature)  # (B, B)
    pairs = len(z_negative) * (len(z_negative) - 1)
    return (losses.sum() - losses.diagonal().sum()) / max(pairs, 1)


def cross_correlation(z_a: Tensor, z_b: Tensor, *, l2: bool = True) -> Tensor:
    """Correlate every dimension of one view with every dimension of the other over the batch; returns C (D, D)."""
    if l2:
        z_a, z_b = F.normalize(z_a, dim=1), F.normalize(z_b, dim=1)
    return _standardise(z_a).T @ _standardise(z_b) / len(z_a)


def _standardise(z: Tensor) -> Tensor:
    deviation, mean = torch.std_mean(z, dim=0, correction=0)
    return (z - mean) / (deviation + STANDARDISATION_EPS)
