"""Keep what foreign code prints away from the answer: in a log, whichever door it used."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from palaver.paths import private_dir, state_dir

_LARGEST = 1_000_000
"""Bytes of the log; then it begins anew."""


def log_file() -> Path:
    """Where the noise of plugins can be read."""
    return state_dir() / "plugins.log"


@contextlib.contextmanager
def quiet(whose: str) -> Iterator[None]:
    """Inside, what is written to stdout or stderr goes to the log: by print, by descriptor or by a child process."""
    with contextlib.ExitStack() as stack:
        log = _open()
        stack.callback(os.close, log)
        before = os.fstat(log).st_size
        stream = stack.enter_context(os.fdopen(os.dup(log), "w", encoding="utf-8", errors="backslashreplace"))
        for own in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # it may be closed, or None
                own.flush()
        for number in (1, 2):
            _point(stack, number, log)
        stack.enter_context(contextlib.redirect_stdout(stream))
        stack.enter_context(contextlib.redirect_stderr(stream))
        try:
            yield
        finally:
            with contextlib.suppress(ValueError, OSError):  # the plugin closed it
                stream.flush()
            if os.fstat(log).st_size > before:
                os.write(log, f"\n^ printed by the plugin {whose} while it was imported\n".encode())


def _point(stack: contextlib.ExitStack, number: int, log: int) -> None:
    try:
        kept = os.dup(number)
    except OSError:  # it is closed: nothing can be printed there
        return
    stack.callback(os.close, kept)
    stack.callback(os.dup2, kept, number)
    os.dup2(log, number)


def _open() -> int:
    path = log_file()
    try:
        private_dir(path.parent)
        fresh = os.O_TRUNC if path.exists() and path.stat().st_size > _LARGEST else 0
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | fresh, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
