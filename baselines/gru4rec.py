"""GRU4Rec on the full softmax (Hidasi et al., ICLR 2016; Hidasi & Karatzoglou, CIKM 2018), and BT-SR on its encoder."""

from __future__ import annotations

from baselines.btsr import BTSR
from baselines.deferred import Encoder, encoders
from baselines.method import TrainedMethod
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings, Precision


class GRUMethod(TrainedMethod):
    """A method that trains a GRU instead of the Transformer."""

    encoder_version = 1  # raise it whenever the numbers of GRU change

    def build_encoder(self, n_items: int, settings: EncoderSettings, precision: Precision) -> Encoder:
        return encoders.GRU(n_items, settings, precision)


class GRU4Rec(GRUMethod, SASRec):
    """Next-item prediction at every position, with item vectors shared between input and output.

    The published code trains on parallel sessions with sampled items instead.
    """

    version = 1


class RecurrentBTSR(GRUMethod, BTSR):
    """BT-SR on a GRU, to see whether Barlow Twins helps an encoder other than the paper's."""

    version = 1
