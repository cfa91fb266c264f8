"""The usual way, to compare with: the same model and the same numbers, computed as sequential recommenders usually are.

Its rules:

1. Every sequence is padded to maxlen. A torch Dataset makes one user's row at a time, a DataLoader without worker
   processes stacks the rows (on the CPU that trains, worker processes only take its time).
2. The encoder computes every position, padding included, by `nn.MultiheadAttention` without weights returned; of the
   states of a twin, too, although only the last is used.
3. CE builds the logits of all B * L positions over the whole catalogue and calls `F.cross_entropy` with `ignore_index`.
4. Twins are found by scanning the final items of all sequences, once for each anchor.
5. Evaluation runs the model user by user and keeps a score matrix of all users on the host; then each user's row is
   masked and argsorted.

Within them it is as fast as we could make it: padding stands behind the items, so that attention needs no mask but
the causal one; rows, scans and masks are numpy, without a loop over items; the sort is the vectorised, unstable one,
done again only for users whose target ties; the optimiser (fused Adam), the regulariser, the number of threads and the
layout of the weights are those of the fast path. Loss, gradients and ranks agree with it (tests).
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
"""`inputs`, `targets` (B, maxlen) int64, padding last; `lengths` (B,); with twins `twins` (B, maxlen) and
`twin_lengths` (B,): the twins' items but the last."""


class NaiveEncoder(nn.Module):
    """The computation of `baselines.transformer` on padded rows; its `state_dict` fits here and the other way."""

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
        """(V, D) the vectors of the real items."""
        return self.items.weight[: self.n_items]

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        """`items` (B, maxlen), padding last, `lengths` (B,) -> the states of all positions, (B, maxlen, D)."""
        columns = torch.arange(items.shape[1], device=items.device)
        padding = (columns >= lengths[:, None])[:, :, None]
        places = (columns + (items.shape[1] - lengths)[:, None]).clamp_max(items.shape[1] - 1)
        x = self.items(items) * math.sqrt(self.settings.width) + self.positions(places)
        x = self.dropout(x).masked_fill(padding, 0.0)
        later = columns > columns[:, None]  # (L, L) what a position must not see; padding is always later
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
    """(B, maxlen, D) -> z (B, D), the state of each row's last item."""
    return states[torch.arange(len(states), device=states.device), lengths - 1]


class PaddedUsers(Dataset[PaddedBatch]):
    """The named rows (n,) of the training data, one padded row at a time."""

    def __init__(self, data: TrainingData, rows: Tensor, with_twins: bool, seed: int = 0) -> None:
        self.users = [data.sequences[row].numpy() for row in range(len(data.sequences))]
        self.rows, self.with_twins = rows.tolist(), with_twins
        self.maxlen, self.pad_id = data.maxlen, data.pad_id
        self.random = np.random.default_rng(seed)
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


def loader(data: TrainingData, rows: Tensor, with_twins: bool, batch_size: int, seed: int = 0) -> DataLoader:
    """PaddedBatches of the named rows (n,) in random order."""
    users = PaddedUsers(data, rows, with_twins, seed)
    return DataLoader(users, batch_size, shuffle=True, generator=torch.Generator().manual_seed(seed))


def loss(encoder: NaiveEncoder, batch: PaddedBatch, alpha: float = 0.0, lambd: float = 0.0) -> Tensor:
    """L_pred, plus alpha times L_BT where the batch has twins; a scalar."""
    states = encoder(batch["inputs"], batch["lengths"])  # (B, L, D)
    logits = states.flatten(0, 1) @ encoder.item_table.T  # (B * L, V)
    next_item = F.cross_entropy(logits, batch["targets"].flatten(), ignore_index=encoder.n_items)
    if "twins" not in batch:
        return next_item
    z_a = last_states(states, batch["lengths"])
    z_b = last_states(encoder(batch["twins"], batch["twin_lengths"]), batch["twin_lengths"])
    return next_item + alpha * barlow_twins(z_a, z_b, lambd)


def final_items(data: TrainingData) -> np.ndarray:
    """(n,) the final item of each sequence; of one that is too short to train on a number that no other has."""
    final, lengths = data.sequences.final_items().numpy(), data.sequences.lengths.numpy()
    return np.where(lengths >= 2, final, data.n_items + np.arange(len(final)))


def scan_twins(final: np.ndarray, anchor: int) -> np.ndarray:
    """All other sequences that end as `anchor` does, ascending; `final` (n,) is read from one end to the other."""
    same = np.flatnonzero(final == final[anchor])
    return same[same != anchor]


def list_twins(final: np.ndarray) -> list[np.ndarray]:
    """The twins of each of n sequences; O(n * n) time, and memory for every pair."""
    return [scan_twins(final, anchor) for anchor in range(len(final))]


@torch.inference_mode()
def score_matrix(encoder: NaiveEncoder, histories: Sequences, users_at_once: int = 1) -> np.ndarray:
    """The scores of all N users on the host, (N, V) float32; the last `maxlen` items of a history count."""
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
    """Rank of each user's target, (N,) int32 as in `benchmark.runs.evaluation.Ranking`; overwrites `scores` (N, V)."""
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
