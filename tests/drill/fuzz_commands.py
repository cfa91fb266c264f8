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

from benchmark.cli.commands import main as command
from benchmark.cli.main import main
from benchmark.paper.claims import CLAIMS
from benchmark.store.atomic_files import StoreError
from tests.drill.fuzz_words import FITTING, FLAGS, WORDS, edited

ROWS = "\n".join(["userid,itemid,timestamp", *(f"u{n // 6 % 30},i{n * n % 11},{n}" for n in range(300)), ""])
LISTS = "\n".join(["userid,itemid,rank", *(f"u{n},i{rank},{rank + 1}" for n in range(30) for rank in (0, 1)), ""])
SAID = ("run_all.py: ", "python -m benchmark")

FIRST = (["--interactions", "mine.csv"],) * 9 + (["--dataset", "ml-1m"], ["--dataset", "all"], [])
RULES: dict[str, tuple[str, ...]] = {
    "--protocol": ("released", "text", "leave-one-out", "sets"),
    "--hparams": ("equal", "released", "tuned"),
    "--profile": ("quick", "paper"),
    "--set": tuple(f"{key}={value}" for key, value in FITTING.items()),
}
RUNS: dict[str, tuple[str, ...]] = {
    "--methods": ("btsr", "popularity,sasrec-ce", "two-stage"),
    "--seeds": ("0-4", "7"),
    "--experiments": ("main", "alpha,lambda", "tune"),
}
WHERE: dict[str, tuple[str, ...]] = {
    "--claim": tuple(CLAIMS),
    "--stages": ("prepare", "train,report", "report"),
    "--engine": ("inline", "local", "ray"),
    "--workers": ("2", "64"),
    "--device": ("cpu", "auto"),
    "--time-budget": ("150m", "6h"),
    "--overwrite": ("never", "failed", "all"),
    "--no-download": (),
}
DATA = ["--out-dir", "out", "--data-dir", "data", "--no-download"]
FITTING_WORDS: dict[str, tuple[list[str], list[str], dict[str, tuple[str, ...]]]] = {
    "": ([*DATA, "--dry-run"], [], RULES | RUNS | WHERE),
    "status": (["--out-dir", "out"], [], RULES | RUNS),
    "export": (["--out-dir", "other", "--to", "out/x.tar.gz"], [], RULES | RUNS),
    "import": (["--out-dir", "out"], ["runs.tar.gz"], {}),
    "compare": ([], ["other", "other/results"], {}),
    "score": (DATA, ["lists.csv"], {"--protocol": RULES["--protocol"], "--set": RULES["--set"]}),
    "export-split": ([*DATA, "--to", "out/split"], [], {"--protocol": RULES["--protocol"], "--set": RULES["--set"]}),
    "recompute": (DATA, [], {"--protocol": RULES["--protocol"], "--set": RULES["--set"]}),
}
"""For each command, "" being run_all.py: words that say where it writes and stay as they are, words that it needs, and
options with words that fit them.
"""


class Commands:
    """A command that fits, mostly with something changed; what it writes goes to a directory that is new each time."""

    name, place, inputs = "commands", "", 2_000

    def __init__(self, folder: Path, archive: bytes, other: Path) -> None:
        folder.mkdir()
        self.folder, self.out = folder, folder / "out"
        (folder / "mine.csv").write_text(ROWS)
        (folder / "lists.csv").write_text(LISTS)
        (folder / "runs.tar.gz").write_bytes(archive)
        shutil.copytree(other, folder / "other" / "results")
        self.given = self._files()

    def make(self, rng: Random) -> bytes:
        """A command and options with words that fit them, and often one that does not."""
        name = rng.choice(["", "", *FITTING_WORDS])
        always, needed, fitting = FITTING_WORDS[name]
        words = [*needed, *(rng.choice(FIRST) if fitting or name == "recompute" else [])]
        for flag in rng.sample(list(fitting), min(len(fitting), rng.randrange(4))):
            words += [flag, *([rng.choice(fitting[flag])] if fitting[flag] else [])]
        if rng.random() < 0.25:
            words.insert(rng.randrange(len(words) + 1), rng.choice((*WORDS, *FLAGS)))
        elif words and rng.random() < 0.4:
            place = rng.randrange(len(words))
            words[place] = edited(rng, words[place])
        return "\x1f".join([name, *always, *words]).encode("utf-8", "surrogatepass")

    def read(self, content: bytes) -> str:
        """What is printed; StoreError with the last line that was said where the command is refused."""
        name, *words = [
            os.fsdecode(word) for word in content.replace(b"\0", b"").split(b"\x1f")
        ]  # as a shell gives them
        shutil.rmtree(self.out, ignore_errors=True)
        with contextlib.chdir(self.folder), _caught() as (printed, said):
            try:
                code = command([name, *words]) if name else main(words)
            except SystemExit as ended:  # --help
                code = int(str(ended.code))
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
        records = [path for path in self.out.rglob("record.json") if not content.startswith((b"import", b"score"))]
        if records:
            return f"trained {records}"
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
