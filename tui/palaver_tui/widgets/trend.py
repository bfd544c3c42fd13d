"""One line of small bars: how each model's score went over the days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import RenderResult
from textual.widget import Widget

from palaver.terminal import cells, safe_line
from palaver_tui.widgets.text import styled

LONGEST_NAME = 20


@dataclass(frozen=True, slots=True)
class Trend:
    """A model's mean score a day, oldest first, on a scale that all models of the line share."""

    model: str
    bars: str
    latest: str


class TrendLine(Widget):
    """The trends that fit, whole ones only; without any it takes no room."""

    DEFAULT_CSS = "TrendLine { height: 1; display: none; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._title = ""
        self._trends: Sequence[Trend] = ()

    def show(self, title: str, trends: Sequence[Trend]) -> None:
        """Replace what is shown; `title` names the score."""
        self._title, self._trends = title, trends
        self.set_class(bool(trends), "-shown")
        self.refresh()

    def render(self) -> RenderResult:
        """The line for this width."""
        title = safe_line(f"{self._title} by day", LONGEST_NAME)
        room = self.size.width - cells(title)
        pieces: list[str | tuple[str, str]] = [(title, "bold")]
        for trend in self._trends:
            name = safe_line(trend.model, LONGEST_NAME)
            room -= 5 + cells(f"{name}{trend.bars}{trend.latest}")
            if room < 0:
                break
            pieces += ["  ", (name, "$muted"), f" {trend.bars} {trend.latest} "]
        return styled(*pieces)
