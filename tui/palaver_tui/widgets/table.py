"""A table over any number of rows: it asks for pages as it goes and never holds more than a few hundred rows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events, work
from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from palaver.errors import PalaverError
from palaver.terminal import safe_line

PAGE = 200
"""Rows fetched in one go."""
KEEP = 1000
"""Rows held; beyond this the far end is let go."""
MARGIN = 60
"""The next page is fetched when the cursor comes this close to the last row held."""
GUTTER = 4
"""Cells left of the first column, for the cursor and the mark."""

Tone = Literal["", "muted", "error"]


@dataclass(frozen=True, slots=True)
class Cell:
    """Any text at all, and how it is inked."""

    text: str
    tone: Tone = ""
    number: str = ""
    """Stands at the right edge, so that the numbers of a column are in line."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; ids fall from the top to the bottom."""

    id: int
    cells: Mapping[str, Cell] = field(default_factory=dict)
    """By the names of the columns; a missing one is empty."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and how many cells it takes."""

    name: str
    title: str
    width: int = 0
    """0 takes what the others leave."""


Layout = tuple[int, tuple[Column, ...]]
"""The columns of a table that is at least this many cells wide."""


class Source(Protocol):
    """Where rows come from. Called in a thread, several calls may overlap."""

    def __call__(self, *, before: int | None = None, after: int | None = None, limit: int) -> Sequence[Row]:
        """The rows next to an id, highest id first: those below it, or the nearest ones above it."""
        ...


