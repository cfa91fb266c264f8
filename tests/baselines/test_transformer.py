from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from baselines.encoder import Dropout
from baselines.settings import EncoderSettings, Norm, Padding
from baselines.transformer import NORM_EPS, PostNormTransformer, Transformer, build
from datasets.sequences import Batch

N_ITEMS = 40
LENGTHS = {"full windows": [20] * 6, "padded": [1, 2, 3, 4, 5, 7, 9, 13, 20, 11], "short batch": [3, 1, 2], "one": [1]}


def make_encoder(
    heads: int = 1,
    dropout: float = 0.0,
    blocks: int = 2,
    maxlen: int = 20,
    padding: Padding = "masked",
    norm: Norm = "query",
) -> Transformer:
    """Return an encoder in float64 and evaluation mode, with biases and norms moved away from their neutral start."""
    torch.manual_seed(0)
    settings = EncoderSettings(16, blocks, heads, dropout, maxlen, padding, norm)
    encoder = build(N_ITEMS, settings)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return encoder.double().eval()


def make_batch(lengths: list[int], width: int | None = None, seed: int = 0, distinct: bool = False) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    items = torch.full((len(lengths), width or max(lengths)), N_ITEMS)
    for row, length in enumerate(lengths):
        drawn = torch.randint(N_ITEMS, (length,), generator=generator)
        items[row, :length] = torch.randperm(N_ITEMS, generator=generator)[:length] if distinct else drawn
    return Batch(items, torch.tensor(lengths))


def load_renamed(module: nn.Module, state: dict[str, Tensor], block: str, names: dict[str, str]) -> None:
    """Load the state of a block whose parameters have other names than the module's, given by their prefixes."""
    copied = {}
    for name in module.state_dict():
        prefix = next(prefix for prefix in names if name.startswith(prefix))
        copied[name] = state[block + names[prefix] + name.removeprefix(prefix)]
    module.load_state_dict(copied)


class PlainSASRec(nn.Module):
    """A second implementation of the encoder for one unpadded sequence, with PyTorch's own attention module."""

    def __init__(self, encoder: Transformer) -> None:
        super().__init__()
        self.settings = encoder.settings
        width, state = encoder.settings.width, encoder.state_dict()
        self.items, self.positions = state["items.weight"], state["positions.weight"]
        self.blocks = nn.ModuleList()
        for i in range(encoder.settings.blocks):
            attention = nn.MultiheadAttention(width, encoder.settings.heads, batch_first=True)
            layers = nn.ModuleDict(
                {
                    "norm1": nn.LayerNorm(width, eps=NORM_EPS),
                    "attention": attention,
                    "norm2": nn.LayerNorm(width, eps=NORM_EPS),
                    "in": nn.Linear(width, width),
                    "out": nn.Linear(width, width),
                }
            )
            names = {
                "norm1.": "attention_norm.",
                "attention.": "attention.",
                "norm2.": "ffn_norm.",
                "in.": "ffn.0.",
                "out.": "ffn.3.",
            }
            load_renamed(layers, state, f"blocks.{i}.", names)
            self.blocks.append(layers)
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.norm.load_state_dict({"weight": state["norm.weight"], "bias": state["norm.bias"]})

    def forward(self, sequence: Tensor) -> Tensor:
        length, width = len(sequence), self.settings.width
        x = self.items[sequence] * math.sqrt(width) + self.positions[self.settings.maxlen - length :]
        x = x[None]  # (1, L, D)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        for block in self.blocks:
            q = block["norm1"](x)
            x = q + block["attention"](q, x, x, attn_mask=future, need_weights=False)[0]
            x = block["norm2"](x)
            x = x + block["out"](torch.relu(block["in"](x)))
        return self.norm(x)[0]


