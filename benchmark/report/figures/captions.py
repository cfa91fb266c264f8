"""The captions of figures: what each shows, how to read it, and which figure of the paper it corresponds to."""

from __future__ import annotations

from benchmark.report.query import Results
from benchmark.report.tables.layout import warning

BY_BUCKET = (
    "The catalogue is cut by popularity into three buckets, each of which holds a third of the training interactions."
)
SPREAD = "Error bars and bands show one sample standard deviation over seeds on either side of the mean."

_TEXTS = {
    "figure1-buckets": (
        "HR@1 and HR@10 over the test users whose target lies in one of three popularity buckets. " + BY_BUCKET
    ),
    "figure2-scores": (
        "Densities of the scores that targets and random negatives get. Overlap is the area under both curves, as a "
        "share of the area under the targets' curve; the lower it is, the better the two are told apart."
    ),
    "figure2-spectrum": (
        "Singular values of the test users' embeddings, divided by their sum. The effective rank is the exponential "
        "of their entropy; the higher it is, the flatter the spectrum. The last value falls to zero because the final "
        "LayerNorm removes one dimension."
    ),
    "learning-curves": (
        "Validation NDCG@10 by epoch, averaged over seeds; a run that has stopped keeps its last value. The marker "
        "stands at the mean of the selected epochs."
    ),
    "accuracy-coverage": (
        "Test NDCG@10 against coverage@10, which is the share of the catalogue that is in the first ten of any user."
    ),
    "sensitivity-alpha": (
        "Hit rate and coverage by α, the weight of the Barlow Twins term; α = 0 is SASRec. The left column shows all "
        f"test users, the other two show popularity buckets. {BY_BUCKET} Coverage is split in two ways: by the bucket "
        "of the items that are shown, and by the bucket of the target of the users to whom they are shown. Both are "
        "shares of the whole catalogue."
    ),
    "sensitivity-lambda": (
        "The same by λ, the weight of decorrelation within the Barlow Twins term; λ = 0 leaves only the invariance."
    ),
    "figure5-regimes": (
        "HR@1 and HR@10 by the popularity of the target, for BT-SR at two values of α and for SASRec (BCE). The legend "
        "gives the NDCG@20 of Table 3."
    ),
    "views": (
        "BT-SR with other views than the same-target twin, and with a projector instead of L2 normalisation: the "
        "change against the twin view, seed by seed. The twin itself is the zero line."
    ),
    "noise": (
        "NDCG@10 on unchanged test data after a share of the training inputs was replaced by random items. On the "
        "right: the change against the same seed without replacements."
    ),
    "ties": (
        "Test NDCG@10 of trained models with simultaneous test events in random orders (circles; under tie draws, the "
        "mean over them) and in the order of the file (diamonds). Each line is one seed."
    ),
    "tuning": (
        "NDCG@10 on validation of every trial of tuning, by the settings that each method searches. A star is what was "
        "chosen, a ring what is published; the dashed line is the best trial of SASRec (CE)."
    ),
    "windows": (
        "NDCG@10 of BT-SR minus that of the same objective alone, and of the BT-SR that validation chose minus that of "
        "the best baseline, in windows of time and pooled over all their test users. Bars are 95 % intervals over "
        "users; the pooled one resamples users with all their windows."
    ),
    "reliability": (
        "How often the first item is the target, against the probability that the model gives it, in 15 bins of "
        "equally many users. A calibrated model lies on the dashed line. ECE, the expected calibration error, is the "
        "mean distance from it. Each method has its own axes."
    ),
    "popularity-calibration": (
        "On the left, the Kullback-Leibler divergence between the popularity buckets of a user's history and of the "
        "first ten recommended items (Steck 2018); the lower it is, the closer to the user's taste. On the right, the "
        "share of each bucket in the users' histories, in their targets and in the first ten recommended items."
    ),
}

_PAPER = {
    "figure1-buckets": "Figure 1",
    "figure2-scores": "Figure 2, left",
    "figure2-spectrum": "Figure 2, right",
    "sensitivity-alpha": "Figures 6 and 8",
    "sensitivity-lambda": "Figures 6, 7 and 9",
    "figure5-regimes": "Figure 5",
}
_PAPER_BY_DATASET = {
    ("sensitivity-alpha", "yelp"): "Figures 3, 6 and 8",
    ("sensitivity-alpha", "ml-1m"): "Figures 4, 6 and 8",
}


def paper_figure(name: str, dataset: str) -> str:
    """What the paper calls its figure of this kind, such as `Figures 3, 6 and 8`; empty if it has none."""
    return _PAPER_BY_DATASET.get((name, dataset), _PAPER.get(name, ""))


def caption(name: str, results: Results) -> str:
    """The caption of one of FIGURES; it begins by saying whether the data is real. Raises KeyError for another name."""
    paper = paper_figure(name, results.dataset)
    source = f" In the paper: {paper}." if paper else ""
    spread = "" if name == "windows" else f" {SPREAD}"
    return f"{warning(results.synthetic)}{results.heading}. {_TEXTS[name]}{spread}{source}"
