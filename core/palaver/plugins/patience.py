"""Who may say that nobody waits any more for what a plugin's process was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

CANCEL: ContextVar[threading.Event | None] = ContextVar("CANCEL", default=None)
"""When it is set, a call that is under way is given up at once."""


@contextmanager
def until(cancel: threading.Event) -> Iterator[None]:
    """Inside, calls of plugins in processes of their own last no longer than until `cancel` is set."""
    token = CANCEL.set(cancel)
    try:
        yield
    finally:
        CANCEL.reset(token)
