"""What is predicted for each test user, and the draws that decide between simultaneous last events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from datasets.sequences import Sequences

TIE_SEED = 20251026
"""The draws follow from this and from the data alone, so that all methods and runs are tested on the same ones."""

Stage = Literal["validation", "test"]


@dataclass(frozen=True, eq=False)
class Cases:
    """C predictions: `histories`, C sequences that the model may see, and `targets` (C,) int64, what comes next.

    Without `draws` there is one case for each of the N test users. With it, `draws` (K, N) int64 says which case each
    user has in each of K draws; draws that agree share a case, so that it is scored once. Cases that come one after
    the other and have the same place in the flat array as their history share that history. `mask_seen`: whether the
    items of a history are left out of its ranking.
    """

    histories: Sequences
    targets: Tensor
    draws: np.ndarray | None = None
    mask_seen: bool = True

    def to(self, device: torch.device) -> Cases:
        return replace(self, histories=self.histories.to(device), targets=self.targets.to(device))

    def per_user(self, values: np.ndarray) -> np.ndarray:
        """What was measured case by case, (C, ...), user by user: (N, K, ...), or (N, ...) where nothing was drawn."""
        return values if self.draws is None else values[self.draws.T]


def ordered_cases(events: Sequences, stage: Stage) -> Cases:
    """The last of a user's `events` is the test target, the one before it the validation target, the rest history."""
    known = events.without_last(1) if stage == "validation" else events
    return Cases(histories=known.without_last(1), targets=known.final_items())


def redrawn_cases(events: Sequences, ties: np.ndarray, stage: Stage, seed: int) -> Cases:
    """The same with all simultaneous events in a random order; `ties` (M,) as in `drawn_cases`."""
    groups = np.cumsum(~ties)  # (M,) events of one user and time have one number
    order = np.lexsort((np.random.default_rng(seed).random(len(groups)), groups))
    return ordered_cases(replace(events, items=events.items[torch.from_numpy(order)]), stage)


def drawn_cases(events: Sequences, ties: np.ndarray, stage: Stage, n_draws: int) -> Cases:
    """The distinct cases of `n_draws` draws of both targets from a user's simultaneous last events.

    `ties` (M,) bool: whether an event has the user and the time of the event before it. In each draw the test target is
    uniform among the user's last events that are simultaneous, the validation target uniform among those of what then
    remains. All other events keep their order; the test history ends in the validation target.
    """
    # Places are indices into the flat array of M events.
    ends = (events.starts + events.lengths).numpy()  # (N,)
    tests, validations = _draw_targets(ends, ties, n_draws)  # (K, N) places

    # Number the distinct cases, those of short sequences first, so that a batch holds sequences of like length. Draws
    # that swap the targets leave the same validation history: sorted by the unordered pair, their cases are neighbours.
    users, lengths = (np.broadcast_to(values, tests.shape) for values in (np.arange(len(ends)), events.lengths.numpy()))
    drawn = np.stack([lengths, users, np.minimum(tests, validations), np.maximum(tests, validations), validations])
    (_, users, *pair, validation), draws = np.unique(drawn.reshape(5, -1), axis=1, return_inverse=True)  # (C,) each
    test = pair[0] + pair[1] - validation

    # Write the events of each case one after the other: the others in their order, validation target, test target.
    chosen = events.select(torch.from_numpy(users))
    rows, places = (indices.numpy() for indices in chosen.positions())  # (T,), (T,)
    last = (places == test[rows]) * 2 + (places == validation[rows])
    order = np.lexsort((places, last, rows))
    offsets = np.concatenate([[0], np.cumsum(chosen.lengths.numpy())])
    cases = ordered_cases(Sequences.from_arrays(events.items.numpy()[places[order]], offsets), stage)

    histories = cases.histories
    if stage == "validation":
        first = np.flatnonzero(np.diff(np.stack([users, *pair]), prepend=-1).any(0))  # of the cases of each history
        sizes = np.diff(first, append=len(users))
        histories = histories.select(torch.from_numpy(first.repeat(sizes)))
    return Cases(histories, cases.targets, draws.reshape(tests.shape))


def _draw_targets(ends: np.ndarray, ties: np.ndarray, n_draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the test and the validation targets, (K, N) each, of users whose events end before `ends` (N,)."""
    # begins[m]: the place of the first event that is simultaneous with event m.
    begins = np.maximum.accumulate(np.where(ties, 0, np.arange(len(ties))))  # (M,)
    uniform = np.stack([np.random.default_rng([TIE_SEED, k]).random((2, len(ends))) for k in range(n_draws)])
    begin = begins[ends - 1]
    test = begin + (uniform[:, 0] * (ends - begin)).astype(np.int64)
    # What remains ends one place earlier; where the test target leaves a gap before that, step over it.
    begin = begins[ends - 2]
    validation = begin + (uniform[:, 1] * (ends - 1 - begin)).astype(np.int64)
    return test, validation + (validation >= test)
