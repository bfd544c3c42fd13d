"""How fast engines that compute the same weights stream here, as it was measured, and which one is the fastest.

A measurement belongs to a file and a processor with so many threads; a changed file has none. Measuring is the work of
`palaver.race`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from palaver import paths
from palaver.machine import processor

ANSWER = 512
"""Tokens of the answer that engines are compared by: the longest that is written unless more is asked for."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One engine with one model's weights, a question of some forty tokens asked."""

    model: str
    """Its name with this engine: `smollm2`, `smollm2@4bit`."""
    backend: str
    start_seconds: float
    """From nothing to the first token of the first answer, loading included."""
    first_token_seconds: float
    """The same once it is loaded."""
    tokens_per_second: float
    memory_bytes: int

    def seconds(self, tokens: int = ANSWER) -> float:
        """From nothing to the end of an answer of so many tokens."""
        return self.start_seconds + tokens / self.tokens_per_second


def fastest(timings: Sequence[Timing]) -> Timing:
    """The one that ends an answer first, loading included."""
    return min(timings, key=Timing.seconds)


def overtakes_after(chosen: Timing, other: Timing) -> int | None:
    """Tokens of a conversation after which `other` would have been ahead; None where it never is."""
    saved = 1 / chosen.tokens_per_second - 1 / other.tokens_per_second  # seconds a token
    return round((other.start_seconds - chosen.start_seconds) / saved) if saved > 0 else None


def known(path: str) -> list[Timing]:
    """What was measured of the weights at `path` on this machine; empty where nothing was."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        note, identity = _note_and_identity(Path(path))
        found = json.loads(note.read_text("utf-8"))
        if found["identity"] == identity and found["processor"] == processor():
            return [Timing(**one) for one in found["timings"]]
    return []


def remember(path: str, timings: Sequence[Timing]) -> None:
    """Keep what was measured of the weights at `path`."""
    from palaver.weights import replace

    note, identity = _note_and_identity(Path(path))
    paths.private_dir(note.parent)
    rows = [asdict(one) for one in timings]
    replace(note, json.dumps({"identity": identity, "processor": processor(), "timings": rows}, indent=1).encode())


def forget(path: str) -> None:
    """As if nothing had been measured."""
    with contextlib.suppress(OSError):
        _note_and_identity(Path(path))[0].unlink()


def _note_and_identity(path: Path) -> tuple[Path, list[int]]:
    seen = path.stat()
    note = paths.state_dir() / "timings" / f"{seen.st_dev:x}-{seen.st_ino:x}.json"
    return note, [seen.st_size, seen.st_mtime_ns]
