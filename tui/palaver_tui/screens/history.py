"""The History screen: every turn there ever was, found by a filter, shown in full, scored, rated, exported."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Literal

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from palaver.command import read_text
from palaver.errors import NotFound, PalaverError, UsageError
from palaver.session import Session
from palaver.store import Filter, parse_filter
from palaver.terminal import safe_line
from palaver_tui.screens.history_words import ASKED, HALF, HINTS, IN, KEYS, MEANT, NOT_IN, completions, in_full, scored
from palaver_tui.screens.place import PlaceScreen
from palaver_tui.screens.turn_export import export
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

Asked = Literal["", "reference", "note", "export"]


class HistoryScreen(PlaceScreen):
    """All turns, newest first."""

    CSS_PATH = "history.tcss"
    HELP_KEYS = KEYS
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-medium"), (104, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-normal"), (32, "-tall")]
    BINDINGS = [
        Binding("slash", "filter", "filter", id="history.filter"),
        Binding("r", "reference", "reference", id="history.reference"),
        Binding("a", "note", "note", id="history.note"),
        *[Binding(str(stars), f"rate({stars})", show=False, id=f"history.rate{stars}") for stars in range(6)],
        Binding("d", "delete", "delete", id="history.delete"),
        Binding("u", "undo", "undo", show=False, id="history.undo"),
        Binding("e", "export", "export", id="history.export"),
        Binding("y", "copy", "copy output", show=False, id="history.copy"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id="history.copy_command"),
        Binding("escape", "back", "back", id="history.back"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._store = session.store
        self._filter = Filter()
        self._deleted: list[frozenset[int]] = []
        """What `d` took away and `u` brings back, the last one last; gone for good when the screen is left."""
        self._asked: Asked = ""
        self._writing = asyncio.Lock()

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
        self._show_all()
        self._learn()

    def on_screen_resume(self) -> None:
        """Turns may have been made meanwhile: look again, and stay on the same one."""
        if self._table.cursor is not None:
            self._show_all(at=self._table.cursor)

    def on_unmount(self) -> None:
        self._delete_for_good()

    # What is shown

    @property
    def _table(self) -> Table:
        return self.query_one("#history-table", Table)

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

    def _show_all(self, *, at: int | None = None) -> None:
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

    def _say(self, text: str, style: str = "$muted") -> None:
        """Put a sentence above the command line; an empty one takes it away."""
        said = self.query_one("#said", Text)
        said.set_class(not text, "-empty")
        said.show(styled((text, style)))

    def _say_command(self) -> None:
        self.query_one("#command", Text).show(styled(("$ " + self.command, "$muted")))

    @on(Table.Loaded)
    def _show_whether_empty(self, event: Table.Loaded) -> None:
        sentence = ""
        if not event.rows and (self._filter or self._deleted):
            sentence = "No turn is like that; / changes the filter."
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
        self._read(event.row, wait=self._shown is not None)

    @property
    def _shown(self) -> Detail | None:
        return self.query_one(TurnDetail).detail

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
        self._read(event.row)
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
            self._apply()

    @on(Input.Submitted, "#filter")
    def _submitted(self) -> None:
        if self._apply():
            self._table.focus()

    def _apply(self) -> bool:
        """Filter by what the box says; if that is no filter, keep the rows and say why."""
        problem = self.query_one("#problem", Text)
        try:
            wanted = parse_filter(self.query_one(FilterBox).value)
        except UsageError as error:
            problem.show(styled((str(error), "$error")))
            problem.remove_class("-empty")
            return False
        problem.add_class("-empty")
        if wanted.text != self._filter.text:
            self._filter = wanted
            self._show_all()
        return True

    @work(group="learn")
    async def _learn(self) -> None:
        """What tab completes: keys and values, read once and off the loop."""
        words = await asyncio.to_thread(completions, self._session)
        self.query_one(FilterBox).know(words)

    # Asking for one line of text

    def action_reference(self) -> None:
        """Ask for a reference for the turn under the cursor."""
        self._ask("reference", "")

    def action_note(self) -> None:
        """Ask for a note on the turn under the cursor."""
        self._ask("note", safe_line(self._shown.note) if self._shown else "")

    def action_export(self) -> None:
        """Ask where the marked turns go, or all that the filter finds."""
        self._ask("export", "palaver-history.jsonl")

    def _ask(self, what: Asked, value: str) -> None:
        turn_id = self._table.cursor
        if turn_id is None:
            return
        self._asked, self._asked_of = what, turn_id
        self._say("")
        self.add_class("-asking")
        self.query_one(Question).ask(ASKED[what].format(turn_id), value, MEANT[what])

    def _stop_asking(self) -> None:
        self._asked = ""
        self.remove_class("-asking")
        (self.query_one(TurnDetail) if self.has_class("-open") else self._table).focus()

    @on(Input.Submitted, "#ask")
    def _answered(self, event: Input.Submitted) -> None:
        text, turn_id = event.value, self._asked_of
        if self._asked == "reference":
            self._change(turn_id, lambda: self._add_reference(turn_id, text))
        elif self._asked == "note":
            self._change(turn_id, lambda: self._note(turn_id, text.strip()))
        elif self._asked == "export":
            marks = self._table.marks
            chosen = Filter().and_where(IN, json.dumps(sorted(marks))) if marks else self._query
            self._change(turn_id, lambda: export(self._store, chosen, text))

    def _add_reference(self, turn_id: int, text: str) -> str:
        turn = self._session.add_references(turn_id, [read_text(text)])
        failed = [score for score in turn.scores if score.error]
        return f"not scored by {failed[0].title}: {failed[0].error}" if failed else f"#{turn_id} scored"

    def _note(self, turn_id: int, text: str) -> str:
        self._store.note(turn_id, text)
        return f"#{turn_id} noted" if text else f"note of #{turn_id} removed"

    @work(group="write")
    async def _change(self, turn_id: int, change: Callable[[], str]) -> None:
        """Write in a thread, one change after the other, then show the turn as it is now."""
        async with self._writing:
            try:
                said = await asyncio.to_thread(change)
                lines = await asyncio.to_thread(self._store.lines, [turn_id])
            except PalaverError as error:
                self._say(in_full(error), "$error")
                return
            except Exception as error:  # a metric plugin may raise anything at all
                self._say(f"A metric broke: {type(error).__name__}: {error}", "$error")
                return
        for line in lines:
            self._table.put(table_row(line, datetime.now()))
        if self._table.cursor == turn_id:
            self._read(turn_id)
        self._say(said)
        if self._asked:
            self._stop_asking()

    # Rating, deleting, copying

    def action_rate(self, stars: int) -> None:
        """Rate the turn under the cursor; 0 takes the rating back."""
        if (turn_id := self._table.cursor) is not None:
            self._change(turn_id, lambda: self._rate(turn_id, stars))

    def _rate(self, turn_id: int, stars: int) -> str:
        self._store.rate(turn_id, stars or None)
        return f"#{turn_id} {'★' * stars or 'unrated'}"

    def action_delete(self) -> None:
        """Delete the marked turns, or the one under the cursor; `u` brings them back until the screen is left."""
        cursor = self._table.cursor
        chosen = self._table.marks or (frozenset([cursor]) if cursor is not None else frozenset())
        if not chosen:
            return
        self._deleted.append(chosen)
        self._table.unmark(chosen)
        stays = next((row.id for row in self._table.rows if row.id <= (cursor or 0) and row.id not in chosen), None)
        self._show_all(at=stays if stays is not None else cursor)
        named = f"#{next(iter(chosen))}" if len(chosen) == 1 else f"{len(chosen)} turns"
        self._say(f"{named} deleted · u brings {'it' if len(chosen) == 1 else 'them'} back")

    def action_undo(self) -> None:
        """Bring back what was deleted last."""
        if not self._deleted:
            self._say("nothing to bring back")
            return
        back = self._deleted.pop()
        self._show_all(at=max(back))
        self._say(f"#{max(back)} is back" if len(back) == 1 else f"{len(back)} turns are back")

    def _delete_for_good(self) -> None:
        turns = [turn for chosen in self._deleted for turn in chosen]
        self._deleted.clear()
        if turns:
            with suppress(PalaverError):  # what could not be deleted is still there to be seen
                self._store.delete(turns)

    def action_copy(self) -> None:
        """Copy the output of the turn under the cursor."""
        if shown := self._shown:
            self.app.copy_to_clipboard(shown.output)
            self._say(f"copied {len(shown.output):,} characters")

    def action_copy_command(self) -> None:
        """Copy the command line that lists the same turns."""
        self.app.copy_to_clipboard(self.command)
        self._say("copied the command line")

    def action_back(self) -> None:
        """Leave what is open: the question, the filter box, the turn in full, then the screen."""
        if self._asked:
            self._stop_asking()
        elif self.query_one(FilterBox).has_focus:
            if not self._apply():
                self.query_one(FilterBox).value = self._filter.text
            self._table.focus()
        elif self.has_class("-open"):
            self.remove_class("-open")
            self._table.focus()
        else:
            self.app.pop_screen()
