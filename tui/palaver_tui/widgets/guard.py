"""The last look at every rendered line before the terminal gets it."""

from __future__ import annotations

from typing import Any

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.color import Color
from textual.filter import LineFilter

from palaver.terminal import safe_text


class TerminalGuard(LineFilter):
    """The backstop: takes from every rendered line what a terminal would obey, whichever widget let it through."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [_guarded(segment) for segment in segments]


def _guarded(segment: Segment) -> Segment:
    text, style, control = segment
    clean = text if text.isascii() and text.isprintable() else safe_text(text).replace("\n", " ")
    if style is not None and style.link and (not style.link.isprintable()):
        style = _unlinked(style)
    return segment if clean is text and style is segment.style else Segment(clean, style, control)


def _unlinked(style: RichStyle) -> RichStyle:
    copy: Any = style.update_link(None)
    return copy if isinstance(copy, RichStyle) else style
