"""How full a model's window is, at the right end of the row above the prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from palaver_tui.widgets.text import styled

if TYPE_CHECKING:
    from palaver.window import ContextUse

BAR = 10
"""Cells of the bar."""
WIDE, NORMAL = 104, 72
"""Columns of the terminal from which on the bar is drawn, and the numbers are said."""
FULL = 0.9
"""From this share on the meter is inked as a warning."""


def meter_line(use: ContextUse | None, width: int) -> Content:
    """`━━━━━━━━━━ 1,203 of 8,192 tokens (15 %)`, or as much of it as a terminal `width` columns wide has room for."""
    if use is None or not str(use):
        return Content("")
    said = str(use)
    if width < NORMAL:
        said = f"{round(100 * use.share)} %" if use.share is not None else said
    if use.forgotten:
        said += f" · {use.forgotten} left out"
    style = "$worse" if use.forgotten or (use.share or 0) >= FULL else "$muted"
    pieces: list[str | tuple[str, str]] = []
    if use.share is not None and width >= WIDE:
        filled = round(use.share * BAR)
        pieces += [("━" * filled, style), ("━" * (BAR - filled), "$hairline"), " "]
    return styled(*pieces, (said, style))
