"""What a model's process has told so far: loaded or not, busy or idle, and the answer in between."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from palaver import errors, frames
from palaver.errors import ModelFailed, PalaverError
from palaver.model import Delta, GenerationConfig, ModelInfo, Request
from palaver.process import TERM_AFTER, ModelProcess

POLL = 0.05
"""Seconds between two looks at the cancel event."""

_QUEUE_LENGTH = 4096


class Life:
    """A process with what it has told so far."""

    def __init__(self, log: Path, module: str, on_ready: Callable[[ModelInfo, threading.Event], None]) -> None:
        self.loaded = threading.Event()
        """It is ready, or has said that it cannot be: see `error`."""
        self.error: PalaverError | None = None
        self.idle = threading.Event()
        self.idle.set()
        self.reads_ahead = False
        """Its model can read a request before it is asked."""
        self._on_ready = on_ready
        self._numbers = itertools.count(1)
        self._current: int | None = None
        self._inbox: queue.Queue[frames.Frame] = queue.Queue(_QUEUE_LENGTH)
        self.process = ModelProcess(log=log, module=module, on_frame=self._receive)

    def is_over(self) -> bool:
        """The process is gone, and what it last said has arrived or never will."""
        if self.process.alive:
            return False
        self.process.ended.wait(0.3)  # not for ever: something that it started may hold its pipe open
        return True

    def begin(self, requests: Sequence[Request], config: GenerationConfig) -> int:
        """Send the requests; only frames of this number are kept from now on."""
        number = next(self._numbers)
        self._inbox = queue.Queue(_QUEUE_LENGTH)
        self._current = number
        self.idle.clear()
        try:
            self.process.send(
                "stream", id=number, requests=[frames.encode(one) for one in requests], config=frames.encode(config)
            )
        except frames.FrameError as error:
            self._current = None
            self.idle.set()
            raise errors.BadInput(f"The input is too long to hand to a model: {error}.") from error
        return number

    def begin_ahead(self, request: Request) -> int:
        """Have it read a request that is not asked yet; `idle` says when that is over."""
        number = next(self._numbers)
        self.idle.clear()
        self.process.send("ahead", id=number, request=frames.encode(request))
        return number

    def next_frame(self, timeout: float) -> frames.Frame | None:
        """The next frame of the current number, or None after `timeout` seconds."""
        try:
            frame = self._inbox.get(timeout=timeout)
        except queue.Empty:
            return None
        return frame if frame.get("id") == self._current else None

    def counts_until_done(self, timeout: float) -> dict[int, Delta]:
        """The last Delta of each request that arrives until the child confirms; text that comes too late is dropped."""
        deadline, last = time.monotonic() + timeout, dict[int, Delta]()
        while (left := deadline - time.monotonic()) > 0:
            frame = self.next_frame(min(left, POLL))
            if frame is None:
                if not self.process.alive:
                    break
            elif frame["type"] == "delta":
                delta = frames.decode(Delta, frame["delta"])
                if delta.finish_reason is not None:
                    last[delta.request] = delta
            else:
                break
        return last

    def leave(self, number: int) -> None:
        """Nobody listens to this number any more: a child still busy with it is told, and ended if need be."""
        self._current = None
        if self.idle.wait(0.0) or not self.process.alive:
            return
        self.process.send("cancel", id=number)
        threading.Thread(target=self._end_if_stuck, name="palaver-model-cancel", daemon=True).start()

    def _end_if_stuck(self) -> None:
        if not self.idle.wait(TERM_AFTER):
            self.process.terminate_until_gone()

    def _receive(self, frame: frames.Frame) -> None:
        kind, number = frame.get("type"), frame.get("id")
        if number is not None:
            while self._current == number:  # a slow listener slows the child down, a gone one does not
                try:
                    self._inbox.put(frame, timeout=POLL)
                    break
                except queue.Full:
                    continue
            if kind == "done":
                self.idle.set()
        elif kind == "ready":
            self.reads_ahead = frame.get("reads_ahead") is True
            self._on_ready(frames.decode(ModelInfo, frame["info"]), self.loaded)
        elif kind == "error":
            self.error = error_of(frame)
            self.loaded.set()


def error_of(frame: frames.Frame) -> PalaverError:
    """The error that the child named, as the class that it is here."""
    kind = getattr(errors, str(frame.get("kind")), ModelFailed)
    if not (isinstance(kind, type) and issubclass(kind, PalaverError)):
        kind = ModelFailed
    found: PalaverError = kind(
        str(frame.get("message", "")), fix=str(frame.get("fix", "")), code=str(frame.get("code", ""))
    )
    return found
