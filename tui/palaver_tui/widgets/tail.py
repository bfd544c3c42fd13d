"""The open end of an answer, as plain text: what is appended costs what it is long, not what stands before it."""

from __future__ import annotations

import re

from rich.segment import Segment
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from palaver.terminal import cells, safe_text

CARET = "▍"
_PIECES = re.compile(r"\n|[^\S\n]+|\S+")


class Tail(Widget):
    """Wraps by itself: only the last line can change when text is appended, so only that one is wrapped anew."""

    DEFAULT_CSS = "Tail { height: auto; width: 100%; }"

    def __init__(self) -> None:
        super().__init__(classes="tail")
        self._text = ""
        self._lines = [""]
        self._columns = 0
        self._is_writing = False

    @property
    def text(self) -> str:
        """What is shown."""
        return self._text

    def show(self, text: str, *, is_writing: bool) -> None:
        """Show this text, with a caret while it is being written."""
        before, had_caret = len(self._lines), self._is_writing
        added = text[len(self._text) :] if text.startswith(self._text) else None
        first = before - 1
        self._is_writing = is_writing
        if added is None:
            self._lines, first, added = [""], 0, text
        elif not added and had_caret == is_writing:
            return
        self._text = text
        if self._columns:
            self._lines[-1:] = wrap(self._lines[-1] + _shown(added), self._columns)
        if len(self._lines) != before or not self._columns:
            self.refresh(layout=True)
        else:
            self.refresh(Region(0, first, self.size.width, before - first))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        if width != self._columns:
            self._columns = width
            self._lines = wrap(_shown(self._text), width)
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        """A line as it was wrapped."""
        style = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(self.size.width, style)
        line = self._lines[y].rstrip() if y < len(self._lines) - 1 else self._lines[y]
        line += CARET * (self._is_writing and y == len(self._lines) - 1)
        return Strip([Segment(line, style)]).adjust_cell_length(self.size.width, style)


def _shown(text: str) -> str:
    return safe_text(text).expandtabs(4)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, but for spaces at their ends; joined they are the text without its newlines."""
    lines: list[str] = []
    line, used = "", 0
    for piece in _PIECES.findall(text):
        size = cells(piece)
        if piece == "\n":
            lines.append(line)
            line, used = "", 0
        elif piece[0].isspace() or used + size <= width:
            line, used = line + piece, used + size
        elif size <= width:
            lines.append(line)
            line, used = piece, size
        else:  # a word that fits no line is cut wherever the line ends
            for char in piece:
                one = cells(char)
                if used + one > width:
                    lines.append(line)
                    line, used = "", 0
                line, used = line + char, used + one
    return [*lines, line]
