"""The draft of an answer while it is written: passed on at once, saved every half second."""

from __future__ import annotations

import time
from collections.abc import Callable

from palaver.store import Store

DRAFT_SECONDS = 0.5
"""How much of a streaming answer a crash can cost."""


class Journal:
    """Passes text on and saves a draft of it every half second."""

    def __init__(self, store: Store, turn_id: int, on_text: Callable[[str], None]) -> None:
        self._store, self._turn_id, self._on_text = store, turn_id, on_text
        self._pieces: list[str] = []
        self._saved = time.monotonic()

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        self.keep(piece)
        self._on_text(piece)

    def keep(self, piece: str) -> None:
        """Save what is not to be shown as the answer."""
        self._pieces.append(piece)
        if time.monotonic() - self._saved >= DRAFT_SECONDS:
            self._store.draft(self._turn_id, self.text)
            self._saved = time.monotonic()
