"""What the Models and Plugins screens share: a short list with a filter, the entry under the cursor in full below."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.message import Message
from textual.widgets import Input

from palaver.errors import PalaverError
from palaver.session import Session
from palaver_tui.asking import unexpected
from palaver_tui.entries import PaletteCommand
from palaver_tui.go import Go
from palaver_tui.screens.history_words import in_full
from palaver_tui.screens.place import PlaceScreen
from palaver_tui.widgets.filter_box import FilterBox, Question
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.sheet import Fact, Sheet, SheetView
from palaver_tui.widgets.table import Layout, Table
from palaver_tui.widgets.text import Text, styled
from palaver_tui.widgets.window import Cell, Row

REFRESH_SECONDS = 3.0
"""Between two looks at what others may have changed, while the screen is shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row, what it says in full, and what enter would run."""

    name: str
    cells: Mapping[str, Cell]
    command: str
    """The command line that does the same as the enter key."""
    words: str = ""
    """What the filter looks into beside the cells."""

    def holds(self, wanted: Sequence[str]) -> bool:
        """Whether all these words are in it."""
        text = " ".join((self.name, self.words, *(cell.text for cell in self.cells.values()))).casefold()
        return all(word in text for word in wanted)


class ShelfScreen(PlaceScreen):
    """A list of entries that are read in a thread; subclasses say what they are and what the keys do."""

    CSS_PATH = "shelf.tcss"
    BINDINGS: ClassVar = [
        Binding("slash", "filter", "filter", show=False, id="shelf.filter"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id="shelf.copy_command"),
        Binding("escape", "back", "back", show=False, id="shelf.back"),
    ]
    NAME: ClassVar = ""
    LAYOUTS: ClassVar[Sequence[Layout]] = ()
    HINTS: ClassVar[Sequence[Hint]] = ()
    TOLD_IN: ClassVar[Sequence[str]] = ("state", "brief")
    """The cells in which it stands that something is being done."""
    NOTHING: ClassVar = ""
    """What an empty list says."""

    @dataclass
    class Moved(Message):
        """A thread tells how far the work on an entry is."""

        name: str
        text: str

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.session = session
        self.busy: dict[str, str] = {}
        """Names of the entries that something is done with, and how far it is."""
        self._entries: tuple[Entry, ...] = ()
        self._ids: dict[str, int] = {}
        self._asked: Callable[[str], None] | None = None

    def read(self) -> tuple[str, Sequence[Entry]]:
        """The state for the first row, and the entries. Called in a thread."""
        raise NotImplementedError

    def describe(self, name: str) -> Sheet:
        """An entry in full. Called in a thread."""
        raise NotImplementedError

    def use(self, name: str) -> None:
        """Enter, on an entry."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        yield Header(self.NAME)
        with Horizontal(id="filter-row"):
            yield Text("/", id="filter-sign")
            yield FilterBox(placeholder="words to find", id="filter")
        yield Table(self.LAYOUTS, id="shelf-table")
        yield Text(self.NOTHING, id="empty")
        yield SheetView(id="detail")
        with Vertical(id="below"):
            yield Question(id="ask-row")
            yield Text(id="said", classes="-empty")
            yield Text(id="command")
        yield Footer(self.HINTS)

    def on_mount(self) -> None:
        self.table.focus()
        self.look()
        self.set_interval(REFRESH_SECONDS, self._look_again)

    def on_screen_resume(self) -> None:
        self.look()

    # What is shown

    @property
    def table(self) -> Table:
        """The list."""
        return self.query_one("#shelf-table", Table)

    @property
    def current(self) -> Entry | None:
        """The entry under the cursor."""
        cursor = self.table.cursor
        return next((one for one in self._entries if self._ids.get(one.name) == cursor), None)

    @property
    def command(self) -> str:
        """The command line that does what enter would."""
        current = self.current
        return current.command if current is not None else f"palaver {self.NAME.casefold()} list"

    def _look_again(self) -> None:
        if self.is_current:
            self.look()

    @work(exclusive=True, group="read")
    async def look(self, at: str = "") -> None:
        """Read the entries anew; the cursor stays on its entry, or goes to the one named `at`."""
        try:
            state, entries = await asyncio.to_thread(self.read)
        except PalaverError as error:
            self.fail(error)
            return
        except Exception as error:  # a plugin may raise anything at all
            self.fail(unexpected(error))
            return
        if not self.is_attached:  # the app has ended meanwhile
            return
        kept = at or (self.current.name if self.current else "")
        self._entries = tuple(entries)
        self.query_one(Header).state = state
        self._show(kept)

    def _show(self, at: str = "") -> None:
        words = self.query_one(FilterBox).value.casefold().split()
        found = [one for one in self._entries if one.holds(words)]
        self._ids = {one.name: len(found) - index for index, one in enumerate(found)}
        rows = [self._row(one) for one in found]
        self.set_class(not rows, "-nothing")
        self.query_one("#empty", Text).show(
            "Nothing here is like that; / changes the filter." if self._entries else self.NOTHING
        )
        self.table.show(partial(page_of, rows), at=self._ids.get(at))

    def _row(self, entry: Entry) -> Row:
        cells = dict(entry.cells)
        if entry.name in self.busy:
            cells |= dict.fromkeys(self.TOLD_IN, Cell(self.busy[entry.name]))
        return Row(self._ids[entry.name], cells)

    @on(Table.Highlighted)
    def _highlighted(self, event: Table.Highlighted) -> None:
        self._say_command()
        self.read_detail()

    @work(exclusive=True, group="detail")
    async def read_detail(self) -> None:
        """Say all about the entry under the cursor."""
        current = self.current
        if current is None:
            self.query_one(SheetView).show(None)
            return
        try:
            sheet = await asyncio.to_thread(self.describe, current.name)
        except PalaverError as error:
            sheet = _mishap(current.name, error)
        except Exception as error:  # a plugin may raise anything at all
            sheet = _mishap(current.name, unexpected(error))
        if self.is_attached:
            self.query_one(SheetView).show(sheet)

    def say(self, text: str, style: str = "$muted") -> None:
        """Put a sentence above the command line; an empty one takes it away."""
        try:
            said = self.query_one("#said", Text)
        except NoMatches:  # the screen has gone meanwhile
            return
        said.set_class(not text, "-empty")
        said.show(styled((text, style)))

    def fail(self, error: PalaverError) -> None:
        """Say what went wrong and what helps."""
        self.say(in_full(error), "$error")

    def _say_command(self) -> None:
        self.query_one("#command", Text).show(styled((f"$ {self.command}", "$muted")))

    # Work

    @work(group="work")
    async def do(self, name: str, text: str, work: Callable[[], str]) -> None:
        """Do something with an entry in a thread; `text` stands in its row meanwhile, what it returns is said after."""
        self._busy_with(name, text)
        try:
            said = await asyncio.to_thread(work)
        except PalaverError as error:
            self.fail(error)
        except Exception as error:  # a plugin may raise anything at all
            self.fail(unexpected(error))
        else:
            self.say(said)
        finally:
            self.busy.pop(name, None)
            if self.is_attached:
                self.look()

    def tell(self, name: str, text: str) -> None:
        """From the thread: how far it is."""
        self.post_message(self.Moved(name, text))

    @on(Moved)
    def _moved(self, event: Moved) -> None:
        if event.name in self.busy:
            self._busy_with(event.name, event.text)

    def _busy_with(self, name: str, text: str) -> None:
        if not name:  # what is no entry yet has no row
            self.say(text)
            return
        self.busy[name] = text
        if (entry := next((one for one in self._entries if one.name == name), None)) and name in self._ids:
            self.table.put(self._row(entry))

    # Keys

    @on(Table.Opened)
    def _opened(self) -> None:
        if (current := self.current) is not None:
            self.use(current.name)

    def action_filter(self) -> None:
        """Open the filter."""
        self.remove_class("-open")
        self.add_class("-filtering")
        self.query_one(FilterBox).focus()

    @on(Input.Changed, "#filter")
    def _filtered(self) -> None:
        self._show(self.current.name if self.current else "")

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.set_class(bool(self.query_one(FilterBox).value), "-filtering")
        self.table.focus()

    def ask(self, label: str, hint: str, take: Callable[[str], None], value: str = "") -> None:
        """Ask for one line of text."""
        self._asked = take
        self.say("")
        self.add_class("-asking")
        self.query_one(Question).ask(label, value, hint)

    @on(Input.Submitted, "#ask")
    def _answered(self, event: Input.Submitted) -> None:
        take, self._asked = self._asked, None
        self.remove_class("-asking")
        self.table.focus()
        if take is not None:
            take(event.value.strip())

    def action_open_detail(self) -> None:
        """Show the entry alone, and back."""
        self.toggle_class("-open")
        (self.query_one("#detail") if self.has_class("-open") else self.table).focus()

    def action_copy_command(self) -> None:
        """Copy the command line."""
        self.app.copy_to_clipboard(self.command)
        self.say("copied the command line")

    def action_back(self) -> None:
        """Leave what is open: the question, the filter, the entry in full, then the screen."""
        if self._asked is not None:
            self._asked = None
            self.remove_class("-asking")
            self.table.focus()
        elif self.has_class("-filtering"):
            self.query_one(FilterBox).value = ""
            self.remove_class("-filtering")
            self.table.focus()
        elif self.has_class("-open"):
            self.action_open_detail()
        else:
            self.post_message(Go("Chat"))

    def palette_commands(self) -> Iterable[PaletteCommand]:
        """The keys of this screen, by name."""
        place = self.NAME.casefold()
        yield PaletteCommand(f"{place}: filter", "find by words", self.action_filter)
        yield PaletteCommand(f"{place}: copy command line", self.command, self.action_copy_command)


def _mishap(name: str, error: PalaverError) -> Sheet:
    return Sheet(name, "", (Fact("error", error.message, "$error"), Fact("fix", error.fix, "bold")))


def page_of(rows: Sequence[Row], *, before: int | None = None, after: int | None = None, limit: int) -> Sequence[Row]:
    """Part of rows that are all there, for the table."""
    if after is not None:
        return [row for row in rows if row.id > after][-limit:]
    return [row for row in rows if before is None or row.id < before][:limit]
