"""When the prompt is read ahead: as the typing rests, at a paste, and when an answer has left the model idle."""

from __future__ import annotations

import time

from textual import on
from textual.timer import Timer

from palaver_tui import messages
from palaver_tui.conversation import OpenSession
from palaver_tui.screens.filling import FillScreen

REST_SECONDS = 0.3
"""A draft is read when nothing has been typed for so long."""
LONGEST_SECONDS = 1.0
"""Whoever types without a rest has what is there read so often."""
PASTED = 20
"""Characters that come at once are no typing: they are read without waiting for more."""


class AheadScreen(FillScreen):
    """The part of the Chat screen that has the model read while one types."""

    def __init__(self, open_session: OpenSession) -> None:
        super().__init__(open_session)
        self._ahead_soon: Timer | None = None
        self._unread_since: float | None = None
        self._length = 0

    def typed_more(self) -> None:
        """The text of the prompt is another one."""
        length, before = len(self.prompt.text), self._length
        self._length = length
        now = time.monotonic()
        self._unread_since = self._unread_since if self._unread_since is not None else now
        left = self._unread_since + LONGEST_SECONDS - now
        self._read_in(0.0 if length - before >= PASTED else min(REST_SECONDS, left))

    @on(messages.Ended)
    @on(messages.Loaded)
    @on(messages.BranchOpened)
    def _is_idle(self) -> None:
        self._read_in(0.0)

    def _read_in(self, seconds: float) -> None:
        if self._ahead_soon is not None:
            self._ahead_soon.stop()
        self._ahead_soon = self.set_timer(max(seconds, 0.001), self._read_ahead)

    def _read_ahead(self) -> None:
        self._unread_since = None
        is_question = self.searched is None and self.editing is None and not self.early
        if is_question and self.session is not None and not self.conversation.is_busy:
            self.conversation.read_ahead(self.meant(self.prompt.text.strip()))
