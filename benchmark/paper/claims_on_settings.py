"""The paper's claims on its settings: alpha, lambda, the two regimes, views, normalisation, cost and noise.

Every threshold comes with its reason.
"""

from __future__ import annotations

from benchmark.paper.claim import Ahead, Claim, Drops, Grows, Hurts, LosesLess, Peaks, Ratio, Steadier, Trend
from benchmark.paper.printed import CONTRASTIVE

FIGURES_3_AND_4 = ("ml-1m", "yelp", "gowalla", "beauty")
"""The figures show the first two; section 5.2 says that the others behave alike."""

SLOWER = 1.5
"""On a shared machine, runs of the same method differ by up to this factor."""

BOTH_CRUCIAL = (
    "The results demonstrate that both invariance and decorrelation play crucial roles in learning generalizable user "
    "representations"
)

CLAIMS_ON_SETTINGS = (
    # --- alpha and lambda ---------------------------------------------------------------------------------------------
    Claim(
        "low-alpha-peak",
        quote="When α < 0.1, the model favors a short, high-precision recommendation list: hr@1 and hr@5 peak, while "
        "coverage remains low.",
        place="Section 5.2, Figures 3 and 4",
        datasets=FIGURES_3_AND_4,
        reading="Of the values swept only 0 lies below 0.1; 0.1 itself is counted in the claim's favour.",
        rule=Peaks(experiment="alpha", at=("0", "0.1"), metrics=("hr@1", "hr@5")),
    ),
    Claim(
        "high-alpha-hr10",
        quote="but hr@10 improves",
        place="Section 5.2, Figures 3 and 4",
        datasets=FIGURES_3_AND_4,
        reading="HR@10 is highest at an alpha above 0.1.",
        rule=Peaks(experiment="alpha", at=("0.2", "0.3", "0.4", "0.5"), metrics=("hr@10",)),
    ),
    Claim(
        "coverage-doubles",
        quote="coverage@10 nearly doubles",
        place="Section 5.2, Figures 3 and 4",
        datasets=FIGURES_3_AND_4,
        reading="From the lowest to the highest alpha of the sweep.",
        # Nearly double: rounded to halves it is 2. Below 1.5 it is closer to no change than to doubling.
        rule=Ratio(experiment="alpha", pairs=(("0.5", "0"),), metric="cov@10", at_least=1.75, below=1.5),
    ),
    Claim(
        "hr1-drop-pp",
        quote="As α increases, precision at top-1 drops by only 2-3 pp",
        place="Section 5.2, Figures 3 and 4",
        datasets=FIGURES_3_AND_4,
        reading="pp means percentage points. On Yelp Table 2 prints an HR@1 of at most 0.0049, half a point: it cannot "
        "drop by two.",
        # The sentence before puts the peak at 0 or 0.1. The bounds hold everything that rounds to 2 or 3 pp.
        rule=Drops(experiment="alpha", start=("0", "0.1"), end="0.5", metric="hr@1", low=0.015, high=0.035),
    ),
    Claim(
        "tail-coverage-grows",
        quote="performance in Buckets 2 and 3 rises sharply (e.g., coverage@10 in Bucket 3 grows from 0 to 0.015)",
        place="Section 5.2, Figures 3 and 4",
        datasets=FIGURES_3_AND_4,
        reading="Items of bucket 3 that are in any user's top 10, as a share of the catalogue. The other coverage, of "
        "the items shown to users whose target is in the bucket, cannot be 0.",
        # Below `zero`, three decimals print 0.000. Half of the claimed value is enough, because the paper does not name
        # the dataset of its example and a figure is read by eye.
        rule=Grows("alpha", start="0", end="0.5", metric="cov@10/bucket3/items", zero=0.0005, at_least=0.0075),
    ),
    Claim(
        "tail-rises",
        quote="As α exceeds 0.2, performance in Buckets 2 and 3 rises sharply",
        place="Section 5.2, Figures 3 and 4",
        datasets=("yelp", "gowalla", "beauty"),
        reading="HR@10 of the users whose target is in bucket 2 or 3, at 0.4 against 0.1, the two regimes of Table 3.",
        rule=Ahead(experiment="alpha", pairs=(("0.4", "0.1"),), metrics=("hr@10/bucket2", "hr@10/bucket3")),
    ),
    Claim(
        "ml-head-rises-as-alpha-falls",
        quote="decreasing α improves head-bucket metrics",
        place="Section 5.2, Figure 4",
        datasets=("ml-1m",),
        rule=Trend(experiment="alpha", metrics=("hr@10/bucket1",), rises=False),
    ),
    Claim(
        "ml-mid-and-tail-fall-together",
        quote="but degrades both mid- and tail-bucket performance in tandem",
        place="Section 5.2, Figure 4",
        datasets=("ml-1m",),
        reading="HR@10 in buckets 2 and 3 falls as alpha falls, that is, rises with it.",
        rule=Trend(experiment="alpha", metrics=("hr@10/bucket2", "hr@10/bucket3"), rises=True),
    ),
    Claim(
        "coverage-rises-with-alpha",
        quote="increasing α significantly improves Cov@K on YELP and Gowalla",
        place="Appendix A, Figure 6",
        datasets=("yelp", "gowalla"),
        rule=Trend(experiment="alpha", metrics=("cov@1", "cov@5", "cov@10"), rises=True),
    ),
    Claim(
        "alpha-zero-hurts",
        quote=BOTH_CRUCIAL,
        place="Appendix A, Figure 6",
        reading="Without the Barlow Twins term (alpha = 0) NDCG@10 is lower than at the alpha that validation chooses.",
        rule=Hurts(experiment="alpha", label="0", metric="ndcg@10"),
    ),
    Claim(
        "lambda-zero-hurts",
        quote=BOTH_CRUCIAL,
        place="Appendix A, Figure 7",
        reading="Without decorrelation (lambda = 0) NDCG@10 is lower than at the lambda that validation chooses.",
        rule=Hurts(experiment="lambda", label="0", metric="ndcg@10"),
    ),
    Claim(
        "gowalla-hr1-peak",
        quote="on Gowalla, the maximum HR@1 is achieved with α = 0.5",
        place="Appendix A, Figure 6",
        datasets=("gowalla",),
        rule=Peaks(experiment="alpha", at=("0.5",), metrics=("hr@1",)),
    ),
    Claim(
        "gowalla-hr10-peak",
        quote="while HR@10 peaks at α = 0.1",
        place="Appendix A, Figure 6",
        datasets=("gowalla",),
        rule=Peaks(experiment="alpha", at=("0.1",), metrics=("hr@10",)),
    ),
    Claim(
        "moderate-alpha-balances",
        quote="moderate values of α (e.g., 0.2-0.4) offer the best balance across datasets",
        place="Section 5.2",
        reading="Balance: the mean of NDCG@10 and coverage@10, each as a share of its highest mean over the sweep; "
        "equal weights, as none are given.",
        rule=Peaks("alpha", at=("0.2", "0.3", "0.4"), metrics=("ndcg@10", "cov@10"), jointly=True),
    ),
    # --- two regimes --------------------------------------------------------------------------------------------------
    Claim(
        "regimes-beat-baseline",
        quote="Both setups allow outperforming the baseline in terms of integral recommendations accuracy",
        place="Section 5.2, Table 3",
        datasets=("yelp",),
        reading="NDCG@20 at alpha 0.1 and 0.4 against SASRec (BCE).",
        rule=Ahead(experiment="regimes", pairs=(("0.1", "sasrec-bce"), ("0.4", "sasrec-bce")), metrics=("ndcg@20",)),
    ),
    Claim(
        "low-regime-head",
        quote="the recommendations are steered towards more generic user interests, which is indicated by a higher "
        "performance in the first bucket in terms of hr@1 metric",
        place="Section 5.2, Figure 5",
        datasets=("yelp",),
        rule=Ahead(experiment="regimes", pairs=(("0.1", "0.4"),), metrics=("hr@1/bucket1",)),
    ),
    Claim(
        "high-regime-tail",
        quote="the second regime with higher α compensates for lower scores in the first bucket by a better "
        "performance in the second and third buckets",
        place="Section 5.2, Figure 5",
        datasets=("yelp",),
        rule=Ahead(experiment="regimes", pairs=(("0.4", "0.1"),), metrics=("hr@1/bucket2", "hr@1/bucket3")),
    ),
    # --- views, normalisation, cost, noise ----------------------------------------------------------------------------
    Claim(
        "noise-views-hurt",
        quote="we observe that these noise-based augmentations lead to performance degradation in our non-contrastive, "
        "multi-task setting",
        place="Section 5.2",
        reading="NDCG@10 with masked, cropped and reordered views against the same-target twin.",
        rule=Ahead("views", pairs=(("twin", "mask"), ("twin", "crop"), ("twin", "reorder")), metrics=("ndcg@10",)),
    ),
    Claim(
        "dropout-view-hurts",
        quote="we avoid applying random augmentations (e.g., masking, cropping, dropout-based perturbations), as we "
        "find that they introduce noise and diminish performance",
        place="Section 3.2",
        reading="NDCG@10 with a second dropout mask as the view against the same-target twin.",
        rule=Ahead(experiment="views", pairs=(("twin", "dropout"),), metrics=("ndcg@10",)),
    ),
    Claim(
        "substitution-costs",
        quote="We further evaluate item-based augmentations on the YELP and Kindle Store datasets and find a "
        "performance drop of at least 6%.",
        place="Section 5.2",
        datasets=("yelp", "kindle-store"),
        reading="Item-based means substitution. NDCG@10 lies more than 6 % below that with the same-target twin.",
        rule=Ahead(experiment="views", pairs=(("twin", "substitute"),), metrics=("ndcg@10",), margin=0.06),
    ),
    Claim(
        "l2-steadier",
        quote="We apply l2 normalization instead of the learned projection head originally used in the BT framework, "
        "as it is parameter-free and empirically more stable.",
        place="Section 3.3",
        reading="A smaller variance of NDCG@10 over seeds than with a projector; higher accuracy would be another "
        "claim.",
        rule=Steadier(experiment="views", steady="twin", other="projector", metric="ndcg@10"),
    ),
    Claim(
        "pretraining-slower",
        quote="SSL pretraining is substantially more time-consuming than joint multi-task optimization",
        place="Section 2.3",
        reading="Seconds of training until early stopping, both stages counted, on the same objective (CE).",
        rule=Ratio("main", (("two-stage", "btsr-ce"),), metric="fit_seconds", at_least=SLOWER, of_cost=True),
    ),
    Claim(
        "cheaper-than-contrastive",
        quote="Barlow Twins can help learn diverse, informative user representations with far lower computational cost "
        "and without sampling negatives",
        place="Section 1",
        reading="Seconds per epoch of each contrastive baseline against BT-SR (CE).",
        rule=Ratio("main", tuple((m, "btsr-ce") for m in CONTRASTIVE), "seconds_per_epoch", SLOWER, of_cost=True),
    ),
    Claim(
        "helps-sets",
        quote="Barlow Twins can help learn diverse, informative user representations",
        place="Section 1",
        datasets=("ml-1m", "beauty"),
        reading="The paper has sequences in mind. NDCG@10 of matrix factorisation with Barlow Twins against the same "
        "without them, where users are sets of items.",
        rule=Ahead(experiment="sets", pairs=(("mf-bt", "mf"),), metrics=("ndcg@10",)),
        beyond_the_paper=True,
    ),
    Claim(
        "downstream-beats-dual-encoder",
        quote="our method consistently outperforms the widely-used dual encoder model across three downstream tasks",
        place="abstract of Green et al. 2025",
        datasets=("ml-1m",),
        reading="Pretraining with Barlow Twins on two random views against a dual encoder, both with the largest "
        "batches and all labels; a linear probe and fine-tuning count alike.",
        rule=Ahead(
            experiment="downstream",
            pairs=(("barlow-twins-views 512", "dual-encoder 512"),),
            metrics=tuple(f"{task}/{way}/100" for task in ("next-item", "genre", "age") for way in ("probe", "tuned")),
        ),
        beyond_the_paper=True,
    ),
    Claim(
        "downstream-small-batches-few-labels",
        quote="effective representation learning with smaller batch sizes and limited labeled data",
        place="abstract of Green et al. 2025",
        datasets=("ml-1m",),
        reading="The same comparison with batches of 32 and a hundredth of the labels, and with a tenth.",
        rule=Ahead(
            experiment="downstream",
            pairs=(("barlow-twins-views 32", "dual-encoder 32"),),
            metrics=tuple(
                f"{task}/{way}/{labels}"
                for labels in (1, 10)
                for task in ("next-item", "genre", "age")
                for way in ("probe", "tuned")
            ),
        ),
        beyond_the_paper=True,
    ),
    Claim(
        "noise-mitigated",
        quote="This structure-sensitive alignment allows BT-SR to more effectively recognize emerging user intent and "
        "mitigate the influence of noisy historical context.",
        place="Abstract",
        reading="With 40 % of the training inputs replaced at random, BT-SR loses less NDCG@10 than the same objective "
        "without Barlow Twins.",
        rule=LosesLess(noise=0.4, metric="ndcg@10"),
    ),
)
