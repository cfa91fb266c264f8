"""Every figure: a function that draws a dataset's material, or returns None where no run has what it takes.

Draw and save within `style.style()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from benchmark.report.figures import calibration, main, sweeps, variants
from benchmark.report.material import Material

FIGURES: Mapping[str, Callable[[Material], Figure | None]] = {
    "figure1-buckets": main.bucket_accuracy,
    "figure2-scores": main.score_densities,
    "figure2-spectrum": main.singular_values,
    "learning-curves": main.learning_curves,
    "accuracy-coverage": main.accuracy_and_coverage,
    "sensitivity-alpha": sweeps.sensitivity_to_alpha,
    "sensitivity-lambda": sweeps.sensitivity_to_lambda,
    "figure5-regimes": sweeps.regimes,
    "views": variants.views,
    "noise": variants.noise,
    "ties": variants.ties,
    "reliability": calibration.reliability,
    "popularity-calibration": calibration.popularity_calibration,
}
"""By the name of its file."""
