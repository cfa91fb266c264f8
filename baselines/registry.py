"""The registry of methods. To add one, write its file and add a line here."""

from __future__ import annotations

from baselines.btsr import BTSR
from baselines.cl4srec import CL4SRec
from baselines.counting import Markov, Popularity
from baselines.duorec import DuoRec
from baselines.ec4srec import EC4SRec
from baselines.factorisation import EASE, MatrixFactorisation
from baselines.gru4rec import GRU4Rec, RecurrentBTSR
from baselines.method import Entry
from baselines.objectives import (
    BinaryCrossEntropy,
    CrossEntropy,
    GeneralisedBinaryCrossEntropy,
    SampledCrossEntropy,
    ScalableCrossEntropy,
)
from baselines.pretraining import DualEncoder, RandomViews, TwoStage
from baselines.sasrec import SASRec

# Tuning grids of methods that share a class with another. Every method gets eight trials.
BCE_GRID = {"settings.objective.negatives": (16, 64, 256, 512), "training.learning_rate": (0.0005, 0.001)}
SCE_GRID = {"settings.objective.size_y": (64, 128, 256, 512), "settings.objective.factor": (1.0, 2.0)}
BTSR_BCE_GRID = {"settings.alpha": (0.0003, 0.001, 0.003, 0.01), "settings.lambd": (0.05, 0.2)}
PROJECTOR_GRID = {"settings.alpha": (0.01, 0.05, 0.2, 0.4), "settings.lambd": (0.005, 0.05)}

METHODS: dict[str, Entry] = {
    "popularity": Entry("Most popular", Popularity, Popularity.Settings()),
    "markov": Entry("Markov chain", Markov, Markov.Settings()),
    "sasrec-bce": Entry("SASRec (BCE)", SASRec, SASRec.Settings(BinaryCrossEntropy()), grid=BCE_GRID),
    "sasrec-ce": Entry("SASRec (CE)", SASRec, SASRec.Settings(CrossEntropy())),
    "sasrec-sce": Entry("SASRec (SCE)", SASRec, SASRec.Settings(ScalableCrossEntropy()), grid=SCE_GRID),
    "sasrec-sampled-ce": Entry(
        "SASRec (sampled CE)", SASRec, SASRec.Settings(SampledCrossEntropy()), by_default=False, grid=BCE_GRID
    ),
    "sasrec-gbce": Entry(
        "SASRec (gBCE)", SASRec, SASRec.Settings(GeneralisedBinaryCrossEntropy()), by_default=False, grid=BCE_GRID
    ),
    "cl4srec": Entry("CL4SRec", CL4SRec, CL4SRec.Settings()),
    "duorec": Entry("DuoRec", DuoRec, DuoRec.Settings()),
    "ec4srec": Entry("EC4SRec", EC4SRec, EC4SRec.Settings()),
    "btsr-bce": Entry("BT-SR (BCE)", BTSR, BTSR.Settings(BinaryCrossEntropy()), plain="sasrec-bce", grid=BTSR_BCE_GRID),
    "btsr-ce": Entry("BT-SR (CE)", BTSR, BTSR.Settings(CrossEntropy()), plain="sasrec-ce"),
    "btsr-sce": Entry("BT-SR (SCE)", BTSR, BTSR.Settings(ScalableCrossEntropy()), plain="sasrec-sce"),
    "btsr-gbce": Entry(
        "BT-SR (gBCE)",
        BTSR,
        BTSR.Settings(GeneralisedBinaryCrossEntropy()),
        plain="sasrec-gbce",
        by_default=False,
        grid=BTSR_BCE_GRID,
    ),
    "btsr-projector": Entry(
        "BT-SR (CE, projector)",
        BTSR,
        BTSR.Settings(CrossEntropy(), projector_layers=2),
        plain="sasrec-ce",
        by_default=False,
        grid=PROJECTOR_GRID,
    ),
    "gru4rec-ce": Entry("GRU4Rec (CE)", GRU4Rec, GRU4Rec.Settings(CrossEntropy()), by_default=False),
    "btsr-gru": Entry(
        "BT-SR (CE, GRU)", RecurrentBTSR, RecurrentBTSR.Settings(CrossEntropy()), plain="gru4rec-ce", by_default=False
    ),
    "ease": Entry("EASE", EASE, EASE.Settings(), by_default=False),
    "mf": Entry("Matrix factorisation", MatrixFactorisation, MatrixFactorisation.Settings(), by_default=False),
    "mf-bt": Entry(
        "MF with Barlow Twins",
        MatrixFactorisation,
        MatrixFactorisation.Settings(alpha=0.2),
        by_default=False,
        rival="mf",
    ),
    "barlow-twins-views": Entry("Barlow Twins on views", RandomViews, RandomViews.Settings(), by_default=False),
    "dual-encoder": Entry("Dual encoder", DualEncoder, DualEncoder.Settings(), by_default=False),
    "two-stage": Entry("Two-stage BT", TwoStage, TwoStage.Settings()),
}
