"""What an empty chat offers: things that work at once, and how much a download would take."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from palaver.terminal import cells, clip, safe_line
from palaver_tui.entries import Choice as Choice
from palaver_tui.widgets.text import Text, styled


class Start(Text):
    """The choices, narrow enough for the terminal."""

    def __init__(self, choices: Sequence[Choice], room: str) -> None:
        super().__init__(classes="start")
        self.choices = tuple(choices)
        self._room = room

    def on_mount(self) -> None:
        self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        self.show(start_text(self.choices, self._room, self.size.width))


def start_text(choices: Sequence[Choice], room: str, width: int) -> Content:
    """The whole start screen for a transcript `width` columns wide."""
    lines: list[Content] = [styled("   Nothing is loaded yet. These work right now, offline:"), Content("")]
    column = max(cells(choice.label) for choice in choices) + 2
    costs = max(cells(choice.cost) for choice in choices)
    is_download = False
    for number, choice in enumerate(choices, 1):
        if choice.is_download and not is_download:
            is_download = True
            lines += [Content(""), styled("   With one download:"), Content("")]
        left = max(0, min(width, 84) - 8 - column - costs - 3)
        does = clip(safe_line(choice.does), left)
        gap = " " * (left - cells(does) + 2)
        lines.append(
            styled(
                (f"     {number}  ", "$muted"),
                (choice.label.ljust(column), "$accent"),
                does,
                gap,
                (choice.cost.rjust(costs), "$muted"),
            )
        )
    lines += [Content(""), styled((f"   {room}", "$muted"))]
    return Content("\n").join(lines)
