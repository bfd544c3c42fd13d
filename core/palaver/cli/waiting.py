"""A sign of life while the first word or answer is awaited: loading a large model takes its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from palaver.present import format_seconds

TICK_SECONDS = 1.0
"""Between two signs on a terminal; what comes sooner shows none."""


class Waiting:
    """Between `begin` and `end` a thread says how long it has been; outside of them only the caller's thread writes."""

    def __init__(self, say: Callable[[str], None], seconds: float = TICK_SECONDS) -> None:
        self._say = say
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def begin(self, words: str) -> None:
        """`words · 12 s`, again and again."""
        self.end()
        self._ended.clear()
        self._thread = threading.Thread(target=self._tell, args=(words,), daemon=True)
        self._thread.start()

    def step(self, words: str) -> None:
        """Say it at once, and from then on for how long it has been."""
        self.end()
        self._say(words)
        self.begin(words)

    def end(self) -> None:
        """What was awaited is there, or will not come."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self._thread = None

    def _tell(self, words: str) -> None:
        started = time.monotonic()
        while not self._ended.wait(self._seconds):
            waited = round(time.monotonic() - started)
            self._say(f"{words} · {f'{waited} s' if waited < 60 else format_seconds(waited)}")
