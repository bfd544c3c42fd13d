"""One typed line, asked: understood, or recorded as what could not be understood."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from palaver.errors import PalaverError, PluginFailed
from palaver_tui import slash

if TYPE_CHECKING:
    from palaver.session import Outcome, Session, Started


def answer_line(
    session: Session,
    line: str,
    *,
    cancel: threading.Event,
    on_start: Callable[[Started], None],
    on_text: Callable[[str], None],
) -> Outcome:
    """Answer a line of the chat; one with a command that there is not is kept too, with the command that is near.

    Raises:
        StoreError: the history cannot be written.
    """
    from palaver.command import parse_line

    try:
        ask = parse_line(line, session.registry)
    except PalaverError as error:
        task = line[1:].split(maxsplit=1)[0] if line.startswith("/") and line[1:].strip() else "chat"
        if error.code == "task_not_found":
            error.fix = slash.meant(line, session.registry)
        return session.record_failure(task, line, error)
    return session.ask(ask, cancel=cancel, on_start=on_start, on_text=on_text)


def unexpected(error: Exception) -> PalaverError:
    """What a plugin raised that is no error of ours, as one that can be told."""
    return PluginFailed(f"{type(error).__name__}: {error}", fix="palaver doctor", code="unexpected")
