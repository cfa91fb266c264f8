"""Pretraining: the dual encoder against a loop over its batch, Barlow Twins against its parts."""

from __future__ import annotations

from collections.abc import Callable

import torch

from baselines import regularizers, views
from baselines.pretraining import DualEncoder, RandomViews
from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from baselines.transformer import Transformer

MakeData = Callable[..., TrainingData]


def encoder_of(data: TrainingData) -> Transformer:
    torch.manual_seed(0)
    return Transformer(data.n_items, EncoderSettings(width=8, dropout=0.0, maxlen=data.maxlen)).train()


def slow_dual_encoder(method: DualEncoder, encoder: Transformer, sequences: list[list[int]]) -> torch.Tensor:
    """Softmax of each row's target against the different targets of the batch, one row at a time."""
    targets = [sequence[-1] for sequence in sequences]
    share = {item: targets.count(item) / len(targets) for item in targets}
    losses = []
    for sequence, target in zip(sequences, targets, strict=True):
        inputs = torch.tensor([sequence[:-1]])
        z = encoder.last(views.Batch(inputs, torch.tensor([inputs.shape[1]])))[0]

        def corrected(item: int, z: torch.Tensor = z) -> torch.Tensor:
            vector = encoder.items.weight[item] @ method.tower.weight.T + method.tower.bias
            return torch.exp(z @ vector / method.settings.temperature) / share[item]

        others = sum(corrected(item) for item in targets if item != target)
        losses.append(-torch.log(corrected(target) / (corrected(target) + others)))
    return torch.stack(losses).mean()


def test_the_dual_encoder_equals_a_loop_over_its_batch(make_data: MakeData) -> None:
    sequences = [[1, 2, 3], [0, 4, 2, 5], [2, 1, 3], [4, 0]]  # two end in item 3
    data = make_data(sequences, 6)
    encoder, method = encoder_of(data), DualEncoder(DualEncoder.Settings(temperature=0.5))
    method.build(8)
    method.prepare(data)
    terms = method.loss(encoder, data.batch(data.trainable), torch.Generator().manual_seed(0))
    assert torch.allclose(terms["in-batch"], slow_dual_encoder(method, encoder, sequences), atol=1e-5)


def test_an_item_that_is_often_a_target_is_not_favoured_for_it(make_data: MakeData) -> None:
    """Where every item scores alike, the corrected softmax is the reciprocal of the share of targets."""
    data = make_data([[1, 2], [0, 2], [3, 2], [1, 4]], 5)
    encoder, method = encoder_of(data), DualEncoder(DualEncoder.Settings())
    tower = method.build(8)
    method.prepare(data)
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.zero_()
    loss = method.loss(encoder, data.batch(data.trainable), torch.Generator())["in-batch"]
    often, seldom = 4 / 3, 4.0
    expected = (
        -(3 * torch.tensor(often / (often + seldom)).log() + torch.tensor(seldom / (seldom + 3 * often)).log()) / 4
    )
    assert torch.allclose(loss, expected)


def test_pretraining_on_views_is_barlow_twins_of_two_random_views(random_data: MakeData) -> None:
    data = random_data()
    encoder, method, batch = encoder_of(data), RandomViews(RandomViews.Settings()), data.batch(data.trainable)
    terms = method.loss(encoder, batch, torch.Generator().manual_seed(3))
    first, second = views.two_random_views(batch.inputs, data, method.settings.shares, torch.Generator().manual_seed(3))
    expected = regularizers.barlow_twins(encoder.last(first), encoder.last(second), 0.05)
    assert terms.keys() == {"barlow-twins"}
    assert torch.allclose(terms["barlow-twins"], expected, atol=1e-6)
