"""What is fuzzed of words: `--set`, configuration files, whole command lines, names of other people's files."""

from __future__ import annotations

import io
import math
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from random import Random
from typing import Any, get_args, get_origin, get_type_hints

from baselines.registry import METHODS
from benchmark.cli.main import parse
from benchmark.plan import config
from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.run_spec import RunSpec
from benchmark.runs.external import External
from benchmark.store.json_text import to_json
from benchmark.store.schema import NAME
from datasets.protocol import Protocol
from tests.drill.fuzz_mutations import BYTES, LINES, mutated

KEYS = (
    *(f"training.{key}" for key in ("epochs", "batch_size", "learning_rate", "betas", "noise", "patience", "x", "")),
    *(f"encoder.{key}" for key in ("width", "heads", "dropout", "maxlen", "blocks", "bias")),
    *(f"protocol.{key}" for key in ("quantile", "ties", "filter", "history", "min_events", "preset")),
    *(f"btsr.{key}" for key in ("alpha", "lambd", "view", "normalise", "no_twin", "projector_layers", "objective")),
    *re.findall(
        r"\S+", "sasrec-sce.objective.buckets sasrec-sce.objective sasrec.objective.negatives duorec.mode x.y ."
    ),
    "",
)
VALUES = (
    *re.findall(
        r"\S+", "1 0 -1 3.5 1e-3 1e400 nan inf -inf true none core sum mask 2026-01-01 [1] [] {} 'x' 0x10 1_000"
    ),
    *("[0.9, 0.99]", "{a = 1}", "1 # one", "1\nvalue = 2", "=", " 5 ", "shuffle:1", "shuffle:" + "9" * 30),
    *("9" * 5000, "[" * 3000, "{a=" * 200, "x" * 500, "\ud800", "\x00", "\x1b[2J", "é"),
)
WORDS = (
    *re.findall(
        r"\S+", "ml-1m synthetic all gowalla,yelp nowhere , ../x <script> 0 0-4 4-0 0-99999 1e9 -1 150m 1e400h inf"
    ),
    *re.findall(
        r"\S+", "btsr sasrec-ce main text training.epochs=3 x.y=1 mine.csv Mine=mine.csv = -- -h- quick local cpu"
    ),
    *("", "a\nb", "\udce9", "\u0661", "9" * 400, "x" * 3000),
)
FLAGS = re.findall(
    r"\S+",
    """--dataset --interactions --methods --seeds --claim --experiments --stages --protocol --hparams
    --profile --set --engine --workers --device --overwrite --time-budget --dry-run --status --export --nothing -x""",
)
FITTING = {
    "training.epochs": "7",
    "training.learning_rate": "0.01",
    "training.betas": "[0.8, 0.9]",
    "encoder.dropout": "0.25",
    "encoder.width": "32",
    "protocol.quantile": "0.9",
    "protocol.ties": "shuffle:7",
    "btsr.alpha": "0.3",
    "btsr.view": "mask",
    "btsr.normalise": "sum",
    "sasrec-sce.objective.buckets": "100",
    "duorec.mode": "us",
}
LETTERS = "aZ09 ._-=/\\%&<>'\"\n\t\x00\x1béß漢\u202e\ud800\U0001f600"


class Assignments:
    """`--set`: what is accepted gives a configuration whose every number is in its range."""

    name, place, inputs = "--set", "", 8_000

    def make(self, rng: Random) -> bytes:
        """KEY=VALUE, of keys that there are and values that may not be."""
        key, value = rng.choice(KEYS), rng.choice(VALUES)
        if rng.random() < 0.6:
            key, value = rng.choice(list(FITTING.items()))
        text = f"{key}={value}"
        for _ in range(rng.randrange(3)):
            text = edited(rng, text)
        return text.encode("utf-8", "surrogatepass")

    def read(self, content: bytes) -> tuple[str, list[RunSpec]]:
        """The runs of every method under this assignment."""
        text = content.decode("utf-8", "surrogatepass")
        configuration = Configuration("ml-1m", "equal", "paper", [text])
        protocol = configuration.protocol(Protocol())
        return configuration.profile, [
            configuration.spec(DatasetFacts("ML-1M", False, protocol, "f"), method, 0) for method in METHODS
        ]

    def check(self, content: bytes, result: tuple[str, list[RunSpec]]) -> str:
        """Whether all of it fits a record."""
        profile, specs = result
        if not NAME.fullmatch(profile):
            return f"profile {profile!r}"
        return next((problem for spec in specs for part in _parts(spec) for problem in _out_of_range(part)), "")


