"""GRU4Rec's encoder against its equations, computed sequence by sequence, and what every encoder has to keep."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.encoder import GRU
from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from datasets.sequences import Batch

N_ITEMS, WIDTH = 9, 6
ROWS = [[3, 1, 4, 1, 5], [8], [2, 6]]


def small(blocks: int) -> GRU:
    torch.manual_seed(0)
    encoder = GRU(N_ITEMS, EncoderSettings(width=WIDTH, blocks=blocks, dropout=0.4)).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return encoder


def padded(rows: list[list[int]], width: int, filler: int = N_ITEMS) -> Batch:
    items = [row + [filler] * (width - len(row)) for row in rows]
    return Batch(torch.tensor(items), torch.tensor([len(row) for row in rows]))


def slow_states(encoder: GRU, row: list[int]) -> list[Tensor]:
    """Hidasi et al., Eq. 1 to 4, but with the usual bias inside the reset gate's product."""
    inputs = [encoder.items.weight[item] * WIDTH**0.5 for item in row]
    for layer in range(encoder.settings.blocks):
        w, u, b, c = (
            getattr(encoder.gru, f"{name}_l{layer}").chunk(3)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        h, outputs = torch.zeros(WIDTH), []
        for x in inputs:
            reset = torch.sigmoid(w[0] @ x + b[0] + u[0] @ h + c[0])
            update = torch.sigmoid(w[1] @ x + b[1] + u[1] @ h + c[1])
            candidate = torch.tanh(w[2] @ x + b[2] + reset * (u[2] @ h + c[2]))
            h = (1 - update) * candidate + update * h
            outputs.append(h)
        inputs = outputs
    return inputs


@pytest.mark.parametrize("blocks", [1, 2])
def test_states_follow_the_equations(blocks: int) -> None:
    encoder = small(blocks)
    states, z = encoder(padded(ROWS, 5))
    expected = [slow_states(encoder, row) for row in ROWS]
    assert torch.allclose(states, torch.stack([state for row in expected for state in row]), atol=1e-5)
    assert torch.allclose(z, torch.stack([row[-1] for row in expected]), atol=1e-5)
    assert torch.equal(encoder.score(padded(ROWS, 5)), z @ encoder.items.weight[:N_ITEMS].T)


def test_padding_changes_no_state() -> None:
    encoder = small(2)
    states, z = encoder(padded(ROWS, 5))
    wider = encoder(padded(ROWS, 8, filler=7))
    assert torch.allclose(states, wider[0], atol=1e-6)
    assert torch.allclose(z, wider[1], atol=1e-6)


def test_the_gru_has_an_encoder_version_of_its_own() -> None:
    assert METHODS["gru4rec-ce"].method.encoder_version == METHODS["btsr-gru"].method.encoder_version == 1
    assert METHODS["sasrec-ce"].method.encoder_version == 2
