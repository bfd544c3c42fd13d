"""A training run as its folder tells it: what has happened in metrics.jsonl, orders through control.json.

Nothing here trains, and no code of the trainer is imported: a run is a process of its own, begun by `palaver train`.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TUNED = "finetune.json"
"""What `palaver train finetune` writes beside the weights, at the end of all."""
METRICS, CONTROL, RUN, CHECKPOINT = "metrics.jsonl", "control.json", "run.json", "checkpoint.json"
KNOWN, MOST_KNOWN = "train-runs.json", 30
_TAIL = 64
"""Bytes before the place read up to that must be the same, or the file is another one by now."""
_SILENT = 60.0
"""Seconds after which a run that says nothing is called silent, at least."""
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One that is on the disk."""

    name: str
    step: int
    epoch: float | None
    validation_loss: float | None
    is_best: bool
    is_last: bool


@dataclass(frozen=True, slots=True)
class RunView:
    """What is known of a run now."""

    folder: Path
    begun: Values = field(default_factory=dict)
    last: Values = field(default_factory=dict)
    """The newest interval."""
    train: Sequence[tuple[int, float]] = ()
    """Step and loss."""
    valid: Sequence[tuple[int, float]] = ()
    alarm: Values = field(default_factory=dict)
    samples: Values = field(default_factory=dict)
    ended: Values = field(default_factory=dict)
    checkpoints: Sequence[Checkpoint] = ()
    is_paused: bool = False
    is_silent: bool = False
    """It has neither ended nor said anything for long: perhaps it was killed."""
    scale: float = 1.0
    """What the learning rate has been lowered to."""

    @property
    def is_running(self) -> bool:
        return bool(self.begun) and not self.ended and not self.is_silent

    @property
    def best(self) -> tuple[int, float] | None:
        """Step and lowest validation loss."""
        return min(self.valid, key=lambda one: one[1], default=None)


class RunReader:
    """Reads what is new in a run's metrics each time it is asked. For one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._forget()

    def _forget(self) -> None:
        self._at, self._tail = 0, b""
        self._seen: dict[str, Values] = {}
        self._train: list[tuple[int, float]] = []
        self._valid: list[tuple[int, float]] = []
        self._epochs: dict[int, float] = {}
        self._is_paused, self._scale, self._gap = False, 1.0, 0.0

    def read(self) -> RunView:
        """The run as it stands; an empty one where there is no file yet."""
        spoke = time.time()
        with contextlib.suppress(OSError), (self.folder / METRICS).open("rb") as file:
            spoke = os.fstat(file.fileno()).st_mtime
            file.seek(max(0, self._at - _TAIL))
            if file.read(self._at - max(0, self._at - _TAIL)) != self._tail:  # a run that was resumed writes it anew
                self._forget()
                file.seek(0)
            self._take(file.read())
        return RunView(
            self.folder,
            self._seen.get("begun", {}),
            self._seen.get("interval", {}),
            tuple(self._train),
            tuple(self._valid),
            self._alarm(),
            self._seen.get("sampled", {}),
            self._seen.get("ended", {}),
            tuple(self._checkpoints()),
            self._is_paused,
            not self._is_paused and time.time() - spoke > max(_SILENT, 5 * self._gap),
            self._scale,
        )

    def _take(self, content: bytes) -> None:
        whole = content[: content.rfind(b"\n") + 1]
        self._at += len(whole)
        self._tail = (self._tail + whole)[-_TAIL:]
        for line in whole.split(b"\n"):
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                self._happen(json.loads(line))

    def _happen(self, event: Values) -> None:
        name, step = str(event["event"]), int(event["step"])
        if name == "interval":
            before = self._seen.get("interval", {})
            self._gap = max(self._gap, float(event["seconds"]) - float(before.get("seconds", event["seconds"])))
            self._train.append((step, float(event["train_loss"])))
            self._epochs[step] = float(event["epoch"])
            if event.get("validation_loss") is not None:
                self._valid.append((step, float(event["validation_loss"])))
        elif name == "begun":
            self._seen.pop("ended", None)
            self._is_paused = False
        elif name == "controlled":
            self._is_paused = event["what"] == "pause"
            if str(event["what"]).startswith("learning rate times "):
                self._scale = float(str(event["what"]).rpartition(" ")[2])
        self._seen[name] = event

    def _alarm(self) -> Values:
        """The over-fitting that was seen, unless a better loss came after it."""
        found = self._seen.get("overfitting", {})
        return {} if found and any(loss < found["best_loss"] for _, loss in self._valid) else found

    def _checkpoints(self) -> Iterable[Checkpoint]:
        named: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.folder / RUN).read_text("utf-8"))
            named = found if isinstance(found, dict) else {}
        losses = dict(self._valid)
        for path in sorted(self.folder.glob(f"step-*/{CHECKPOINT}")):
            name = path.parent.name
            digits = name.rpartition("-")[2]
            if digits.isdigit():
                step = int(digits)
                is_best, is_last = named.get("best") == name, named.get("last") == name
                yield Checkpoint(name, step, self._epochs.get(step), losses.get(step), is_best, is_last)


def order(folder: Path, what: str) -> None:
    """Tell the run of a folder to `pause`, `go`, `lower` or `stop`, as `palaver train tell` does.

    Raises:
        OSError: the folder cannot be written.
    """
    from palaver.weights import replace

    orders: list[str] = []
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        orders = [str(one) for one in json.loads((folder / CONTROL).read_text("utf-8"))["orders"]]
    replace(folder / CONTROL, json.dumps({"orders": [*orders, what]}).encode())


def settings_of(folder: Path) -> Values:
    """The settings of a run, by their sections, from any of its checkpoints; none before the first one."""
    for path in sorted(folder.glob(f"step-*/{CHECKPOINT}"), reverse=True):
        with contextlib.suppress(OSError, ValueError, KeyError):
            found = json.loads(path.read_text("utf-8"))["run"]
            if isinstance(found, dict):
                return found
    return {}


def known_runs() -> list[Path]:
    """Folders with a run: those that were looked at, newest first, and those at or below the working folder."""
    from palaver.paths import state_dir

    found: list[Path] = []
    with contextlib.suppress(OSError, ValueError, TypeError):
        found = [Path(one) for one in json.loads((state_dir() / KNOWN).read_text("utf-8"))]
    here = Path.cwd()
    for pattern in (METRICS, f"*/{METRICS}", f"*/*/{METRICS}"):
        with contextlib.suppress(OSError):
            found += [one.parent for one in sorted(here.glob(pattern))]
    return [one for one in dict.fromkeys(found) if (one / METRICS).is_file()]


def remember(folder: Path) -> None:
    """Have `known_runs` know this folder the next time too."""
    from palaver.paths import private_dir, state_dir
    from palaver.weights import replace

    found = [folder, *(one for one in known_runs() if one != folder)][:MOST_KNOWN]
    with contextlib.suppress(OSError):
        private_dir(state_dir())
        replace(state_dir() / KNOWN, json.dumps([str(one) for one in found]).encode())
