"""The methods by name. Adding one is adding its file and a line here."""

from __future__ import annotations

from baselines.btsr import BTSR
from baselines.cl4srec import CL4SRec
from baselines.duorec import DuoRec
from baselines.ec4srec import EC4SRec
from baselines.markov import Markov
from baselines.method import Entry
from baselines.objectives import BinaryCrossEntropy, CrossEntropy, SampledCrossEntropy, ScalableCrossEntropy
from baselines.popularity import Popularity
from baselines.sasrec import SASRec
from baselines.two_stage import TwoStage

METHODS: dict[str, Entry] = {
    "popularity": Entry("Most popular", Popularity, Popularity.Settings()),
    "markov": Entry("Markov chain", Markov, Markov.Settings()),
    "sasrec-bce": Entry("SASRec (BCE)", SASRec, SASRec.Settings(BinaryCrossEntropy())),
    "sasrec-ce": Entry("SASRec (CE)", SASRec, SASRec.Settings(CrossEntropy())),
    "sasrec-sce": Entry("SASRec (SCE)", SASRec, SASRec.Settings(ScalableCrossEntropy())),
    "sasrec-sampled-ce": Entry("SASRec (sampled CE)", SASRec, SASRec.Settings(SampledCrossEntropy()), by_default=False),
    "cl4srec": Entry("CL4SRec", CL4SRec, CL4SRec.Settings()),
    "duorec": Entry("DuoRec", DuoRec, DuoRec.Settings()),
    "ec4srec": Entry("EC4SRec", EC4SRec, EC4SRec.Settings()),
    "btsr-bce": Entry("BT-SR (BCE)", BTSR, BTSR.Settings(BinaryCrossEntropy()), plain="sasrec-bce"),
    "btsr-ce": Entry("BT-SR (CE)", BTSR, BTSR.Settings(CrossEntropy()), plain="sasrec-ce"),
    "btsr-sce": Entry("BT-SR (SCE)", BTSR, BTSR.Settings(ScalableCrossEntropy()), plain="sasrec-sce"),
    "two-stage": Entry("Two-stage BT", TwoStage, TwoStage.Settings()),
}
