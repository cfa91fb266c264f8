"""A metric of recommendations: how evenly the places in the lists are spread over items, in bits.

Copy it to benchmark/runs/entropy.py, and add to benchmark/runs/metrics.py the import

    from benchmark.runs.entropy import entropy

and below `METRICS: dict[str, Metric] = {`

    "entropy": Metric("entropy (bits)", of_lists=entropy, decimals=2, shown={"lists": (10,)}),
"""

from __future__ import annotations

import numpy as np


def entropy(top_items: np.ndarray, popularity: np.ndarray) -> float:
    """-sum_j p_j log2 p_j, where p_j is item j's share of the places; NaN if nothing is recommended.

    `top_items` (N, K), V where there is no item; `popularity` (V,) only gives the size of the catalogue.
    """
    places = np.bincount(top_items[top_items < len(popularity)])
    shares = places[places > 0] / max(places.sum(), 1)
    return float(-(shares * np.log2(shares)).sum()) if len(shares) else float("nan")
