"""A turn that is far up, drawn by one widget: the same columns as a live one, the answer as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textual.app import RenderResult
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from palaver.terminal import cells, clip, safe_line
from palaver_tui.widgets.text import plain, styled

LONGEST = 92
"""Columns of a text, as in the sheet of styles."""
RIGHT = 11
"""Columns at the right for time and speed."""
WIDE, NARROW = 104, 72
"""Columns of the terminal from which on the gutter is wider, and below which there is none."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a turn shows."""

    said: str
    when: str
    who: str
    place: str
    """`[2/3]`; may be empty."""
    output: str
    speed: str
    below: Sequence[Content]
    """Scores, notes and the like."""


class Still(Widget):
    """One turn, laid out anew only when its width changes."""

    DEFAULT_CSS = "Still { height: auto; width: 100%; }"

    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self._picture = picture
        self._made: tuple[int, int, Content] = (-1, 0, Content(""))

    def _lay_out(self, width: int) -> tuple[int, Content]:
        if self._made[0] != width:
            drawn = draw(self._picture, width, self.app.size.width)
            self._made = (width, drawn.plain.count("\n") + 1, drawn)
        return self._made[1], self._made[2]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._lay_out(width)[0]

    def render(self) -> RenderResult:
        """All its rows."""
        return self._lay_out(self.size.width)[1]


def draw(picture: Picture, width: int, screen: int) -> Content:
    """The turn in `width` columns of a terminal that is `screen` columns wide."""
    is_narrow = screen < NARROW
    gutter = 0 if is_narrow else 14 if screen >= WIDE else 10
    right = 0 if is_narrow else RIGHT
    rows: list[Content] = []
    if picture.said:
        rows += _row("you", plain(picture.said), picture.when, gutter, right, width)
        rows += [Content("")] * (not is_narrow)
    who = [safe_line(picture.who), *([picture.place] if picture.place else [])]
    rows += _row("\n".join(who), plain(picture.output), picture.speed, gutter, right, width)
    rows.append(Content(""))
    for one in picture.below:
        rows += [*_row("", one, "", gutter, right, width), Content("")]
    return Content("\n").join(rows)


def _row(who: str, text: Content, at_right: str, gutter: int, right: int, width: int) -> list[Content]:
    """A text with a label in the gutter and a word at the right; without a gutter the label stands above it."""
    room = max(1, min(LONGEST, width - gutter - right))
    lines = text.wrap(room) if text.plain.strip() else [Content("")]
    labels = [clip(one, gutter - 1) if gutter else one for one in who.split("\n")] if who else []
    if not gutter:
        return [*(styled((one, "$muted")) for one in labels), *lines]
    found: list[Content] = []
    for index in range(max(len(lines), len(labels))):
        label = labels[index] if index < len(labels) else ""
        line = lines[index] if index < len(lines) else Content("")
        pieces: list[Any] = [styled((label + " " * (gutter - cells(label)), "$muted")), line]
        if index == 0 and at_right:
            gap = width - gutter - line.cell_length - cells(at_right) - 1
            pieces.append(styled((" " * max(1, gap) + at_right, "$muted")))
        found.append(Content("").join(pieces))
    return found
