"""What a model's process reads before it is asked: one text at a time, given up as soon as there is a question."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from palaver import frames
from palaver.life import POLL, Life
from palaver.model import Request

GRACE = 10.0
"""Seconds that a process has to come back from reading when it is told to; a batch of a large model takes some."""


class Reading:
    """Whether something is read ahead, and who waits for the end of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._askers = 0
        self._now: tuple[Life, int] | None = None
        self._has_crashed = False

    @contextlib.contextmanager
    def put_off(self) -> Iterator[None]:
        """While this lasts nothing is read ahead; what is being read is told to stop."""
        with self._lock:
            self._askers += 1
            if self._now is not None:
                life, number = self._now
                life.process.send("cancel", id=number)
        try:
            yield
        finally:
            with self._lock:
                self._askers -= 1

    def read(self, life: Life, request: Request, cancel: threading.Event) -> None:
        """Read a request; returns when that is over. Does nothing where the process is busy, gone or not able to.

        A model whose process has died of it is not made to read ahead again.
        """
        with self._lock:
            if self._askers or self._has_crashed or not _is_free(life):
                return
            try:
                number = life.begin_ahead(request)
            except frames.FrameError:  # too long for a frame: whoever asks it hears so
                life.idle.set()
                return
            self._now = life, number
        told = 0.0
        try:
            while not life.idle.wait(POLL) and not life.is_over():
                if not told and (cancel.is_set() or self._askers):
                    life.process.send("cancel", id=number)
                    told = time.monotonic()
                elif told and time.monotonic() - told > GRACE:
                    life.process.terminate_until_gone()
            self._has_crashed = not life.idle.is_set()
        finally:
            with self._lock:
                self._now = None


def _is_free(life: Life) -> bool:
    return life.reads_ahead and life.idle.is_set() and life.process.alive