class Table(Widget, can_focus=True):
    """Rows from a Source, a cursor and marks."""

    DEFAULT_CSS = """
    Table {
        .table--title { color: $muted; }
        .table--cursor { background: $boost; text-style: bold; }
        .table--sign { color: $accent; }
        .table--muted { color: $muted; }
        .table--error { color: $error; }
    }
    """
    COMPONENT_CLASSES = {"table--title", "table--cursor", "table--sign", "table--muted", "table--error"}
    BINDINGS = [
        Binding("down,j", "move(1)", "next", show=False, id="table.down"),
        Binding("up,k", "move(-1)", "previous", show=False, id="table.up"),
        Binding("pagedown", "page(1)", "page down", show=False, id="table.pagedown"),
        Binding("pageup", "page(-1)", "page up", show=False, id="table.pageup"),
        Binding("home,g", "first", "first", show=False, id="table.first"),
        Binding("end,G", "last", "last", show=False, id="table.last"),
        Binding("x", "mark", "mark", show=False, id="table.mark"),
        Binding("enter", "open", "open", show=False, id="table.open"),
    ]

    @dataclass
    class Highlighted(Message):
        """The cursor is on another row, or on none."""

        row: int | None

    @dataclass
    class Opened(Message):
        """Enter, or a click on the row under the cursor."""

        row: int

    @dataclass
    class Marked(Message):
        """The marks have changed."""

        rows: frozenset[int]

    @dataclass
    class Loaded(Message):
        """The first page after `show` is there."""

        rows: int

    @dataclass
    class Failed(Message):
        """The source could not give rows."""

        error: PalaverError

    def __init__(self, layouts: Sequence[Layout], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._layouts = sorted(layouts, key=lambda layout: -layout[0])
        self._source: Source | None = None
        self._rows: list[Row] = []
        self._top = self._cursor = 0
        self._owed = 0
        """Steps asked for that led beyond the rows held; taken when the next page is there."""
        self._is_start = self._is_end = True
        self._is_loading = self._is_replacing = False
        self._marks: set[int] = set()

    @property
    def cursor(self) -> int | None:
        """The id of the row under the cursor."""
        return self._rows[self._cursor].id if self._rows else None

    @property
    def marks(self) -> frozenset[int]:
        """The ids of the marked rows, whether held or not."""
        return frozenset(self._marks)

    @property
    def rows(self) -> Sequence[Row]:
        """The rows held now."""
        return self._rows

    def show(self, source: Source, *, at: int | None = None) -> None:
        """Read rows from `source`, from the first one or around the one with the id `at`."""
        self._source = source
        self._load("around" if at is not None else "first", at)

    def put(self, row: Row) -> None:
        """Replace the row with this id, if it is held."""
        for index, one in enumerate(self._rows):
            if one.id == row.id:
                self._rows[index] = row
                self.refresh()

    def unmark(self, ids: frozenset[int]) -> None:
        """Take marks away."""
        if self._marks & ids:
            self._marks -= ids
            self.post_message(self.Marked(self.marks))
            self.refresh()

    # Fetching

    @work(exclusive=True, group="page")
    async def _load(self, what: Literal["first", "last", "around", "older", "newer"], at: int | None = None) -> None:
        source = self._source
        if source is None:
            return
        self._is_loading = True
        self._is_replacing = what in ("first", "last", "around")
        if self._is_replacing:
            self._owed = 0
        try:
            rows = await asyncio.to_thread(_fetch, source, what, at)
        except PalaverError as error:
            self._is_loading = self._is_replacing = False
            self.post_message(self.Failed(error))
            return
        self._is_loading = self._is_replacing = False
        self._take(what, at, rows)

    def _take(self, what: str, at: int | None, rows: list[Row]) -> None:
        if what == "older":
            self._rows += rows
            self._is_end = len(rows) < PAGE
            if (cut := len(self._rows) - KEEP) > 0:
                del self._rows[:cut]
                self._top, self._cursor, self._is_start = self._top - cut, self._cursor - cut, False
        elif what == "newer":
            self._rows[:0] = rows
            self._top, self._cursor = self._top + len(rows), self._cursor + len(rows)
            self._is_start = len(rows) < PAGE
            if len(self._rows) > KEEP:
                del self._rows[KEEP:]
                self._is_end = False
        else:
            self._rows = rows
            # A full answer may have more behind it; the extra fetch that finds nothing is cheap.
            self._is_start = what == "first" or (what == "last" and len(rows) < PAGE)
            self._is_end = what == "last" or (what == "first" and len(rows) < PAGE)
            self._cursor = len(rows) - 1 if what == "last" else _index(rows, at)
            self._top = max(0, self._cursor - self._height // 2)
            self.post_message(self.Loaded(len(rows)))
        owed, self._owed = self._owed, 0
        self._place(self._cursor + owed, is_new=True)

    def _want_more(self) -> None:
        if self._is_loading or not self._rows:
            return
        if not self._is_end and self._cursor + self._height + MARGIN >= len(self._rows):
            self._load("older", self._rows[-1].id)
        elif not self._is_start and self._cursor - self._height - MARGIN < 0:
            self._load("newer", self._rows[0].id)

    # Moving

    @property
    def _height(self) -> int:
        return max(1, self.size.height - 1)

    def _move(self, step: int) -> None:
        if self._is_replacing:  # other rows are on their way: typed ahead, it counts for these
            self._owed += step
        else:
            self._place(self._cursor + step)

    def _place(self, wanted: int, *, is_new: bool = False) -> None:
        before, last = self.cursor, max(0, len(self._rows) - 1)
        self._cursor = min(max(wanted, 0), last)
        if (wanted > last and not self._is_end) or (wanted < 0 and not self._is_start):
            self._owed += wanted - self._cursor
        self._top = min(max(self._top, self._cursor - self._height + 1), self._cursor)
        self._top = max(0, min(self._top, len(self._rows) - self._height))
        self.refresh()
        if is_new or self.cursor != before or not self._rows:
            self.post_message(self.Highlighted(self.cursor))
        self._want_more()

    def action_move(self, step: int) -> None:
        """Move the cursor by some rows."""
        self._move(step)

    def action_page(self, step: int) -> None:
        """Move the cursor by some screens."""
        if not self._is_replacing:
            self._top += step * (self._height - 1)
        self._move(step * (self._height - 1))

    def action_first(self) -> None:
        """Go to the row with the highest id."""
        if self._is_start:
            self._place(0)
        else:
            self._load("first")

    def action_last(self) -> None:
        """Go to the row with the lowest id."""
        if self._is_end:
            self._place(len(self._rows) - 1)
        else:
            self._load("last")

    def action_mark(self) -> None:
        """Mark the row under the cursor or take its mark away, and go to the next."""
        if (row := self.cursor) is not None:
            self._marks ^= {row}
            self.post_message(self.Marked(self.marks))
            self._move(1)

    def action_open(self) -> None:
        """Say that the row under the cursor is wanted in full."""
        if (row := self.cursor) is not None:
            self.post_message(self.Opened(row))

    def on_click(self, event: events.Click) -> None:
        """A click selects, a second one opens."""
        index = self._top + event.y - 1
        if event.y >= 1 and index < len(self._rows):
            if index == self._cursor:
                self.action_open()
            self._place(index)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._move(-3)

    def on_resize(self) -> None:
        self._place(self._cursor)

    # Drawing

    def render_line(self, y: int) -> Strip:
        """The titles, then a row a line."""
        width = self.size.width
        base = self.rich_style
        columns = _columns(self._layouts, width)
        index = self._top + y - 1
        if y == 0:
            title = base + self._ink("title")
            segments = [Segment(" " * GUTTER, title)]
            segments += [_segment(Cell(column.title), size, title) for column, size in columns]
        elif index < len(self._rows):
            segments = self._row(self._rows[index], columns, base, index == self._cursor)
        else:
            return Strip.blank(width, base)
        return Strip(segments).adjust_cell_length(width, base)

    def _row(self, row: Row, columns: list[tuple[Column, int]], base: Style, is_current: bool) -> list[Segment]:
        if is_current:
            base += self._ink("cursor")
        # The sign says where the cursor is when there is no colour.
        sign = " ❯" if is_current and self.has_focus else " ▸" if is_current else "  "
        segments = [
            Segment(sign, base + self._ink("sign")),
            Segment("x " if row.id in self._marks else "  ", base + self._ink("sign")),
        ]
        for column, size in columns:
            cell = row.cells.get(column.name, _EMPTY)
            segments.append(_segment(cell, size, base + self._ink(cell.tone) if cell.tone else base))
        return segments

    def _ink(self, name: str) -> Style:
        return self.get_component_rich_style(f"table--{name}", partial=True)


_EMPTY = Cell("")


def _fetch(source: Source, what: str, at: int | None) -> list[Row]:
    if what == "first":
        return list(source(limit=PAGE))
    if what == "last":
        return list(source(after=0, limit=PAGE))
    if what == "newer":
        return list(source(after=at, limit=PAGE))
    if what == "older":
        return list(source(before=at, limit=PAGE))
    here = (at or 0) + 1
    return [*source(after=here - 1, limit=PAGE // 2), *source(before=here, limit=PAGE)]


def _index(rows: Sequence[Row], at: int | None) -> int:
    """Where the row `at` stands, or the next one below if it is gone."""
    return next((index for index, row in enumerate(rows) if at is not None and row.id <= at), 0)


def _columns(layouts: Sequence[Layout], width: int) -> list[tuple[Column, int]]:
    """The columns that a table this wide has, with their sizes; two cells between any two of them."""
    columns = next((columns for least, columns in layouts if width >= least), layouts[-1][1])
    fixed = sum(column.width + 2 for column in columns)
    rest = max(0, width - GUTTER - fixed)
    return [(column, column.width or rest) for column in columns]


def _segment(cell: Cell, size: int, style: Style) -> Segment:
    number = safe_line(cell.number, size)
    room = size - cell_len(number)
    return Segment(set_cell_size(safe_line(cell.text[: 4 * room], room), room) + number + "  ", style)
