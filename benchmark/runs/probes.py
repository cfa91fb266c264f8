"""Measurements of a model besides ranks: singular values, score densities, calibration bins, and users' taste."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from baselines.encoder import Encoder
from datasets.protocol import N_BUCKETS
from datasets.sequences import Sequences, windows

ROWS_AT_ONCE = 1024
CALIBRATION_BINS = 15
GRID_POINTS = 512
FINE_BINS_PER_STEP = 8
TAIL = 4.0  # bandwidths that the grid extends beyond the extreme scores; 0.003 % of a kernel is farther out


@torch.inference_mode()
def embeddings(encoder: Encoder, histories: Sequences, maxlen: int) -> Tensor:
    """Compute the representation z of every history, (C, D), in host memory."""
    rows = torch.arange(len(histories), device=histories.items.device)
    chunks = rows.split(ROWS_AT_ONCE)
    return torch.cat([encoder(windows(histories, chunk, maxlen, encoder.n_items))[1].cpu() for chunk in chunks])


def spectrum(embeddings: Tensor, centred: bool = False) -> np.ndarray:
    """Compute the singular values of embeddings (N, D): (D,) float64, descending, padded with zeros if N < D.

    `centred` subtracts the mean embedding first. The paper does not mention centring.
    """
    matrix = embeddings.detach().to("cpu", torch.float64)
    if centred:
        matrix = matrix - matrix.mean(0)
    values = torch.linalg.svdvals(matrix).numpy()
    return np.pad(values, (0, matrix.shape[1] - len(values)))


def calibration_bins(
    confidence: np.ndarray, correct: np.ndarray, bins: int = CALIBRATION_BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort users by confidence into bins of equal size; return each bin's count, mean confidence and accuracy, (bins,).

    `confidence` (N,): the probability of the top item. `correct` (N,): whether it was the target. Counts differ by at
    most one. Users with equal confidence keep their order. An empty bin (N < bins) has zeros.
    """
    order = np.argsort(confidence, kind="stable")
    edges = np.arange(bins + 1) * len(order) // bins
    count = np.diff(edges)

    def mean(values: np.ndarray) -> np.ndarray:
        cumulative = np.concatenate([[0.0], np.cumsum(values[order], dtype=np.float64)])
        return np.diff(cumulative[edges]) / np.maximum(count, 1)

    return count, mean(confidence), mean(correct)


def score_densities(
    target_scores: np.ndarray, negative_scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate Gaussian kernel densities of the scores of targets (N,) and of random negatives (N, n).

    Returns a shared grid and the two densities on it, (512,) float64 each. The bandwidth follows Scott (1992), but is
    at least about one grid step, so that equal scores give a peak of that width. NaN scores are ignored; without any
    negative scores their density is NaN.
    """
    samples = [scores[~np.isnan(scores)] for scores in (target_scores, negative_scores)]
    low = min(float(sample.min()) for sample in samples if len(sample))
    high = max(float(sample.max()) for sample in samples if len(sample))
    narrowest = (high - low or max(1.0, abs(high))) / GRID_POINTS
    widths = [max(_scott_bandwidth(sample), narrowest) for sample in samples]
    margin = TAIL * max(widths)
    grid = np.linspace(low - margin, high + margin, GRID_POINTS)
    return grid, _density(samples[0], widths[0], grid), _density(samples[1], widths[1], grid)


def _scott_bandwidth(sample: np.ndarray) -> float:
    if len(sample) < 2:
        return 0.0
    return float(sample.std(ddof=1, dtype=np.float64)) * len(sample) ** -0.2


def _density(sample: np.ndarray, bandwidth: float, grid: np.ndarray) -> np.ndarray:
    """Estimate the density of `sample` at `grid`, after rounding values to bins much finer than the grid."""
    if len(sample) == 0:
        return np.full(len(grid), np.nan)
    bins = (len(grid) - 1) * FINE_BINS_PER_STEP
    counts, edges = np.histogram(sample, bins, (grid[0], grid[-1]))
    centres = (edges[:-1] + edges[1:]) / 2
    occupied = counts > 0
    kernels = np.exp(-0.5 * ((grid[:, None] - centres[occupied]) / bandwidth) ** 2)  # (grid, bins)
    return kernels @ counts[occupied] / (len(sample) * bandwidth * np.sqrt(2 * np.pi))


def history_bucket_shares(histories: Sequences, item_buckets: np.ndarray) -> np.ndarray:
    """Compute the shares of the popularity buckets in each history, (N, 3) float32, zeros for an empty history.

    `item_buckets` (V,): the bucket of each item.
    """
    items, starts, lengths = (tensor.cpu().numpy() for tensor in (histories.items, histories.starts, histories.lengths))
    counts = np.zeros((len(items) + 1, N_BUCKETS), dtype=np.int64)  # of the items before each place in `items`
    np.cumsum(np.eye(N_BUCKETS, dtype=np.int64)[item_buckets[items]], axis=0, out=counts[1:])
    shares = (counts[starts + lengths] - counts[starts]) / np.maximum(lengths, 1)[:, None]
    return shares.astype(np.float32)
