"""GRU4Rec on the full softmax (Hidasi et al., ICLR 2016; Hidasi & Karatzoglou, CIKM 2018), and BT-SR on its encoder."""

from __future__ import annotations

from baselines.btsr import BTSR
from baselines.deferred import Encoder, encoders
from baselines.method import TrainedMethod
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings, Precision


class OnGRU(TrainedMethod):
    """A method whose encoder is recurrent."""

    encoder_version = 1  # raise it whenever the numbers of GRU change

    def build_encoder(self, n_items: int, settings: EncoderSettings, precision: Precision) -> Encoder:
        return encoders.GRU(n_items, settings, precision)


class GRU4Rec(OnGRU, SASRec):
    """Next-item prediction at every position, the item vectors shared by input and output. The published code trains
    on parallel sessions and sampled items instead.
    """

    version = 1


class RecurrentBTSR(OnGRU, BTSR):
    """Whether Barlow Twins on same-target views helps another encoder than the paper's."""

    version = 1
