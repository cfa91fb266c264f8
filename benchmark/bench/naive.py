"""The usual way, as a baseline for speed: the same model and numbers, computed as most sequential recommenders do.

Its rules:

1. Every sequence is padded to maxlen. A torch Dataset returns one user's row at a time, and a DataLoader without worker
   processes stacks the rows. (On the CPU that trains, workers would only take time from it.)
2. The encoder computes every position, padding included, by `nn.MultiheadAttention` without returning the weights. It
   does so for twins too, although only their last state is used.
3. CE builds the logits of all B * L positions over the whole catalogue and calls `F.cross_entropy` with `ignore_index`.
4. Twins are found by scanning the final items of all sequences for each anchor.
5. Evaluation runs the model one user at a time, collects the scores of all users in a matrix on the host, and masks and
   argsorts each row.

Within these rules it is as fast as we could make it. Padding comes after the items, so attention needs only the causal
mask. Rows, scans and masks use numpy without a loop over items. The sort is the vectorised, unstable one, repeated
stably only for users whose target ties. The optimiser (fused Adam), the regulariser, the number of threads and the
layout of the weights are ours. Tests check that loss, gradients and ranks agree with ours.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from baselines.regularizers import barlow_twins
from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from baselines.transformer import NORM_EPS
from datasets.cases import Cases
from datasets.sequences import Sequences

PaddedBatch = dict[str, Tensor]
"""`inputs`, `targets` (B, maxlen) int64, padding last; `lengths` (B,). With twins also `twins` (B, maxlen), the twins'
items except the last, and `twin_lengths` (B,)."""


class NaiveEncoder(nn.Module):
    """`baselines.transformer.Transformer` on padded rows; each can load the other's `state_dict`."""

    def __init__(self, n_items: int, settings: EncoderSettings) -> None:
        super().__init__()
        self.n_items, self.settings = n_items, settings
        self.items = nn.Embedding(n_items + 2, settings.width)
        self.positions = nn.Embedding(settings.maxlen, settings.width)
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(_Block(settings) for _ in range(settings.blocks))
        self.norm = nn.LayerNorm(settings.width, eps=NORM_EPS)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    @property
    def item_table(self) -> Tensor:
        """The vectors of the V items, (V, D), without padding and mask."""
        return self.items.weight[: self.n_items]

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        """Encode `items` (B, maxlen), padding last, with `lengths` (B,): the states of all positions (B, maxlen, D)."""
        columns = torch.arange(items.shape[1], device=items.device)
        padding = (columns >= lengths[:, None])[:, :, None]
        places = (columns + (items.shape[1] - lengths)[:, None]).clamp_max(items.shape[1] - 1)
        x = self.items(items) * math.sqrt(self.settings.width) + self.positions(places)
        x = self.dropout(x).masked_fill(padding, 0.0)
        later = columns > columns[:, None]  # (L, L) what a position must not see; padding always comes later
        for block in self.blocks:
            x = block(x, later).masked_fill(padding, 0.0)
        return self.norm(x)


class _Block(nn.Module):
    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.attention_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.attention = nn.MultiheadAttention(width, settings.heads, dropout, batch_first=True)
        self.ffn_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.ffn = nn.Sequential(
            nn.Linear(width, width), nn.Dropout(dropout), nn.ReLU(), nn.Linear(width, width), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor, later: Tensor) -> Tensor:
        q = self.attention_norm(x)
        attended, _ = self.attention(q, x, x, attn_mask=later, need_weights=False, is_causal=True)
        x = self.ffn_norm(q + attended)
        return x + self.ffn(x)


def last_states(states: Tensor, lengths: Tensor) -> Tensor:
    """Select the state of each row's last item: (B, maxlen, D) -> z (B, D)."""
    return states[torch.arange(len(states), device=states.device), lengths - 1]


