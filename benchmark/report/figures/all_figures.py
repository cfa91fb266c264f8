"""Every figure: a function that draws the results of a dataset, or returns None where no run has what it shows.

Draw and save within `canvas.appearance()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from benchmark.report.figures import accuracy, curves, popularity, scores, sweeps, windows
from benchmark.report.query import Results

FIGURES: Mapping[str, Callable[[Results], Figure | None]] = {
    "figure1-buckets": popularity.bucket_accuracy,
    "figure2-scores": scores.score_densities,
    "figure2-spectrum": curves.singular_values,
    "learning-curves": curves.learning_curves,
    "accuracy-coverage": accuracy.accuracy_and_coverage,
    "sensitivity-alpha": sweeps.sensitivity_to_alpha,
    "sensitivity-lambda": sweeps.sensitivity_to_lambda,
    "figure5-regimes": popularity.regimes,
    "views": accuracy.views,
    "noise": sweeps.noise,
    "ties": accuracy.ties,
    "windows": windows.windows,
    "reliability": scores.reliability,
    "popularity-calibration": popularity.popularity_calibration,
}
"""By the name of its file."""
