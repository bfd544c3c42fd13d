"""A reference that is being typed: the answer it is for shows its scores and marks meanwhile."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.timer import Timer

from palaver_tui import messages, slash
from palaver_tui.conversation import OpenSession
from palaver_tui.screens.suggest import SuggestScreen

if TYPE_CHECKING:
    from palaver.session import Session

PREVIEW_SECONDS = 0.2
"""A reference is scored when nothing has been typed for so long."""


class ReferenceScreen(SuggestScreen):
    """The part of the Chat screen that scores while one types."""

    def __init__(self, open_session: OpenSession) -> None:
        super().__init__(open_session)
        self.previewed: messages.Previewed | None = None
        """What the reference in the prompt would score; None while there is none."""
        self._previewing: Timer | None = None

    def must_wait(self, rest: str) -> bool:
        """Whether a `/ref` without a number means the answer that is being written."""
        return self.conversation.is_busy and slash.referred(rest)[0] is None

    def preview_soon(self) -> None:
        """Score a reference that is being typed, when the typing rests."""
        if self._previewing is not None:
            self._previewing.stop()
        turn_id, text = self.typed_reference()
        if self.previewed is not None and self.previewed.turn_id != turn_id:
            if (there := self._turns.get(self.previewed.turn_id)) is not None and there.is_attached:
                there.end_preview()
            self.previewed = None
        if turn_id is not None and text:
            work = partial(self.conversation.do, partial(_previewed, turn_id, text))
            self._previewing = self.set_timer(PREVIEW_SECONDS, work)

    def typed_reference(self) -> tuple[int | None, str]:
        name, rest = slash.split(self.prompt.text.strip())
        if name != "ref" or self.session is None or self.must_wait(rest):
            return None, ""
        numbered, text = slash.referred(rest)
        return (self.session.last_turn if numbered is None else numbered), text

    @on(messages.Previewed)
    def _preview(self, event: messages.Previewed) -> None:
        if (event.turn_id, event.reference) == self.typed_reference() and event.scores:
            self.previewed = event
            if (there := self._turns.get(event.turn_id)) is not None and there.is_attached:
                there.preview(event.scores, event.spans)
            self.refresh_hints()


def _previewed(turn_id: int, reference: str, session: Session) -> messages.Previewed:
    from palaver_tui.preview import preview

    return preview(session, turn_id, reference)