class PaddedUsers(Dataset[PaddedBatch]):
    """A dataset of the rows (n,) of the training data, each padded to maxlen."""

    def __init__(self, data: TrainingData, rows: Tensor, with_twins: bool) -> None:
        self.users = [data.sequences[row].numpy() for row in range(len(data.sequences))]
        self.rows, self.with_twins = rows.tolist(), with_twins
        self.maxlen, self.pad_id = data.maxlen, data.pad_id
        self.random = np.random.default_rng(0)
        self.final_items = final_items(data)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> PaddedBatch:
        row = self.rows[i]
        items = self.users[row][-self.maxlen - 1 :]
        inputs, targets = self._padded(items[:-1]), self._padded(items[1:])
        sample = {"inputs": inputs, "targets": targets, "lengths": torch.tensor(len(items) - 1)}
        if self.with_twins:
            twins = scan_twins(self.final_items, row)
            twin = self.users[self.random.choice(twins) if len(twins) else row][:-1][-self.maxlen :]
            sample |= {"twins": self._padded(twin), "twin_lengths": torch.tensor(len(twin))}
        return sample

    def _padded(self, items: np.ndarray) -> Tensor:
        return torch.from_numpy(np.pad(items, (0, self.maxlen - len(items)), constant_values=self.pad_id))


def loader(data: TrainingData, rows: Tensor, with_twins: bool, batch_size: int) -> DataLoader:
    """Load the rows (n,) as PaddedBatches in random order."""
    users = PaddedUsers(data, rows, with_twins)
    return DataLoader(users, batch_size, shuffle=True, generator=torch.Generator().manual_seed(0))


def loss(encoder: NaiveEncoder, batch: PaddedBatch, alpha: float = 0.0, lambd: float = 0.0) -> Tensor:
    """Compute L_pred, plus alpha * L_BT if the batch has twins; a scalar."""
    states = encoder(batch["inputs"], batch["lengths"])  # (B, L, D)
    logits = states.flatten(0, 1) @ encoder.item_table.T  # (B * L, V)
    next_item = F.cross_entropy(logits, batch["targets"].flatten(), ignore_index=encoder.n_items)
    if "twins" not in batch:
        return next_item
    z_a = last_states(states, batch["lengths"])
    z_b = last_states(encoder(batch["twins"], batch["twin_lengths"]), batch["twin_lengths"])
    return next_item + alpha * barlow_twins(z_a, z_b, lambd)


def final_items(data: TrainingData) -> np.ndarray:
    """Return the final item of each sequence, (n,), or a unique number if it is too short to train on."""
    final, lengths = data.sequences.final_items().numpy(), data.sequences.lengths.numpy()
    return np.where(lengths >= 2, final, data.n_items + np.arange(len(final)))


def scan_twins(final: np.ndarray, anchor: int) -> np.ndarray:
    """Find the other sequences with the final item of `anchor`, ascending, by a scan of all final items, (n,)."""
    same = np.flatnonzero(final == final[anchor])
    return same[same != anchor]


def list_twins(final: np.ndarray) -> list[np.ndarray]:
    """Find the twins of each of n sequences, in O(n * n) time and with memory for every pair."""
    return [scan_twins(final, anchor) for anchor in range(len(final))]


@torch.inference_mode()
def score_matrix(encoder: NaiveEncoder, histories: Sequences, users_at_once: int) -> np.ndarray:
    """Score all items for all N users: (N, V) float32 on the host, from the last `maxlen` items of each history."""
    maxlen, n_items = encoder.settings.maxlen, encoder.n_items
    device = encoder.items.weight.device
    scores = np.empty((len(histories), n_items), dtype=np.float32)
    for first in range(0, len(histories), users_at_once):
        users = [histories[row][-maxlen:] for row in range(first, min(first + users_at_once, len(histories)))]
        lengths = torch.tensor([len(user) for user in users])
        items = torch.stack([F.pad(user, (0, maxlen - len(user)), value=n_items) for user in users])
        z = last_states(encoder(items.to(device), lengths.to(device)), lengths.to(device))
        scores[first : first + len(users)] = (z @ encoder.item_table.T).cpu().numpy()
    return scores


def ranks(scores: np.ndarray, cases: Cases) -> np.ndarray:
    """Rank each user's target, (N,) int32 as in `benchmark.runs.evaluation.Ranking`; overwrites `scores` (N, V)."""
    found = np.zeros(len(scores), dtype=np.int32)
    for user, target in enumerate(cases.targets.tolist()):
        row = scores[user]
        row[cases.histories[user].numpy()] = -np.inf
        if row[target] == -np.inf:
            continue
        tied = np.count_nonzero(row == row[target]) > 1
        order = np.argsort(-row, kind="stable" if tied else None)
        found[user] = 1 + np.flatnonzero(order == target)[0]
    return found