class PaddedSASRec(PlainSASRec):
    """The same, but with zeroed items that fill the window and are attended to, as in the released code."""

    def forward(self, sequence: Tensor) -> Tensor:
        length, width, maxlen = len(sequence), self.settings.width, self.settings.maxlen
        padded = maxlen - length
        real = self.items[sequence] * math.sqrt(width) + self.positions[padded:]
        x = torch.cat([real.new_zeros(padded, width), real])[None]  # (1, maxlen, D)
        is_real = (torch.arange(maxlen) >= padded)[:, None]
        future = torch.ones(maxlen, maxlen, dtype=torch.bool).triu(1)
        for block in self.blocks:
            q = block["norm1"](x)
            x = q + block["attention"](q, x, x, attn_mask=future, need_weights=False)[0]
            x = block["norm2"](x)
            x = (x + block["out"](torch.relu(block["in"](x)))) * is_real
        return self.norm(x)[0, padded:]


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("lengths", [[1], [5], [30], [50], [1, 5, 30, 50, 7, 30]], ids=str)
def test_attended_padding_equals_a_padded_implementation(lengths: list[int], heads: int) -> None:
    encoder, batch = make_encoder(heads, maxlen=50, padding="attended"), make_batch(lengths)
    plain = PaddedSASRec(encoder).double()
    plain.items.requires_grad_()
    expected = [plain(sequence) for sequence in rows_of(batch)]
    states, z = encoder(batch)
    assert torch.allclose(states, torch.cat(expected), rtol=0, atol=1e-9)
    assert torch.allclose(z, torch.stack([rows[-1] for rows in expected]), rtol=0, atol=1e-9)
    assert torch.allclose(encoder.last(batch), z, rtol=0, atol=1e-9)
    single = make_encoder(heads, maxlen=50, padding="attended").float()(batch)[0]
    assert torch.allclose(single.double(), torch.cat(expected), rtol=1e-5, atol=1e-5)

    weights = torch.randn(states.shape, dtype=torch.float64, generator=torch.manual_seed(1))
    (states * weights).sum().backward()
    (torch.cat(expected) * weights).sum().backward()
    assert torch.allclose(encoder.items.weight.grad, plain.items.grad, atol=1e-8)
    for block, theirs in zip(encoder.blocks, plain.blocks, strict=True):
        assert torch.allclose(block.attention.in_proj_bias.grad, theirs["attention"].in_proj_bias.grad, atol=1e-8)


def test_padding_matters_only_where_there_is_some() -> None:
    attended, masked = make_encoder(maxlen=50, padding="attended"), make_encoder(maxlen=50)
    full, short = make_batch([50, 50]), make_batch([50, 49])
    assert torch.allclose(attended.last(full), masked.last(full), rtol=0, atol=1e-12)
    assert not torch.allclose(attended.last(short)[1], masked.last(short)[1], rtol=0, atol=1e-3)


class PlainPostNorm(nn.Module):
    """RecBole's variant for one unpadded sequence, with PyTorch's own encoder layers."""

    def __init__(self, encoder: Transformer) -> None:
        super().__init__()
        self.maxlen, state = encoder.settings.maxlen, encoder.state_dict()
        self.items, self.positions = state["items.weight"], state["positions.weight"]
        names = {
            "self_attn.": "attention.",
            "linear1.": "ffn.0.",
            "linear2.": "ffn.2.",
            "norm1.": "attention_norm.",
            "norm2.": "ffn_norm.",
        }
        self.layers = nn.ModuleList()
        for i in range(encoder.settings.blocks):
            width, heads = encoder.settings.width, encoder.settings.heads
            layer = nn.TransformerEncoderLayer(
                width, heads, 4 * width, 0.0, "gelu", NORM_EPS, batch_first=True, norm_first=False
            )
            load_renamed(layer, state, f"blocks.{i}.", names)
            self.layers.append(layer)
        self.norm = nn.LayerNorm(encoder.settings.width, eps=NORM_EPS)
        self.norm.load_state_dict({"weight": state["norm.weight"], "bias": state["norm.bias"]})

    def forward(self, sequence: Tensor) -> Tensor:
        length = len(sequence)
        x = self.norm(self.items[sequence] + self.positions[self.maxlen - length :])[None]  # (1, L, D)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        for layer in self.layers:
            x = layer(x, src_mask=future)
        return x[0]


def plain_of(encoder: Transformer) -> nn.Module:
    return PlainPostNorm(encoder) if isinstance(encoder, PostNormTransformer) else PlainSASRec(encoder)


def rows_of(batch: Batch) -> list[Tensor]:
    return [items[:length] for items, length in zip(batch.items, batch.lengths.tolist(), strict=True)]


