"""The predictions to make for each test user, and the random draws between targets that are simultaneous."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from datasets.sequences import Sequences

TIE_SEED = 20251026
"""Seeds the draws, which depend on nothing else but the data: all methods and runs are tested on the same targets."""

Stage = Literal["validation", "test"]


@dataclass(frozen=True, eq=False)
class Cases:
    """C predictions to make.

    Without `draws` there is one case for each of the N test users. With K draws, equal ones share a case, so it is
    scored once. Neighbouring cases with equal histories also share their place in the flat array.
    """

    histories: Sequences  # the C inputs
    targets: Tensor  # (C,) int64, the item that comes next
    draws: np.ndarray | None = None  # (K, N) int64, each user's case in each draw
    mask_seen: bool = True  # whether to exclude the items of the history from the ranking

    def to(self, device: torch.device) -> Cases:
        return replace(self, histories=self.histories.to(device), targets=self.targets.to(device))

    def per_user(self, values: np.ndarray) -> np.ndarray:
        """Rearrange values per case (C, ...) to values per user: (N, K, ...), or (N, ...) without draws."""
        return values if self.draws is None else values[self.draws.T]


def ordered_cases(events: Sequences, stage: Stage) -> Cases:
    """Take each user's last event as test target, the one before it as validation target and the rest as history."""
    known = events.without_last(1) if stage == "validation" else events
    return Cases(histories=known.without_last(1), targets=known.final_items())


def redrawn_cases(events: Sequences, ties: np.ndarray, stage: Stage, seed: int) -> Cases:
    """Like `ordered_cases`, after shuffling all simultaneous events; `ties` (M,) is explained in `drawn_cases`."""
    groups = np.cumsum(~ties)  # (M,) the same number for all events of one user and time
    order = np.lexsort((np.random.default_rng(seed).random(len(groups)), groups))
    return ordered_cases(replace(events, items=events.items[torch.from_numpy(order)]), stage)


def drawn_cases(events: Sequences, ties: np.ndarray, stage: Stage, n_draws: int) -> Cases:
    """Draw both targets `n_draws` times from each user's simultaneous last events and return the distinct cases.

    `ties` (M,) bool says whether an event has the same user and time as the event before it. A draw takes the test
    target uniformly from the user's last simultaneous events, and the validation target likewise from what remains. All
    other events keep their order; the test history ends with the validation target.
    """
    # Places are indices into the flat array of M events.
    ends = (events.starts + events.lengths).numpy()  # (N,)
    tests, validations = _draw_targets(ends, ties, n_draws)  # (K, N) places

    # Number the distinct cases, short sequences first, so that a batch holds sequences of similar length. Draws that
    # swap both targets leave the same validation history: sorting by the unordered pair makes their cases neighbours.
    users, lengths = (np.broadcast_to(values, tests.shape) for values in (np.arange(len(ends)), events.lengths.numpy()))
    drawn = np.stack([lengths, users, np.minimum(tests, validations), np.maximum(tests, validations), validations])
    (_, users, *pair, validation), draws = np.unique(drawn.reshape(5, -1), axis=1, return_inverse=True)  # (C,) each
    test = pair[0] + pair[1] - validation

    # Concatenate the events of all cases. Within a case the targets come last, validation before test.
    chosen = events.select(torch.from_numpy(users))
    rows, places = (indices.numpy() for indices in chosen.positions())  # (T,), (T,)
    last = (places == test[rows]) * 2 + (places == validation[rows])
    order = np.lexsort((places, last, rows))
    offsets = np.concatenate([[0], np.cumsum(chosen.lengths.numpy())])
    cases = ordered_cases(Sequences.from_arrays(events.items.numpy()[places[order]], offsets), stage)

    histories = cases.histories
    if stage == "validation":
        first = np.flatnonzero(np.diff(np.stack([users, *pair]), prepend=-1).any(0))  # first case of each history
        sizes = np.diff(first, append=len(users))
        histories = histories.select(torch.from_numpy(first.repeat(sizes)))
    return Cases(histories, cases.targets, draws.reshape(tests.shape))


def _draw_targets(ends: np.ndarray, ties: np.ndarray, n_draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the places of the test and validation targets, (K, N) each; a user's events end before `ends` (N,)."""
    # begins[m] is the place of the first event that is simultaneous with event m.
    begins = np.maximum.accumulate(np.where(ties, 0, np.arange(len(ties))))  # (M,)
    uniform = np.stack([np.random.default_rng([TIE_SEED, k]).random((2, len(ends))) for k in range(n_draws)])
    begin = begins[ends - 1]
    test = begin + (uniform[:, 0] * (ends - begin)).astype(np.int64)
    # One event fewer remains. If the test target was not the last event, it leaves a gap to step over.
    begin = begins[ends - 2]
    validation = begin + (uniform[:, 1] * (ends - 1 - begin)).astype(np.int64)
    return test, validation + (validation >= test)
