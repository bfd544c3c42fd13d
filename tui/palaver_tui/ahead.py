"""Reads what is in the prompt ahead in a thread: one text at a time, and always the newest."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palaver.session import Session


class Ahead:
    """What is read, and what is to be read next. A thread is there only while there is something."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: tuple[Session, str] | None = None
        self._cancel = threading.Event()
        self._is_running = False

    def read(self, session: Session, draft: str) -> None:
        """Have this read, in place of what is being read; what that has come to stays of use."""
        with self._lock:
            self._cancel.set()
            self._next = (session, draft)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._work, name="palaver-ahead", daemon=True).start()

    def stop(self) -> None:
        """Read nothing more."""
        with self._lock:
            self._cancel.set()
            self._next = None

    def _work(self) -> None:
        from palaver.ahead import read_ahead

        while True:
            with self._lock:
                if self._next is None:
                    self._is_running = False
                    return
                (session, draft), self._next = self._next, None
                cancel = self._cancel = threading.Event()
            read_ahead(session, draft, cancel)
