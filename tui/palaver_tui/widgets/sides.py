"""Answers side by side where there is room, one below the other where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content

from palaver_tui.widgets.text import Text

BESIDE = 104
"""Columns from which two answers stand side by side."""
NARROWEST = 40
"""Cells that a column of text has at least."""


@dataclass(frozen=True, slots=True)
class Side:
    """One answer as it is drawn."""

    title: Content
    body: Content
    foot: Content
    """Scores, time, what went wrong."""


class Sides(VerticalScroll):
    """Any number of answers; scrolls when they are long."""

    DEFAULT_CSS = """
    Sides {
        scrollbar-size-vertical: 1;
        scrollbar-color: $hairline;
        scrollbar-color-hover: $muted;
        scrollbar-color-active: $muted;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        #columns { height: auto; layout: vertical; }
        .side { height: auto; width: 1fr; border-left: solid $hairline; padding: 0 1; margin: 0 1 1 0; }
        .side-title, .side-body, .side-foot { height: auto; }
        .side-foot { margin: 1 0 0 0; }
        &.-beside #columns { layout: horizontal; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: list[_SideView] = []
        self._count = 0

    def compose(self) -> ComposeResult:
        yield Container(id="columns")

    def show(self, sides: Sequence[Side]) -> None:
        """Replace what is shown; the places of the texts stay, so that nothing jumps while they grow."""
        columns = self.query_one("#columns")
        while len(self._shown) < len(sides):
            view = _SideView()
            self._shown.append(view)
            columns.mount(view)
        while len(self._shown) > len(sides):
            self._shown.pop().remove()
        self._count = len(sides)
        self._arrange()
        for view, side in zip(self._shown, sides, strict=True):
            view.show(side)

    def on_resize(self) -> None:
        self._arrange()

    def _arrange(self) -> None:
        width = self.app.size.width
        self.set_class(width >= BESIDE and width >= NARROWEST * self._count, "-beside")


class _SideView(Vertical):
    def __init__(self) -> None:
        super().__init__(classes="side")
        self._parts = [Text(classes=f"side-{name}") for name in ("title", "body", "foot")]

    def compose(self) -> ComposeResult:
        yield from self._parts

    def show(self, side: Side) -> None:
        for part, content in zip(self._parts, (side.title, side.body, side.foot), strict=True):
            part.show(content)
