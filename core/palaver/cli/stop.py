"""ctrl+c: the first one stops the model and keeps the text so far, the second one leaves."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Self

from palaver.cli.output import Output, is_terminal

STOPPED = 130
"""Exit code of what ctrl+c ended."""


class Stop:
    """While it is entered, ctrl+c sets `event`."""

    def __init__(self, output: Output) -> None:
        self.event = threading.Event()
        self._output = output
        self._is_ours = threading.current_thread() is threading.main_thread()
        self._before: object = None

    def __enter__(self) -> Self:
        if self._is_ours:  # Python lets no other thread handle signals
            self._before = signal.signal(signal.SIGINT, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_ours:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.event.is_set():
            # At once: what is in the way is native code or a hanging plugin. Drafts of the text are in history.
            os._exit(130)
        self.event.set()
        if is_terminal(sys.stderr):
            # Not through the buffered stream: the signal may have come in the middle of a write to it.
            os.write(2, b"\nstopping; ctrl+c again leaves at once\n")
