"""The words around a figure: what it shows, how it is read, and which figure of the paper it corresponds to."""

from __future__ import annotations

from benchmark.report.rows import RunSet

BY_BUCKET = "The catalogue is cut by popularity into three buckets with a third of the training interactions each."
SPREAD = "Bars, bands and crosses: one sample standard deviation over seeds on either side of the mean."

_TEXTS = {
    "figure1-buckets": f"HR@1 and HR@10 over the test users whose target lies in a popularity bucket. {BY_BUCKET}",
    "figure2-scores": (
        "Densities of the scores of targets and of random negatives. Overlap: the area that both share, as a part of "
        "the targets'; lower is better separated."
    ),
    "figure2-spectrum": (
        "Singular values of the test users' embeddings, each over their sum. The effective rank is the exponential of "
        "their entropy; higher is flatter."
    ),
    "learning-curves": "Validation NDCG@10 by epoch: thin lines are seeds, the marker stands at the selected epochs.",
    "accuracy-coverage": "Test NDCG@10 against coverage@10, the share of the catalogue in anybody's first ten.",
    "sensitivity-alpha": (
        "Hit rate and coverage by α, the weight of the Barlow Twins term; α = 0 is SASRec. Left over all test users, "
        f"beside it by popularity bucket. {BY_BUCKET} Coverage of a bucket is read in two ways: its items that are "
        "shown to anybody, and all items shown to the users whose target is in it; both over the whole catalogue."
    ),
    "sensitivity-lambda": (
        "The same by λ, the weight of decorrelation within the Barlow Twins term; λ = 0 leaves its invariance alone."
    ),
    "figure5-regimes": (
        "HR@1 and HR@10 by the popularity of the target: BT-SR at two values of α against SASRec (BCE). In the legend "
        "the NDCG@20 of Table 3."
    ),
    "views": (
        "BT-SR with other views than the same-target twin, and with a projector instead of L2 normalisation: the "
        "change against the twin view, seed by seed."
    ),
    "noise": (
        "NDCG@10 on unchanged test data after a share of the training inputs was replaced by random items; right, the "
        "change against the same seed without replacements."
    ),
    "ties": (
        "Test NDCG@10 of trained models when simultaneous test events are put into five random orders (circles), and "
        "in the order of the file (filled). One column per seed."
    ),
    "reliability": (
        "How often the first item is the target, against the probability that the model gives it: 15 bins of equally "
        "many users, square-root axes. On the diagonal a model is calibrated. ECE: expected calibration error, the "
        "mean distance from it."
    ),
    "popularity-calibration": (
        "Left, Kullback-Leibler divergence between the popularity buckets of a user's history and of the first ten "
        "recommended (Steck 2018); lower is truer to the user's taste. Right, of which buckets the users' histories, "
        "their targets and the first ten recommended consist."
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


def caption(name: str, runs: RunSet) -> str:
    """A caption for one of FIGURES; first of all whether the data is real. Raises KeyError for another name."""
    mark = "SYNTHETIC DATA, which says nothing about any real dataset. " if runs.synthetic else ""
    paper = paper_figure(name, runs.dataset)
    source = f" In the paper: {paper}." if paper else ""
    return f"{mark}{runs.heading}. {_TEXTS[name]} {SPREAD}{source}"