@pytest.mark.parametrize("norm", ["query", "post"])
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_states_equal_a_plain_implementation(lengths: list[int], heads: int, norm: Norm) -> None:
    encoder, batch = make_encoder(heads, norm=norm), make_batch(lengths)
    plain = plain_of(encoder).double()
    states, z = encoder(batch)
    expected = [plain(sequence) for sequence in rows_of(batch)]
    assert torch.allclose(states, torch.cat(expected), rtol=0, atol=1e-10)
    assert torch.allclose(z, torch.stack([rows[-1] for rows in expected]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_states_equal_a_plain_implementation_in_single_precision(lengths: list[int]) -> None:
    encoder, batch = make_encoder().float(), make_batch(lengths)
    plain = PlainSASRec(encoder)
    states, _ = encoder(batch)
    expected = torch.cat([plain(sequence) for sequence in rows_of(batch)])
    assert torch.allclose(states, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm", ["query", "post"])
def test_gradients_equal_a_plain_implementation(norm: Norm) -> None:
    encoder, batch = make_encoder(heads=2, norm=norm), make_batch(LENGTHS["padded"])
    plain = plain_of(encoder).double()
    plain.items.requires_grad_()
    plain.positions.requires_grad_()
    weights = torch.randn(sum(LENGTHS["padded"]), 16, dtype=torch.float64, generator=torch.manual_seed(1))
    (encoder(batch)[0] * weights).sum().backward()
    (torch.cat([plain(sequence) for sequence in rows_of(batch)]) * weights).sum().backward()
    assert torch.allclose(encoder.items.weight.grad, plain.items.grad, atol=1e-9)
    assert torch.allclose(encoder.positions.weight.grad, plain.positions.grad, atol=1e-9)
    ours, theirs = encoder.blocks[0].attention.in_proj_weight, _first_attention(plain).in_proj_weight
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-9)
    assert torch.allclose(encoder.norm.weight.grad, plain.norm.weight.grad, atol=1e-9)


def _first_attention(plain: nn.Module) -> nn.MultiheadAttention:
    return next(module for module in plain.modules() if isinstance(module, nn.MultiheadAttention))


@pytest.mark.parametrize("norm", ["query", "post"])
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_last_gives_the_last_states_and_their_gradients(lengths: list[int], heads: int, norm: Norm) -> None:
    encoder, batch = make_encoder(heads, norm=norm), make_batch(lengths)
    gradients = []
    for z in (encoder(batch)[1], encoder.last(batch)):
        encoder.zero_grad()
        z.square().sum().backward()
        gradients.append({name: p.grad.clone() for name, p in encoder.named_parameters()})
        assert torch.allclose(z, encoder(batch)[1], rtol=0, atol=1e-10)
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-8), name


def test_one_block_has_a_last_state_too() -> None:
    encoder, batch = make_encoder(blocks=1), make_batch(LENGTHS["padded"])
    assert torch.allclose(encoder.last(batch), encoder(batch)[1], rtol=0, atol=1e-10)


def test_scores_are_dot_products_with_the_real_items_alone() -> None:
    encoder, batch = make_encoder(), make_batch(LENGTHS["padded"])
    scores = encoder.score(batch)
    assert scores.shape == (len(batch.lengths), N_ITEMS)
    assert encoder.items.num_embeddings == N_ITEMS + 2
    assert torch.allclose(scores, encoder(batch)[1] @ encoder.items.weight[:N_ITEMS].T)


@pytest.mark.parametrize("place", [0, 4, 8])
def test_a_state_does_not_depend_on_later_items(place: int) -> None:
    encoder, batch = make_encoder(), make_batch([9, 9])
    changed = batch.items.clone()
    changed[0, place:] = (changed[0, place:] + 1) % N_ITEMS
    before = encoder(batch)[0].view(2, 9, -1)
    after = encoder(Batch(changed, batch.lengths))[0].view(2, 9, -1)
    assert torch.equal(before[0, :place], after[0, :place])
    assert not torch.allclose(before[0, place:], after[0, place:])
    assert torch.equal(before[1], after[1]), "another row saw the change"


def test_no_gradient_reaches_later_items_or_padding() -> None:
    encoder, batch = make_encoder(), make_batch([8, 3], width=10, distinct=True)
    states, _ = encoder(batch)
    for t in range(8):
        (gradient,) = torch.autograd.grad(states[t].sum(), encoder.items.weight, retain_graph=True)
        touched = gradient.abs().sum(1) > 0
        assert set(touched.nonzero().flatten().tolist()) == set(batch.items[0, : t + 1].tolist())


def test_padding_ids_do_not_matter() -> None:
    encoder, batch = make_encoder(), make_batch(LENGTHS["padded"])
    other = torch.where(batch.mask(), batch.items, 7)
    assert torch.equal(encoder(batch)[0], encoder(Batch(other, batch.lengths))[0])
    assert torch.equal(encoder.last(batch), encoder.last(Batch(other, batch.lengths)))


def test_trimming_a_batch_changes_nothing() -> None:
    encoder = make_encoder()
    trimmed, untrimmed = make_batch([2, 5, 3]), make_batch([2, 5, 3], width=20)
    assert torch.allclose(encoder(trimmed)[0], encoder(untrimmed)[0], rtol=0, atol=1e-12)
    alone = encoder(make_batch([2]))[0]
    assert torch.allclose(encoder(trimmed)[0][:2], alone, rtol=0, atol=1e-12)


def test_positions_are_counted_from_the_right() -> None:
    encoder = make_encoder()
    encoder(make_batch([3]))[0].sum().backward()
    used = encoder.positions.weight.grad.abs().sum(1).nonzero().flatten()
    assert used.tolist() == [17, 18, 19]


def test_every_matrix_starts_xavier_uniform() -> None:
    torch.manual_seed(0)
    encoder = Transformer(300, EncoderSettings(width=32))
    for name, parameter in encoder.named_parameters():
        if parameter.dim() == 2:
            bound = math.sqrt(6 / sum(parameter.shape))
            assert 0.9 * bound < parameter.abs().max() <= bound, name
            assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1), name
    assert all(torch.equal(p, torch.ones_like(p)) for n, p in encoder.named_parameters() if n.endswith("norm.weight"))
    assert all(not block.attention.in_proj_bias.any() for block in encoder.blocks)


