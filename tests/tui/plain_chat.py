"""A program: the line mode with a model that says two sentences and then waits to be stopped."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.core.scripted import Scripted, ScriptedRegistry

from palaver import Delta, GenerationConfig, Request
from palaver.session import Session
from palaver.store import Store
from palaver_tui.plain.loop import talk_in_lines
from palaver_tui.plain.voice import Voice


def waits(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
    for piece in ("Once there", " was a frog. It", " sat in a", " pond. And then"):
        yield Delta(piece)
    cancel.wait()
    yield Delta(finish_reason="cancelled")


def main(history: str) -> int:
    """Talk over the history in this file."""
    session = Session(ScriptedRegistry(Scripted(waits)), Store.open(Path(history)), model="scripted")
    try:
        return talk_in_lines(session, Voice())
    finally:
        session.close()
        session.store.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
