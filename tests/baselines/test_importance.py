from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor

from baselines.importance import IMPORTANCES, occlusion, saliency
from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from baselines.transformer import Transformer
from datasets.sequences import Batch
from tests.baselines.batches import MakeData

# One item before the final one, the full window, more than fits, all equal, nothing to explain at all.
SEQUENCES = [[0, 1], [2, 3, 4, 5, 6, 7], [8, 9, 1, 4, 2, 2, 0, 3], [5, 5, 5, 5], [9, 3, 6], [7]]
MAXLEN, WIDTH, STEP = 5, 6, 1e-5


@pytest.fixture
def data(make_data: MakeData) -> TrainingData:
    return make_data(SEQUENCES, 10, MAXLEN)


@pytest.fixture
def encoder() -> Transformer:
    torch.manual_seed(1)
    encoder = Transformer(10, EncoderSettings(width=WIDTH, blocks=2, dropout=0.5, maxlen=MAXLEN))
    for parameter in encoder.parameters():  # away from the symmetries of a fresh one
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    return encoder


class Explained:
    """The encoder in float64 on one sequence, as a function of its input embeddings (n, D)."""

    def __init__(self, encoder: Transformer, sequence: list[int]) -> None:
        self.encoder = copy.deepcopy(encoder).double().eval()
        self.items = sequence[:-1][-MAXLEN:]
        n = len(self.items)
        items = self.encoder.items.weight[self.items] * math.sqrt(WIDTH)
        self.embeddings = (items + self.encoder.positions.weight[MAXLEN - n :]).detach()

    def scores(self, variants: Tensor) -> Tensor:
        """K versions of the embeddings, (K, n, D) -> scores after each, (K, V)."""
        K, n, _ = variants.shape
        hook = self.encoder.dropout.register_forward_hook(lambda module, inputs, output: variants.flatten(0, 1))
        _, z = self.encoder(Batch(torch.tensor([self.items] * K), torch.full((K,), n)))
        hook.remove()
        return z @ self.encoder.items.weight[:10].T


def normalised(values: list[float]) -> list[float]:
    return [value / sum(values) for value in values]


@torch.no_grad()
def slow_saliency(encoder: Transformer, sequence: list[int]) -> list[float]:
    """Central differences of the top score in every coordinate of every position's embedding."""
    explained = Explained(encoder, sequence)
    x = explained.embeddings
    top = int(explained.scores(x[None])[0].argmax())
    values = []
    for i in range(len(x)):
        steps = torch.zeros(WIDTH, *x.shape, dtype=torch.float64)
        steps[range(WIDTH), i, range(WIDTH)] = STEP
        change = explained.scores(x + steps)[:, top] - explained.scores(x - steps)[:, top]
        values.append(float((change / (2 * STEP)).abs().sum()))
    return normalised(values)


@torch.no_grad()
def slow_occlusion(encoder: Transformer, sequence: list[int]) -> list[float]:
    """One forward pass for every position."""
    explained = Explained(encoder, sequence)
    before = explained.scores(explained.embeddings[None])[0]
    top = int(before.argmax())
    values = []
    for i in range(len(explained.items)):
        x = explained.embeddings.clone()
        x[i] = 0
        values.append(abs(float(explained.scores(x[None])[0, top] - before[top])))
    return normalised(values)


SLOW = {"saliency": slow_saliency, "occlusion": slow_occlusion}


@pytest.mark.parametrize("tokens_at_once", [2**14, 12])
@pytest.mark.parametrize("name", IMPORTANCES)
def test_importances_are_those_of_one_sequence_at_a_time(
    name: str, tokens_at_once: int, encoder: Transformer, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baselines.importance.TOKENS_AT_ONCE", tokens_at_once)
    importance = IMPORTANCES[name](encoder.train(), data)
    assert importance.shape == (len(SEQUENCES), MAXLEN)
    assert importance.dtype == torch.float32
    for row in data.trainable.tolist():
        expected = SLOW[name](encoder, SEQUENCES[row])
        assert importance[row].tolist() == pytest.approx(expected + [0.0] * (MAXLEN - len(expected)), abs=1e-4)


@pytest.mark.parametrize("name", IMPORTANCES)
def test_importances_sum_to_one_over_the_inputs_of_a_training_batch(
    name: str, encoder: Transformer, random_data: MakeData
) -> None:
    data = random_data(users=40, n_items=10, maxlen=MAXLEN)
    importance = IMPORTANCES[name](encoder, data)[data.trainable]
    inputs = data.batch(data.trainable).inputs
    assert (importance >= 0).all()
    assert (importance[~inputs.mask()] == 0).all()
    assert torch.allclose(importance.sum(1), torch.ones(len(importance)), atol=1e-5)
    assert importance.std(0).min() > 0.01, "they differ between sequences"


def test_the_two_importances_are_not_the_same(encoder: Transformer, data: TrainingData) -> None:
    assert not torch.allclose(saliency(encoder, data)[1:3], occlusion(encoder, data)[1:3], atol=1e-2)


@pytest.mark.parametrize("name", IMPORTANCES)
def test_without_any_importance_all_items_count_alike(name: str, encoder: Transformer, data: TrainingData) -> None:
    encoder.items.weight.data.zero_()
    importance = IMPORTANCES[name](encoder, data)
    for row in data.trainable.tolist():
        n = min(len(SEQUENCES[row]) - 1, MAXLEN)
        assert importance[row].tolist() == pytest.approx([1 / n] * n + [0.0] * (MAXLEN - n))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", IMPORTANCES)
def test_explaining_leaves_the_encoder_unchanged(
    name: str, training: bool, encoder: Transformer, data: TrainingData
) -> None:
    encoder.train(training)
    before, state = copy.deepcopy(encoder.state_dict()), torch.get_rng_state()
    importance = IMPORTANCES[name](encoder, data)
    assert all(module.training == training for module in encoder.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in encoder.parameters())
    assert not importance.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state), "no draw of training's dropout is used up"
