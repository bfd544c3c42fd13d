"""The History screen: every turn there ever was, found by a filter, shown in full, scored, rated, exported."""

from __future__ import annotations

import asyncio
import json
import shlex
from datetime import datetime
from functools import partial

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from palaver.errors import NotFound, PalaverError, UsageError
from palaver.session import Session
from palaver.store import Filter, parse_filter
from palaver_tui.screens.history_words import HALF, HINTS, KEYS, NOT_IN, as_typed, completions, in_full, scored
from palaver_tui.screens.turn_acts import TurnActsScreen
from palaver_tui.screens.turn_rows import LAYOUTS, table_row, trends, turn_detail
from palaver_tui.widgets.filter_box import FilterBox, Question
from palaver_tui.widgets.footer import Footer
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.table import Table
from palaver_tui.widgets.text import Text, styled
from palaver_tui.widgets.trend import TrendLine
from palaver_tui.widgets.turn_detail import Detail, TurnDetail
from palaver_tui.widgets.window import Row

COUNTED = 100_000
"""Matches of a filter are counted no further; the table needs no count."""
TREND_TURNS = 500
"""The trend line looks at this many of the newest scored turns."""
TYPING_SECONDS = 0.15
"""A filter is applied when nothing has been typed for so long."""
REST_SECONDS = 0.04
"""A turn is read in full when the cursor rests on it for so long; less than a key repeats."""


