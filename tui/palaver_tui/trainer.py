"""Begin a training run as a process of its own, which goes on when the window is closed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from palaver.terminal import safe_line

LOG = "train.log"
DEFAULT_OUT, DEFAULT_TUNED = "checkpoint", "tuned"
BEGINNINGS = ("lm", "autoencoder", "seq2seq", "finetune", "resume")
"""What may follow `palaver train`, of what makes a run."""


@dataclass(frozen=True, slots=True)
class Child:
    """A run that this window has begun."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def failure(self) -> str:
        """The last sentences of its log, if it has ended with an error."""
        if not self.process.poll():
            return ""
        with contextlib.suppress(OSError):
            lines = (self.folder / LOG).read_text("utf-8", "replace").splitlines()
            at = max((at for at, line in enumerate(lines) if line.startswith("palaver: ")), default=-1)
            told = [one.removeprefix("palaver: ") for one in lines[at:][:3] if one.strip()]
            return safe_line(" ".join(told).replace("fix: ", "Fix: "), 400)
        return f"it ended with code {self.process.returncode}"


def folder_of(words: Sequence[str]) -> Path:
    """Where the run that these words begin keeps its checkpoints."""
    if words[:1] == ["resume"]:
        named = next((one for one in words[1:] if not one.startswith("-")), ".")
        return Path(named).expanduser().absolute()
    found = DEFAULT_TUNED if words[:1] == ["finetune"] else DEFAULT_OUT
    for at, word in enumerate(words):
        if word == "--out" and at + 1 < len(words):
            found = words[at + 1]
        elif word.startswith("--out="):
            found = word.partition("=")[2]
    return Path(found).expanduser().absolute()


def begin(words: Sequence[str]) -> Child:
    """Run `palaver train WORDS`; what it would say on a terminal is kept in its folder.

    Raises:
        OSError: the folder cannot be made, or the process not started.
    """
    folder = folder_of(words)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("ab") as log:
        log.write(f"$ palaver train {' '.join(words)}\n".encode())
        log.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "palaver", "train", *words],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "TERM": "dumb", "COLUMNS": "200"},
        )  # fmt: skip
    return Child(folder, process)
