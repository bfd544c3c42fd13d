"""The few hundred rows of a long table that are held, and where the cursor stands among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

PAGE = 200
"""Rows fetched in one go."""
KEEP = 1000
"""Rows held; beyond this the far end is let go."""
MARGIN = 60
"""The next page is wanted when the cursor comes this close to the last row held."""

Tone = Literal["", "muted", "error"]
Part = Literal["first", "last", "around", "older", "newer"]
"""Which rows a page has: the highest ids, the lowest, those around a row, those below the held ones, those above."""


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


class Source(Protocol):
    """Where rows come from. Called in a thread, several calls may overlap."""

    def __call__(self, *, before: int | None = None, after: int | None = None, limit: int) -> Sequence[Row]:
        """The rows next to an id, highest id first: those below it, or the nearest ones above it."""
        ...


def fetch(source: Source, part: Part, at: int | None) -> list[Row]:
    """A page of the source; `at` is the id that `around`, `older` and `newer` speak of."""
    if part == "first":
        return list(source(limit=PAGE))
    if part == "last":
        return list(source(after=0, limit=PAGE))
    if part == "newer":
        return list(source(after=at, limit=PAGE))
    if part == "older":
        return list(source(before=at, limit=PAGE))
    here = at or 0
    return [*source(after=here, limit=PAGE // 2), *source(before=here + 1, limit=PAGE)]


class Window:
    """Rows in a row, none missing between them, with a cursor and the first row that is in view."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.top = self.cursor = 0
        self.height = 1
        """Rows in view."""
        self.owed = 0
        """Steps that led beyond the rows held; taken when the next page is there."""
        self.is_start = self.is_end = True
        """Nothing is above the first row held, nothing below the last."""

    @property
    def current(self) -> int | None:
        """The id of the row under the cursor."""
        return self.rows[self.cursor].id if self.rows else None

    def take(self, part: Part, at: int | None, rows: Sequence[Row]) -> None:
        """A page has come."""
        if part == "older":
            self._append(rows)
        elif part == "newer":
            self._prepend(rows)
        else:
            self.rows = list(rows)
            # A full page may have more behind it; a page too many that turns out empty costs little.
            self.is_start = part == "first" or (part == "last" and len(rows) < PAGE)
            self.is_end = part == "last" or (part == "first" and len(rows) < PAGE)
            self.cursor = len(rows) - 1 if part == "last" else _index(rows, at)
            self.top = max(0, self.cursor - self.height // 2)
        owed, self.owed = self.owed, 0
        self.place(self.cursor + owed)

    def place(self, wanted: int) -> None:
        """Put the cursor on the row with this index, as far as rows are held, and into view."""
        last = max(0, len(self.rows) - 1)
        self.cursor = min(max(wanted, 0), last)
        if (wanted > last and not self.is_end) or (wanted < 0 and not self.is_start):
            self.owed += wanted - self.cursor
        self.top = min(max(self.top, self.cursor - self.height + 1), self.cursor)
        self.top = max(0, min(self.top, len(self.rows) - self.height))

    def wanted(self) -> tuple[Part, int] | None:
        """The page to fetch next, if the cursor comes near an end of the rows held."""
        if self.rows and not self.is_end and self.cursor + self.height + MARGIN >= len(self.rows):
            return "older", self.rows[-1].id
        if self.rows and not self.is_start and self.cursor - self.height - MARGIN < 0:
            return "newer", self.rows[0].id
        return None

    def _append(self, rows: Sequence[Row]) -> None:
        self.rows += rows
        self.is_end = len(rows) < PAGE
        if (cut := len(self.rows) - KEEP) > 0:
            del self.rows[:cut]
            self.top, self.cursor, self.is_start = self.top - cut, self.cursor - cut, False

    def _prepend(self, rows: Sequence[Row]) -> None:
        self.rows[:0] = rows
        self.top, self.cursor = self.top + len(rows), self.cursor + len(rows)
        self.is_start = len(rows) < PAGE
        if len(self.rows) > KEEP:
            del self.rows[KEEP:]
            self.is_end = False


def _index(rows: Sequence[Row], at: int | None) -> int:
    """Where the row `at` stands, or the next one below if it is gone."""
    below = (index for index, row in enumerate(rows) if at is not None and row.id <= at)
    return next(below, max(0, len(rows) - 1) if at is not None else 0)
