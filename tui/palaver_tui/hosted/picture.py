"""Rows of a screen as values: pieces of text, each with its style in words, which a frame carries."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rich.errors import StyleSyntaxError
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

Row = list[list[str]]
"""Pieces: text, style."""


def told(strip: Strip) -> Row:
    """A row as values. Links and what a click on the text would do stay where the row was drawn."""
    return [[segment.text, _words(segment.style)] for segment in strip if not segment.control]


def drawn(row: object, width: int) -> Strip:
    """The row that these values tell of, as wide as it has to be; what is no row is an empty one."""
    pieces = row if isinstance(row, list) else []
    segments = [
        Segment(one[0], _style(one[1]))
        for one in pieces
        if isinstance(one, list) and len(one) == 2 and all(isinstance(part, str) for part in one)
    ]
    return Strip(segments).adjust_cell_length(width)


def changed(before: Sequence[Strip], now: Sequence[Strip]) -> dict[int, Strip]:
    """The rows that are not as they were, by their place."""
    return {at: strip for at, strip in enumerate(now) if at >= len(before) or strip != before[at]}


@lru_cache(maxsize=4096)
def _words(style: Style | None) -> str:
    return "" if style is None else str(style.update_link(None))


@lru_cache(maxsize=4096)
def _style(words: str) -> Style:
    try:
        return Style.parse(words)
    except StyleSyntaxError:
        return Style.null()
