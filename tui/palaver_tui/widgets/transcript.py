"""The conversation so far: the newest turns alive, older ones as plain text, the oldest only in history."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import AwaitMount, Widget

from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.text import Text

LIVE = 20
"""Turns kept as Markdown: each costs some fifteen widgets."""
KEPT = 60
"""Turns kept on the screen at all."""


class Transcript(VerticalScroll, can_focus=False):
    """Turns and notes, one below the other; stays at its end until the user scrolls."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        # As high as the transcript at least: an anchored container would push less than that to its bottom.
        self._turns = Vertical(id="turns")

    def compose(self) -> ComposeResult:
        yield self._turns

    def on_mount(self) -> None:
        self.anchor()

    @property
    def exchanges(self) -> list[Exchange]:
        """The turns on the screen, oldest first."""
        return list(self.query(Exchange))

    @property
    def last(self) -> Exchange | None:
        """The newest turn."""
        found = self.exchanges
        return found[-1] if found else None

    def add(self, exchange: Exchange, *, settle: bool = True) -> AwaitMount:
        """Put a turn at the end; the one before no longer shows its marks unless `settle` is false."""
        before = self.exchanges
        if before and settle:
            for one in before[-LIVE:]:
                one.settle()
        for old in before[: -LIVE + 1]:
            old.freeze()
        if len(before) >= KEPT:
            before[0].remove()
            self._say_cut()
        return self.put(exchange)

    def put(self, widget: Widget) -> AwaitMount:
        """Put anything at the end."""
        mounted = self._turns.mount(widget)
        self.anchor()
        return mounted

    def say(self, text: str | Content) -> None:
        """Put a note at the end."""
        self.put(Text(text, classes="said-by-palaver"))

    def clear(self) -> None:
        """Empty the screen."""
        self._turns.remove_children()
        self.anchor()

    def focus_next_to(self, current: Widget | None, step: int) -> None:
        """Focus the turn above or below; from anywhere else, the newest one."""
        found = self.exchanges
        if not found:
            return
        index = found.index(current) + step if isinstance(current, Exchange) and current in found else len(found) - 1
        found[max(0, min(index, len(found) - 1))].focus()

    def _say_cut(self) -> None:
        if not self.query("#earlier"):
            self._turns.mount(Text("Earlier turns are in the history: ctrl+g h", id="earlier"), before=0)