def test_the_matrices_of_the_post_norm_variant_start_normal() -> None:
    torch.manual_seed(0)
    encoder = build(300, EncoderSettings(width=32, norm="post"))
    for name, parameter in encoder.named_parameters():
        if parameter.dim() == 2:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name
        elif name.endswith("bias"):
            assert not parameter.any(), name


@pytest.mark.parametrize("heads", [1, 2])
def test_training_differs_from_evaluation_only_by_dropout(heads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, batch = make_encoder(heads, dropout=0.4), make_batch(LENGTHS["padded"])
    expected, _ = encoder(batch)
    encoder.train()
    assert not torch.allclose(encoder(batch)[0], encoder(batch)[0]), "two passes draw two masks"
    monkeypatch.setattr(Dropout, "forward", lambda layer, x: x)
    assert torch.allclose(encoder(batch)[0], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("norm", ["query", "post"])
def test_dropout_is_applied_in_all_places(norm: Norm, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, batch = make_encoder(dropout=0.4, norm=norm).train(), make_batch([4, 4])
    shapes = []

    def keep(layer: Dropout, x: Tensor) -> Tensor:
        shapes.append(tuple(x.shape))
        assert layer.p == 0.4
        return x

    monkeypatch.setattr(Dropout, "forward", keep)
    encoder(batch)
    # Attention weights, then inside the feed-forward part or after attention, and after the feed-forward part.
    block = [(2, 1, 4, 4), (8, 16), (8, 16)]
    assert shapes == [(8, 16), *block, *block]


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    layer, n = Dropout(p), 200_003
    y = layer(torch.ones(n))
    kept = y > 0
    deviation = math.sqrt(p * (1 - p) / n)
    assert abs(float((~kept).double().mean()) - p) < 5 * deviation + 2**-16
    assert y[kept].unique().tolist() == pytest.approx([1 / (1 - p)], rel=2e-4)
    neighbours = (kept[1:] == kept[:-1]).double().mean()
    assert float(neighbours) == pytest.approx(p**2 + (1 - p) ** 2, abs=0.01), "draws that share a word are independent"


def test_dropout_is_seeded_and_off_in_evaluation() -> None:
    layer, x = Dropout(0.5), torch.randn(5, 7)
    draws = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        draws.append(layer(x))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_dropout_passes_the_gradient_through_its_mask() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 3, requires_grad=True)
    y = Dropout(0.25)(x)
    y.sum().backward()
    assert torch.allclose(x.grad * x, y)