class HistoryScreen(TurnActsScreen):
    """All turns, newest first."""

    CSS_PATH = "history.tcss"
    HELP_KEYS = KEYS
    BINDINGS = [
        Binding("slash", "filter", "filter", id="history.filter"),
        Binding("r", "again", "run again", id="history.again"),
        Binding("c", "compare", "compare", id="history.compare"),
        Binding("f", "reference", "reference", id="history.reference"),
        Binding("a", "note", "note", id="history.note"),
        Binding("t", "tag", "tag", id="history.tag"),
        *[Binding(str(stars), f"rate({stars})", show=False, id=f"history.rate{stars}") for stars in range(6)],
        Binding("d", "delete", "delete", id="history.delete"),
        Binding("u", "undo", "undo", show=False, id="history.undo"),
        Binding("e", "export", "export", id="history.export"),
        Binding("o", "resume", "go on with it", show=False, id="history.resume"),
        Binding("y", "copy", "copy output", show=False, id="history.copy"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id="history.copy_command"),
        Binding("escape", "back", "back", id="history.back"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._filter = Filter()

    def compose(self) -> ComposeResult:
        yield Header("History")
        with Horizontal(id="filter-row"):
            yield Text("/", id="filter-sign")
            yield FilterBox(placeholder="words, task:translate model:name* chrf<50 since:7d is:failed", id="filter")
            yield Text(id="count", classes="-empty")
        yield Text(id="problem", classes="-empty")
        yield TrendLine(id="trend")
        yield Table(LAYOUTS, id="history-table")
        yield Text(id="empty")
        yield TurnDetail(id="detail")
        with Vertical(id="below"):
            yield Question(id="ask-row")
            yield Text(id="said", classes="-empty")
            yield Text(id="command")
        yield Footer(HINTS)

    def on_mount(self) -> None:
        self._table.focus()
        self.show_all()
        self._learn()

    def on_screen_resume(self) -> None:
        """Turns may have been made meanwhile: look again, and stay on the same one."""
        if self._table.cursor is not None:
            self.show_all(at=self._table.cursor)

    def arrive(self, words: str) -> None:
        """Filter by these words."""
        self.remove_class("-open")
        self.query_one(FilterBox).value = words
        if self._apply(words):
            self._table.focus()

    def on_unmount(self) -> None:
        self.stop_again()
        self._delete_for_good()

    # What is shown

    @property
    def _query(self) -> Filter:
        """The filter without the turns that are deleted but could still come back."""
        gone = [turn for turns in self._deleted for turn in turns]
        return self._filter.and_where(NOT_IN, json.dumps(gone)) if gone else self._filter

    @property
    def command(self) -> str:
        """The command line that lists the same turns."""
        text = " ".join(self._filter.text.split())
        dashes = " --" if text.startswith("-") else ""
        return f"palaver history list{dashes} {shlex.quote(text)}" if text else "palaver history list"

    def show_all(self, *, at: int | None = None) -> None:
        self._table.show(partial(self._rows, self._query), at=at)
        self._count(self._query)
        self._say_command()

    def _rows(self, query: Filter, *, before: int | None = None, after: int | None = None, limit: int) -> list[Row]:
        """A page for the table, in its thread."""
        lines = self._store.page(query, before=before, after=after, limit=limit)
        now = datetime.now()
        return [table_row(line, now) for line in lines]

    @work(exclusive=True, group="count")
    async def _count(self, query: Filter) -> None:
        try:
            total = await asyncio.to_thread(self._store.count)
            found = await asyncio.to_thread(partial(self._store.count, query, limit=COUNTED))
            newest = await asyncio.to_thread(partial(self._store.page, scored(query), limit=TREND_TURNS))
        except PalaverError as error:
            self._say(str(error), "$error")
            return
        if not self.is_attached:  # the screen was left while this counted
            return
        most = "+" if found >= COUNTED else ""
        self.query_one(Header).state = f"{total:,} turn{'' if total == 1 else 's'} · {self._store.path.name}"
        is_all = not self._filter and not self._deleted
        words = [] if is_all else [f"{found:,}{most} of {total:,}"]
        if marks := self._table.marks:
            words.insert(0, f"{len(marks)} marked")
        count = self.query_one("#count", Text)
        count.set_class(not words, "-empty")
        count.show(" · ".join(words))
        self.query_one(TrendLine).show(*trends(newest))

    def _say_command(self) -> None:
        self.query_one("#command", Text).show(styled(("$ " + self.command, "$muted")))

    @on(Table.Loaded)
    def _show_whether_empty(self, event: Table.Loaded) -> None:
        sentence = ""
        if not event.rows and (self._filter or self._deleted):
            sentence = f"No turn is like that; / changes the filter. {self._filter.advice}".rstrip()
        elif not event.rows:
            sentence = "Nothing has been asked yet: press esc, and what you ask in the chat becomes a row here."
        self.set_class(not event.rows, "-nothing")
        self.query_one("#empty", Text).show(sentence)

    @on(Table.Failed)
    def _say_failure(self, event: Table.Failed) -> None:
        self._say(in_full(event.error), "$error")

    @on(Table.Marked)
    def _count_marks(self) -> None:
        self._count(self._query)

    # The turn in full

    @on(Table.Highlighted)
    def _rest(self, event: Table.Highlighted) -> None:
        self.read(event.row, wait=self._shown is not None)

    def read(self, turn_id: int | None, *, wait: bool = False) -> None:
        """Show a turn in full; with `wait` only if no other one is wanted meanwhile."""
        self._read(turn_id, wait=wait)

    @work(exclusive=True, group="detail")
    async def _read(self, turn_id: int | None, *, wait: bool = False) -> None:
        if wait:
            await asyncio.sleep(REST_SECONDS)
        found = None if turn_id is None else await asyncio.to_thread(self._detail, turn_id)
        self.query_one(TurnDetail).show(found)

    def _detail(self, turn_id: int) -> Detail | None:
        try:
            return turn_detail(self._store.turn(turn_id))
        except NotFound:  # another process deleted it
            return None

    @on(Table.Opened)
    def _open(self, event: Table.Opened) -> None:
        self.read(event.row)
        self.add_class("-open")
        self.query_one(TurnDetail).focus()

    # Filtering

    def action_filter(self) -> None:
        """Go to the filter box."""
        self.remove_class("-open")
        self.query_one(FilterBox).focus()

    @on(Input.Changed, "#filter")
    def _typed(self) -> None:
        self._apply_soon()

    @work(exclusive=True, group="typing")
    async def _apply_soon(self) -> None:
        await asyncio.sleep(TYPING_SECONDS)
        if not self.query_one(FilterBox).value.endswith(HALF):
            self._apply_typed()

    @on(Input.Submitted, "#filter")
    def _submitted(self) -> None:
        if self._apply_typed():
            self._table.focus()

    def _apply_typed(self) -> bool:
        """Filter by what the box says, which may be what is shown already: then that is no word to go on."""
        typed = self.query_one(FilterBox).value
        return self._apply(typed if typed == self._filter.text else as_typed(typed))

    def _apply(self, text: str) -> bool:
        """Filter by `text`; if that is no filter, keep the rows and say why."""
        problem = self.query_one("#problem", Text)
        try:
            wanted = parse_filter(text)
        except UsageError as error:
            problem.show(styled((str(error), "$error")))
            problem.remove_class("-empty")
            return False
        problem.add_class("-empty")
        if wanted.text != self._filter.text:
            self._filter = wanted
            self.show_all()
        return True

    @work(group="learn")
    async def _learn(self) -> None:
        """What tab completes: keys and values, read once and off the loop."""
        words = await asyncio.to_thread(completions, self._session)
        self.query_one(FilterBox).know(words)

    def action_back(self) -> None:
        """Leave what is open: the question, the filter box, the turn in full, then the screen."""
        if self._asked:
            self._stop_asking()
        elif self.is_busy:
            self.stop_again()
        elif self.query_one(FilterBox).has_focus:
            if not self._apply_typed():
                self.query_one(FilterBox).value = self._filter.text
            self._table.focus()
        elif self.has_class("-open"):
            self.remove_class("-open")
            self._table.focus()
        else:
            self.app.pop_screen()
