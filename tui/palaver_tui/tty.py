"""The terminal is given back as it was, whatever happens: noise, signals, bad bytes, crashes."""

from __future__ import annotations

import codecs
import contextlib
import functools
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palaver.paths import private_dir, state_dir

if TYPE_CHECKING:
    from textual.driver import Driver

LARGEST_LOG = 1_000_000


def noise_log() -> Path:
    """Where the output of native code and of child processes goes while the screen is up."""
    return private_dir(state_dir() / "logs") / "tui.log"


@contextlib.contextmanager
def guarded_terminal() -> Iterator[None]:
    """Textual alone writes to the terminal: file descriptors 1 and 2 lead into a log of the user's.

    Textual draws on `sys.__stderr__`, and in a browser through `sys.__stdout__`: these get private copies.
    """
    log = noise_log()
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.unlink()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = (os.dup(1), os.dup(2))
    sink = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    stdout, stderr = sys.__stdout__, sys.__stderr__
    page, screen = (os.fdopen(os.dup(number), "w", encoding="utf-8", errors="replace") for number in (1, 2))
    sys.__stdout__, sys.__stderr__ = page, screen  # type: ignore[misc]
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        sys.__stdout__, sys.__stderr__ = stdout, stderr  # type: ignore[misc]
        for number, copy in enumerate(kept, start=1):
            os.dup2(copy, number)
            os.close(copy)
        os.close(sink)
        for stream in (page, screen):
            with contextlib.suppress(OSError):  # the terminal may be gone
                stream.close()


def driver_class() -> type[Driver]:
    """Textual's driver for a POSIX terminal, which here survives bytes that are no UTF-8."""
    from textual.drivers import linux_driver

    class TerminalDriver(linux_driver.LinuxDriver):
        """Reads with replacement characters, and asks the screen itself for its size."""

        def run_input_thread(self) -> None:
            """Textual decodes strictly, and one wrong byte ends the app (Textualize/textual#6456)."""
            linux_driver.__dict__["getincrementaldecoder"] = _tolerant
            try:
                super().run_input_thread()
            except OSError:  # the terminal was closed: as if its signal had come
                self._app.call_later(self._app.exit, None, 129)

        def _get_terminal_size(self) -> tuple[int, int]:
            try:
                size = os.get_terminal_size(self.fileno)
            except OSError:
                size = os.terminal_size((80, 25))
            return size.columns or 80, size.lines or 25

    return TerminalDriver


def _tolerant(encoding: str) -> Any:
    return functools.partial(codecs.getincrementaldecoder(encoding), errors="replace")


def write_report(error: BaseException) -> Path:
    """The traceback in a file for the user alone; without local variables, which may hold keys and texts."""
    folder = private_dir(state_dir() / "logs")
    path = folder / "crash.txt"
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write("".join(traceback.format_exception(error)))
    return path