class Toml:
    """A configuration file."""

    name, place, inputs = "configuration files", "shared.toml", 3_000

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.content = folder, (config.CONFIGS / "shared.toml").read_bytes()

    def make(self, rng: Random) -> bytes:
        """The committed file with something changed."""
        content = self.content
        if rng.random() < 0.5:
            lines = content.split(b"\n")
            line = rng.choice([number for number, text in enumerate(lines) if b"=" in text])
            value = rng.choice(VALUES).encode("utf-8", "surrogatepass")
            lines[line] = lines[line].partition(b"=")[0] + b"= " + value
            content = b"\n".join(lines)
        return content if content != self.content and rng.random() < 0.7 else mutated(rng, content, (*BYTES, *LINES))

    def read(self, content: bytes) -> list[RunSpec]:
        """The runs of every method by this file."""
        (self.folder / "shared.toml").write_bytes(content)
        committed, config.CONFIGS = config.CONFIGS, self.folder
        try:
            configuration = Configuration("ml-1m", "equal", "paper")
            return [configuration.spec(DatasetFacts("ML-1M", False, Protocol(), "f"), method, 0) for method in METHODS]
        finally:
            config.CONFIGS = committed

    def check(self, content: bytes, result: list[RunSpec]) -> str:
        """Whether all of it fits a record, and the file is TOML."""
        tomllib.loads(content.decode().replace("\r\n", "\n").replace("\r", "\n"))
        return next((problem for spec in result for part in _parts(spec) for problem in _out_of_range(part)), "")


class CommandLines:
    """The words of a command line, as far as they can be judged without data."""

    name, place, inputs = "command lines", "", 6_000

    def make(self, rng: Random) -> bytes:
        """Flags and words in any order."""
        words = []
        for _ in range(rng.randrange(1, 5)):
            words.append(rng.choice(FLAGS))
            if rng.random() < 0.85:
                word = rng.choice(WORDS)
                words.append(edited(rng, word) if rng.random() < 0.3 else word)
        return "\x1f".join(words).encode("utf-8", "surrogatepass")

    def read(self, content: bytes) -> Any:
        """The options; None where help is asked for, as by `-h-`."""
        with suppress(SystemExit), redirect_stdout(io.StringIO()):
            return parse(content.decode("utf-8", "surrogatepass").split("\x1f"))
        return None

    def check(self, content: bytes, result: Any) -> str:
        """Whether the lists are of what there is."""
        if result is None:
            return ""
        seeds = result.seeds is None or all(0 <= seed < 10**6 for seed in result.seeds)
        return "" if seeds and result.stages and (result.workers or 1) > 0 else f"options {result}"[:300]


class Names:
    """Other people's names for their files, which become a method's name and a line of a table."""

    name, place, inputs = "names of recommendations", "", 8_000

    def make(self, rng: Random) -> bytes:
        """Any text, often with `=`."""
        letters = rng.choice((LETTERS, LETTERS[:20], "aZ09 ._-é"))
        text = "".join(rng.choice(letters) for _ in range(rng.choice((0, 1, 3, 10, 70, 400))))
        return (f"{text}=mine.csv" if rng.random() < 0.4 else text).encode("utf-8", "surrogatepass")

    def read(self, content: bytes) -> External:
        """What the command score takes it for."""
        return External.parse(content.decode("utf-8", "surrogatepass"))

    def check(self, content: bytes, result: External) -> str:
        """Whether it can be part of a path, and can be shown."""
        if not NAME.fullmatch(result.method) or not result.name.isprintable() or not result.file.isprintable():
            return f"{result}"
        to_json({"title": result.name, "file": result.file}).encode()
        return ""


def words_targets(folder: Path) -> Iterator[Any]:
    """One target for each kind of words, with `folder` to write in."""
    yield from (Assignments(), Toml(folder / "configs"), CommandLines(), Names())


def edited(rng: Random, text: str) -> str:
    """The text with something put in, left out or doubled."""
    place = rng.randrange(len(text) + 1)
    edits: tuple[Callable[[], str], ...] = (
        lambda: text[:place] + rng.choice(LETTERS) + text[place:],
        lambda: text[:place] + text[place + 1 :],
        lambda: text[:place] + str(rng.randrange(10**6)) + text[place:],
        lambda: text[:place] + text[place:] * 2,
    )
    return rng.choice(edits)()


def _parts(spec: RunSpec) -> tuple[Any, ...]:
    return spec.protocol, spec.encoder, spec.training, spec.settings


def _out_of_range(settings: Any) -> Iterator[str]:
    hints = get_type_hints(type(settings), include_extras=True)
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            yield from _out_of_range(value)
        elif any(not _fits(each, hints[field.name]) for each in (value if isinstance(value, tuple) else (value,))):
            yield f"{field.name} = {value}"


def _fits(value: Any, kind: Any) -> bool:
    """Whether a number lies within the bounds that its type, or the type of its tuple, declares."""
    while get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    base, bounds = get_args(kind)
    return type(value) is base and math.isfinite(value) and bounds.ge <= value <= bounds.le
