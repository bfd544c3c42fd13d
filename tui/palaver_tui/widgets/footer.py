"""The last row of every screen: at most eight keys, the least needed ones leave first, none is ever cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from palaver.terminal import cells
from palaver_tui.widgets.text import styled

MOST = 8


@dataclass(frozen=True, slots=True)
class Hint:
    """A key and what it does here."""

    key: str
    does: str
    need: int
    """1 stays longest."""
    binding: str = ""
    """Id of the binding: where the user gave it another key, that one is shown."""


class Footer(Widget):
    """The hints that fit."""

    DEFAULT_CSS = "Footer { height: 1; dock: bottom; }"

    hints: reactive[tuple[Hint, ...]] = reactive(())

    def __init__(self, hints: Sequence[Hint] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.set_reactive(Footer.hints, tuple(hints))

    def render(self) -> RenderResult:
        """One row of whole hints."""
        own = getattr(self.app, "own_keys", {})
        hints = [
            replace(one, key=own[one.binding].partition(",")[0]) if one.binding in own else one for one in self.hints
        ]
        return footer_line(hints, self.size.width)


def footer_line(hints: Sequence[Hint], width: int) -> Content:
    """The row for a terminal `width` columns wide."""
    pieces: list[str | tuple[str, str]] = []
    for hint in fitting(hints, width):
        pieces += ["   " if pieces else " ", hint.key, (f" {hint.does}", "$muted")]
    return styled(*pieces)


def fitting(hints: Sequence[Hint], width: int) -> list[Hint]:
    """The hints that fit into `width` cells, in their order; those with the highest `need` are left out first."""
    kept = sorted(hints, key=lambda hint: hint.need)[:MOST]
    while kept and 1 + sum(cells(hint.key) + 1 + cells(hint.does) + 3 for hint in kept) - 3 > width:
        kept.pop()
    return [hint for hint in hints if hint in kept]
