"""What happens in a training run, as values: whoever shows it gets them from a callback or from metrics.jsonl."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TextIO

from palaver_train.places import METRICS


@dataclass(frozen=True, slots=True)
class Begun:
    """The first event: what is trained on what."""

    name: ClassVar[str] = "begun"
    step: int
    """0, or where a run goes on."""
    steps: int
    """The last one, if nothing ends the run before."""
    architecture: str
    parameters: int
    vocabulary: int
    train_tokens: int
    valid_tokens: int
    device: str
    precision: str
    processes: int
    notes: tuple[str, ...] = ()
    """Sentences about the data: what was left out, and why."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Some steps, and where they led."""

    name: ClassVar[str] = "interval"
    step: int
    epoch: float
    train_loss: float
    """Nats a token over the interval, without smoothing; for vectors the mean squared error."""
    learning_rate: float
    gradient_norm: float
    """Before clipping, at the last step."""
    tokens_per_second: float
    """Targets that are no padding, in the time that was spent on training."""
    seconds: float
    """Since the beginning of the run, its earlier parts included."""
    validation_loss: float | None = None
    """Where this step was evaluated."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the network writes now."""

    name: ClassVar[str] = "sampled"
    step: int
    epoch: float
    samples: tuple[tuple[str, str], ...]
    """Prompt or source, and what came of it."""


@dataclass(frozen=True, slots=True)
class OverFitting:
    """The validation loss has turned up while the training loss goes on falling."""

    name: ClassVar[str] = "overfitting"
    step: int
    since_epoch: float
    since_step: int
    best_loss: float
    loss: float


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint is safe on the disk."""

    name: ClassVar[str] = "saved"
    step: int
    checkpoint: str
    """Its folder inside that of the run."""
    is_best: bool


@dataclass(frozen=True, slots=True)
class Controlled:
    """Somebody paused the run, went on with it, or changed the learning rate."""

    name: ClassVar[str] = "controlled"
    step: int
    what: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event."""

    name: ClassVar[str] = "ended"
    step: int
    epoch: float
    reason: str
    """`finished`, `patience`, `minutes` or `stopped`."""
    best_step: int
    best_loss: float | None
    seconds: float


Event = Begun | Interval | Sampled | OverFitting | Saved | Controlled | Ended

_KINDS: dict[str, type[Any]] = {
    kind.name: kind for kind in (Begun, Interval, Sampled, OverFitting, Saved, Controlled, Ended)
}


def to_json(event: Event) -> str:
    """One line; `from_json` reads it back."""
    return json.dumps({"event": event.name, **dataclasses.asdict(event)}, ensure_ascii=False)


def from_json(line: str) -> Event | None:
    """The event of a line; None for a line of another version, or cut off by a crash."""
    try:
        values = json.loads(line)
        kind = _KINDS[values.pop("event")]
        if kind is Sampled:
            values["samples"] = tuple(tuple(one) for one in values["samples"])
        if kind is Begun:
            values["notes"] = tuple(values["notes"])
        made: Event = kind(**values)
        return made
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def read_events(folder: Path) -> Iterator[Event]:
    """What has happened in the run of a folder so far."""
    try:
        lines = (folder / METRICS).read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return
    yield from (event for line in lines if (event := from_json(line)) is not None)


class Log:
    """metrics.jsonl, a line an event, each written when it happens."""

    def __init__(self, folder: Path, *, keep_to: int) -> None:
        """What an earlier run wrote after the step `keep_to` is taken out: it is done again."""
        path = folder / METRICS
        kept = [to_json(event) for event in read_events(folder) if event.step <= keep_to and event.name != "ended"]
        path.write_text("".join(f"{line}\n" for line in kept), "utf-8")
        self._file: TextIO = path.open("a", encoding="utf-8")

    def write(self, event: Event) -> None:
        """Add a line; half a surrogate pair, which a model may write, becomes a question mark."""
        line = to_json(event).encode("utf-8", "replace").decode("utf-8")
        self._file.write(re.sub(r"[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """No more will come."""
        self._file.close()
