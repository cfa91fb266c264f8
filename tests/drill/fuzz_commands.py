"""What is fuzzed of whole commands: `main`, from words to exit code, with files to name but without training."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from benchmark.cli.main import main
from benchmark.paper.claims import CLAIMS
from benchmark.store.atomic_files import StoreError
from tests.drill.fuzz_words import FITTING, FLAGS, WORDS, edited

ROWS = "\n".join(["userid,itemid,timestamp", *(f"u{n // 6 % 30},i{n * n % 11},{n}" for n in range(300)), ""])
LISTS = "\n".join(["userid,itemid,rank", *(f"u{n},i{rank},{rank + 1}" for n in range(30) for rank in (0, 1)), ""])
SAID = "run_all.py: "

FIRST = (["--interactions", "mine.csv"],) * 9 + (["--dataset", "ml-1m"], ["--dataset", "all"], [])
FITTING_WORDS = {
    "--methods": ("btsr", "popularity,sasrec-ce", "two-stage"),
    "--seeds": ("0-4", "7"),
    "--experiments": ("main", "alpha,lambda", "tune"),
    "--claim": tuple(CLAIMS),
    "--stages": ("prepare", "train,report", "report"),
    "--protocol": ("released", "text"),
    "--hparams": ("equal", "released", "tuned"),
    "--profile": ("quick", "paper"),
    "--engine": ("inline", "local", "ray"),
    "--workers": ("2", "64"),
    "--device": ("cpu", "auto"),
    "--time-budget": ("150m", "6h"),
    "--overwrite": ("never", "failed", "all"),
    "--external": ("lists.csv", "Mine=lists.csv"),
    "--import": ("runs.tar.gz", "mine.csv"),
    "--export": ("x.tar.gz", "."),
    "--export-split": ("split", "mine.csv"),
    "--set": tuple(f"{key}={value}" for key, value in FITTING.items()),
    "--compare": ("other\x1fout/results", "other\x1fother"),
    "--recompute": (),
    "--no-download": (),
}


class Commands:
    """A command that fits, mostly with something changed; what it writes goes to a directory that is new each time."""

    name, place, inputs = "commands", "", 2_000

    def __init__(self, folder: Path, archive: bytes, other: Path) -> None:
        folder.mkdir()
        self.folder, self.out = folder, folder / "out"
        (folder / "mine.csv").write_text(ROWS)
        (folder / "lists.csv").write_text(LISTS)
        (folder / "runs.tar.gz").write_bytes(archive)
        shutil.copytree(other, folder / "other")
        self.given = self._files()

    def make(self, rng: Random) -> bytes:
        """Flags with words that fit them, and often one that does not."""
        words = list(rng.choice(FIRST))
        for flag in rng.sample(list(FITTING_WORDS), rng.randrange(4)):
            words += [flag, *([rng.choice(FITTING_WORDS[flag])] if FITTING_WORDS[flag] else [])]
        words.append(rng.choice(("--dry-run", "--status")))
        if rng.random() < 0.25:
            words.insert(rng.randrange(len(words) + 1), rng.choice((*WORDS, *FLAGS)))
        elif rng.random() < 0.4:
            place = rng.randrange(len(words))
            words[place] = edited(rng, words[place])
        return "\x1f".join(words).encode("utf-8", "surrogatepass")

    def read(self, content: bytes) -> str:
        """What is printed; StoreError with the last line that was said where the command is refused."""
        words = [os.fsdecode(word) for word in content.replace(b"\0", b"").split(b"\x1f")]  # as a shell gives them
        shutil.rmtree(self.out, ignore_errors=True)
        where = ["--out-dir", "out", "--data-dir", "data", "--no-download", "--dry-run"]
        with contextlib.chdir(self.folder), _caught() as (printed, said):
            code = main([*where, *words])
        lines = _text(said).splitlines()
        if code and lines and lines[-1].startswith(SAID):
            raise StoreError(lines[-1])
        if code not in (0, 1):
            raise AssertionError(f"exit code {code} without a word; {lines}")
        return _text(printed)

    def check(self, content: bytes, result: str) -> str:
        """Whether there is a plan or a comparison that can be shown, and nothing was written but where it belongs."""
        if not result or not all(line.isprintable() for line in result.splitlines()):
            return f"printed {result!r:.300}"
        if self._files() != self.given:
            return f"wrote {sorted(self._files() ^ self.given)}"
        if trained := [path for path in self.out.rglob("record.json") if b"runs.tar.gz" not in content]:
            return f"trained {trained}"
        return ""

    def _files(self) -> set[Path]:
        return {path for path in self.folder.rglob("*") if not path.is_relative_to(self.out)}


@contextlib.contextmanager
def _caught() -> Iterator[tuple[io.TextIOWrapper, io.TextIOWrapper]]:
    """What is written on stdout and stderr, which encode as real ones do."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        yield printed, said


def _text(stream: Any) -> str:
    stream.flush()
    return re.sub("\r\n?", "\n", stream.buffer.getvalue().decode())
