"""The first row of every screen: where am I, and what is loaded."""

from __future__ import annotations

from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from palaver.terminal import cells, clip, safe_line
from palaver_tui.go import Go
from palaver_tui.places import PLACES
from palaver_tui.widgets.text import styled

FOLDED = 104
"""Columns below which the other screens' names leave."""
LEFT = " palaver"
GAP = "  "


class Header(Widget):
    """The screens, this one in ink, and at the right end a state such as `● smollm2 93 MB · cpu`."""

    DEFAULT_CSS = "Header { height: 1; dock: top; }"

    state: reactive[str] = reactive("")

    def __init__(self, current: str, state: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._current = current
        self.set_reactive(Header.state, state)

    def render(self) -> RenderResult:
        """One row, the state cut before the names are."""
        return header_line(self._current, self.state, self.size.width)

    def on_click(self, event: events.Click) -> None:
        """A name goes to its screen, the folded one asks for a letter."""
        at = len(LEFT)
        for name in shown_names(self._current, self.size.width):
            if at < event.x + 1 <= at + len(GAP) + cells(name):
                self.post_message(Go("" if name.endswith("▾") else name))
            at += len(GAP) + cells(name)


def shown_names(current: str, width: int) -> list[str]:
    """The screens that the row names: all, or where there is little room this one with a sign that there are more."""
    names = [place.name for place in PLACES]
    if width < FOLDED:
        return [f"{current} ▾"]
    return names if current in names else [*names, current]


def header_line(current: str, state: str, width: int) -> Content:
    """The row for a terminal `width` columns wide."""
    pieces: list[str | tuple[str, str]] = [(LEFT, "$muted")]
    for name in shown_names(current, width):
        pieces += [GAP, (name, "bold $accent" if name.removesuffix(" ▾") == current else "$muted")]
    left = styled(*pieces)
    room = width - left.cell_length - 3
    said = fold(state, room)
    return left + styled(" " * max(2, width - 1 - left.cell_length - cells(said)), (said, "$muted"))


def fold(state: str, room: int) -> str:
    """`state` in `room` cells: its last parts, set off by `·` or two spaces, leave first."""
    said = safe_line(state)
    while cells(said) > room:
        shorter = said.rpartition(" · ")[0]
        if not shorter:
            return clip(said, max(0, room))
        said = shorter
    return said
