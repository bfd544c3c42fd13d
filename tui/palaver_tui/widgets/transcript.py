"""The conversation so far: the newest turns alive, older ones as plain text, the oldest fetched when scrolled to."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import AwaitMount, Widget

from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.text import Text

LIVE = 20
"""Turns kept as Markdown: each costs some fifteen widgets."""
KEPT = 60
"""Turns kept on the screen at all."""
SEEN = 5
"""Turns that a screen is filled with, about."""
REST_SECONDS = 1.0
"""After this long the turns above come to life."""
THAW_SECONDS = 0.25
"""Between two turns that come to life: keys go before."""
NEAR = 3
"""Rows from the top at which earlier turns are asked for."""


class Transcript(VerticalScroll, can_focus=False):
    """Turns and notes, one below the other; stays at its end until the user scrolls."""

    class EarlierWanted(Message):
        """The user scrolled to the top, and there is more."""

    class Settled(Message):
        """The turns of a conversation that was opened have been brought to life: nothing more is made by itself."""

    class LaterWanted(Message):
        """The user scrolled to the bottom, and the end is not there."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        # As high as the transcript at least: an anchored container would push less than that to its bottom.
        self._turns = Vertical(id="turns")
        self.has_earlier = False
        """There are turns above the first one shown."""
        self.is_cut = False
        """There are turns below the last one shown."""
        self._is_fetching = False

    def compose(self) -> ComposeResult:
        yield self._turns

    def on_mount(self) -> None:
        self.anchor()

    @property
    def exchanges(self) -> list[Exchange]:
        """The turns on the screen, oldest first; without those that another answer is just taking the place of."""
        return [one for one in self._turns.children if isinstance(one, Exchange) and one.display]

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
            self.show_earlier(True)
        return self.put(exchange)

    def add_all(self, exchanges: Sequence[Exchange]) -> AwaitMount:
        """Put turns at the end; all but the last few at first as plain text, which is quick to draw."""
        for one in exchanges[:-SEEN]:
            one.freeze()
        mounted = self._turns.mount_all(exchanges)
        self.anchor()
        self.set_timer(REST_SECONDS, self._thaw)
        return mounted

    def _thaw(self) -> None:
        """Bring the newest turns to life one by one from the end, while nobody reads further up."""
        still = [one for one in self.exchanges[-LIVE:] if one.is_frozen]
        if still and self.scroll_y >= self.max_scroll_y - NEAR:
            still[-1].thaw()
            self.set_timer(THAW_SECONDS, self._thaw)
        else:
            self.post_message(self.Settled())

    def put(self, widget: Widget) -> AwaitMount:
        """Put anything at the end."""
        mounted = self._turns.mount(widget)
        self.anchor()
        return mounted

    def put_above(self, exchanges: Sequence[Exchange]) -> AwaitMount:
        """Put earlier turns, as plain text, above the first one; what is on the screen stays where it is."""
        before = self.exchanges
        for one in exchanges:
            one.freeze()
        mounted = self._turns.mount_all(exchanges, before=before[0] if before else None)
        gone = before[KEPT - len(exchanges) :]
        self.is_cut = self.is_cut or bool(gone)
        self._stay_beside(before[0] if before else None, gone)
        return mounted

    def put_below(self, exchanges: Sequence[Exchange]) -> AwaitMount:
        """Put later turns, as plain text, below the last one; what is on the screen stays where it is."""
        before = self.exchanges
        for one in exchanges:
            one.freeze()
        self.release_anchor()
        mounted = self._turns.mount_all(exchanges, after=before[-1] if before else None)
        gone = before[: max(0, len(before) + len(exchanges) - KEPT)]
        if gone:
            self.show_earlier(True)
        self._stay_beside(before[-1] if before else None, gone)
        return mounted

    def _stay_beside(self, turn: Exchange | None, gone: Sequence[Exchange]) -> None:
        """Let turns go, and scroll so that this one is seen where it was."""
        there = turn.virtual_region.y if turn is not None else 0
        for one in gone:
            one.remove()

        def stay() -> None:
            if turn is not None:
                self.scroll_to(y=self.scroll_y + turn.virtual_region.y - there, animate=False, force=True)
            self._is_fetching = False
            self.look_above()

        self.call_after_refresh(stay)

    def say(self, text: str | Content) -> None:
        """Put a note at the end."""
        self.put(Text(text, classes="said-by-palaver"))

    def clear(self) -> None:
        """Empty the screen."""
        self._turns.remove_children()
        self.has_earlier = self.is_cut = self._is_fetching = False
        self.anchor()

    def hide_from(self, exchange: Exchange) -> list[Widget]:
        """Hide a turn and all below it, while another answer is made in its place; what was hidden."""
        children = list(self._turns.children)
        below = [one for one in children[children.index(exchange) :] if one.display]
        for one in below:
            one.display = False
        return below

    def focus_next_to(self, current: Widget | None, step: int) -> None:
        """Focus the turn above or below; from anywhere else, the newest one."""
        found = self.exchanges
        if not found:
            return
        index = found.index(current) + step if isinstance(current, Exchange) and current in found else len(found) - 1
        found[max(0, min(index, len(found) - 1))].focus()
        if index < 0:
            self._ask_for_earlier()

    def show_earlier(self, has_earlier: bool) -> None:
        """Say at the top that there is more above."""
        self.has_earlier = has_earlier
        told = self.query("#earlier")
        if has_earlier and not told:
            self._turns.mount(Text("earlier turns above: scroll up", id="earlier"), before=0)
        elif not has_earlier:
            told.remove()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value and new_value <= NEAR:
            self._ask_for_earlier()
        elif new_value > old_value and new_value >= self.max_scroll_y - NEAR and self.is_cut and not self._is_fetching:
            self._is_fetching = True
            self.post_message(self.LaterWanted())

    def look_above(self) -> None:
        """Where the first turn shown is in view, fetch those before it."""
        if self.scroll_y <= NEAR:
            self._ask_for_earlier()

    def _ask_for_earlier(self) -> None:
        if self.has_earlier and not self._is_fetching:
            self._is_fetching = True
            self.post_message(self.EarlierWanted())
