"""A table over any number of rows: it asks for pages as it goes and never holds more than a few hundred rows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

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
from palaver_tui.widgets.window import Cell, Part, Row, Source, Window, fetch

GUTTER = 4
"""Cells left of the first column, for the cursor and the mark."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and how many cells it takes."""

    name: str
    title: str
    width: int = 0
    """0 takes what the others leave."""


Layout = tuple[int, tuple[Column, ...]]
"""The columns of a table that is at least this many cells wide."""


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
        self._window = Window()
        self._is_loading = self._is_replacing = False
        self._marks: set[int] = set()

    @property
    def cursor(self) -> int | None:
        """The id of the row under the cursor."""
        return self._window.current

    @property
    def marks(self) -> frozenset[int]:
        """The ids of the marked rows, whether held or not."""
        return frozenset(self._marks)

    @property
    def rows(self) -> Sequence[Row]:
        """The rows held now."""
        return self._window.rows

    def show(self, source: Source, *, at: int | None = None) -> None:
        """Read rows from `source`, from the first one or around the one with the id `at`."""
        self._source = source
        self._load("around" if at is not None else "first", at)

    def put(self, row: Row) -> None:
        """Replace the row with this id, if it is held."""
        rows = self._window.rows
        rows[:] = [row if one.id == row.id else one for one in rows]
        self.refresh()

    def unmark(self, ids: frozenset[int]) -> None:
        """Take marks away."""
        if self._marks & ids:
            self._marks -= ids
            self.post_message(self.Marked(self.marks))
            self.refresh()

    # Fetching

    @work(exclusive=True, group="page")
    async def _load(self, part: Part, at: int | None = None) -> None:
        source = self._source
        if source is None:
            return
        self._is_loading = True
        self._is_replacing = part in ("first", "last", "around")
        if self._is_replacing:
            self._window.owed = 0
        try:
            rows = await asyncio.to_thread(fetch, source, part, at)
        except PalaverError as error:
            self.post_message(self.Failed(error))
            return
        finally:
            self._is_loading = self._is_replacing = False
        self._window.take(part, at, rows)
        if part not in ("older", "newer"):
            self.post_message(self.Loaded(len(rows)))
            self.post_message(self.Highlighted(self.cursor))
        self._look()

    def _look(self) -> None:
        self.refresh()
        if not self._is_loading and (wanted := self._window.wanted()):
            self._load(*wanted)

    # Moving

    def _move(self, step: int) -> None:
        if self._is_replacing:  # other rows are on their way: typed ahead, it counts for these
            self._window.owed += step
        else:
            self._place(self._window.cursor + step)

    def _place(self, wanted: int) -> None:
        before = self.cursor
        self._window.place(wanted)
        if self.cursor != before:
            self.post_message(self.Highlighted(self.cursor))
        self._look()

    def action_move(self, step: int) -> None:
        """Move the cursor by some rows."""
        self._move(step)

    def action_page(self, step: int) -> None:
        """Move the cursor by some screens."""
        steps = step * (self._window.height - 1)
        if not self._is_replacing:
            self._window.top += steps
        self._move(steps)

    def action_first(self) -> None:
        """Go to the row with the highest id."""
        if self._window.is_start:
            self._place(0)
        else:
            self._load("first")

    def action_last(self) -> None:
        """Go to the row with the lowest id."""
        if self._window.is_end:
            self._place(len(self.rows) - 1)
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
        index = self._window.top + event.y - 1
        if event.y >= 1 and index < len(self.rows):
            if index == self._window.cursor:
                self.action_open()
            self._place(index)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._move(-3)

    def on_resize(self) -> None:
        self._window.height = max(1, self.size.height - 1)
        self._place(self._window.cursor)

    # Drawing

    def render_line(self, y: int) -> Strip:
        """The titles, then a row a line."""
        width = self.size.width
        base = self.rich_style
        columns = _columns(self._layouts, width)
        index = self._window.top + y - 1
        if y == 0:
            title = base + self._ink("title")
            segments = [Segment(" " * GUTTER, title)]
            segments += [_segment(Cell(column.title), size, title) for column, size in columns]
        elif index < len(self.rows):
            segments = self._row(self.rows[index], columns, base, index == self._window.cursor)
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
