"""Other ways to the same numbers, measured beside the chosen ones; the suite itself goes none of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.btsr import BTSR
from baselines.encoder import CausalAttention, Encoder
from baselines.method import Terms
from baselines.training_data import TrainBatch
from benchmark.bench import contenders
from benchmark.bench.race import Contender, Lap, Line, Process, Track
from benchmark.bench.workloads import Recipe, TrainingLoad
from datasets.sequences import Batch

# --- attention --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def builtin_attention() -> Iterator[None]:
    """Every encoder attends by torch's scaled_dot_product_attention, as it else does on a GPU alone."""
    chosen = CausalAttention._attend
    CausalAttention._attend = _attend_builtin  # type: ignore[assignment]
    try:
        yield
    finally:
        CausalAttention._attend = chosen  # type: ignore[method-assign]


def _attend_builtin(attention: CausalAttention, q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None) -> Tensor:
    q, k, v = (x.unflatten(2, (attention.heads, -1)).transpose(1, 2) for x in (q, k, v))
    places = torch.arange(k.shape[2], device=k.device)
    real = None if lengths is None else (places < lengths[:, None])[:, None, None]
    p = attention.dropout.p if attention.training else 0.0
    return F.scaled_dot_product_attention(q, k, v, real, p, is_causal=real is None).transpose(1, 2).flatten(2)


def train_builtin(load: TrainingLoad, recipe: Recipe, skipped: int, device: torch.device, lap: Lap) -> None:
    """The laps of `contenders.train_ours` with `builtin_attention`."""
    with builtin_attention():
        contenders.train_ours(load, recipe, skipped, device, lap)


# --- twins ------------------------------------------------------------------------------------------------------------


class ConcatenatedBTSR(BTSR):
    """BT-SR with anchors and views in one forward, which computes every position of both."""

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        """As of BTSR, with alpha > 0 and every anchor kept."""
        inputs, settings = batch.inputs, self.settings
        states, z = encoder(Batch.concatenate([inputs, self.view(batch, rng)], batch.data.pad_id))
        z_a, z_b = z.chunk(2)
        anchors = states[: len(inputs.positions[0])]
        next_item = settings.objective(anchors, batch, encoder.item_table, rng)
        return {"next-item": next_item, "barlow-twins": settings.alpha * self.regularizer(z_a, z_b)}


def train_concatenated(load: TrainingLoad, recipe: Recipe, skipped: int, device: torch.device, lap: Lap) -> None:
    """The laps of `contenders.train_ours` with `ConcatenatedBTSR`."""
    contenders.train_method(ConcatenatedBTSR(recipe.settings), load, recipe, skipped, device, lap)


# --- processes and threads --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Team:
    """`copies` of a contender at work at the same time, on `threads` each; a lap of theirs ends with the last one's."""

    name: str
    contender: Contender
    copies: int
    threads: int

    @property
    def amount(self) -> float:
        """Of all together."""
        return self.copies * self.contender.amount

    @property
    def needs_bytes(self) -> int:
        """Of all together."""
        return self.copies * self.contender.needs_bytes

    def launch(self, track: Track) -> tuple[Process, Line]:
        """Start all."""
        started = [self.contender.launch(replace(track, threads=self.threads)) for _ in range(self.copies)]
        return _Processes([process for process, _ in started]), _Lines([line for _, line in started])


@dataclass(frozen=True)
class _Processes:
    processes: Sequence[Process]

    @property
    def exitcode(self) -> int | None:
        return next((process.exitcode for process in self.processes if process.exitcode is not None), None)

    def kill(self) -> None:
        for process in self.processes:
            process.kill()

    def join(self) -> None:
        for process in self.processes:
            process.join()


@dataclass(frozen=True)
class _Lines:
    lines: Sequence[Line]

    def send(self, word: str) -> None:
        for line in self.lines:
            with contextlib.suppress(OSError):  # the answer will be missing, too
                line.send(word)

    def recv(self) -> Any:
        try:
            answers = [line.recv() for line in self.lines]
        except (EOFError, OSError):
            return "one of its processes died"
        if errors := [answer for answer in answers if isinstance(answer, str)]:
            return errors[0]
        if all(isinstance(answer, float) for answer in answers):
            return max(answers)
        return tuple(map(sum, zip(*answers, strict=True)))

    def close(self) -> None:
        for line in self.lines:
            line.close()
