"""Two curves drawn with characters: a line of dots and a row of marks, told apart by their shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import RenderResult
from textual.content import Content
from textual.widget import Widget

from palaver.terminal import cells
from palaver_tui.widgets.text import styled

Points = Sequence[tuple[int, float]]
MARK, BEST = "o", "◆"
_BRAILLE, _DOTS = 0x2800, ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_LEFT_OUT = 0.04
"""Share of the steps at whose beginning a loss may be above the plot: it would press all else to the ground."""


@dataclass(frozen=True, slots=True)
class Curves:
    """What is plotted."""

    line: Points = ()
    marks: Points = ()
    best: tuple[int, float] | None = None
    steps: int = 0
    """The right end; later points move it."""


class Plot(Widget):
    """Curves over steps, in whatever room there is."""

    DEFAULT_CSS = "Plot { height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._curves = Curves()

    def show(self, curves: Curves) -> None:
        """Replace what is shown."""
        if curves != self._curves:
            self._curves = curves
            self.refresh()

    def render(self) -> RenderResult:
        """The plot for this size."""
        return draw(self._curves, self.size.width, self.size.height)


def draw(curves: Curves, width: int, height: int) -> Content:
    """`height` rows: a legend, the plot with three values at the left, the steps below it."""
    points = [*curves.line, *curves.marks]
    rows = height - 2
    if not points or rows < 2 or width < 24:
        return styled(("  no loss yet" if not points else "", "$muted"))
    steps = max(curves.steps, max(step for step, _ in points), 1)
    later = [loss for step, loss in points if step >= _LEFT_OUT * steps] or [loss for _, loss in points]
    low, high = min(loss for _, loss in points), max(later)
    high = high if high > low else low + 0.01
    is_cut = max(loss for _, loss in points) > high
    labels = {0: f"{high:.2f}" + ("+" if is_cut else ""), rows // 2: "", rows - 1: f"{low:.2f}"}
    labels[rows // 2] = f"{high - (high - low) * (rows // 2) / (rows - 1):.2f}" if rows > 4 else ""
    gutter = max(cells(one) for one in labels.values()) + 2
    columns = width - gutter - 2

    def place(step: int, loss: float, across: int, down: int) -> tuple[int, int]:
        x = round(step / steps * (across - 1))
        y = round((high - min(loss, high)) / (high - low) * (down - 1))
        return min(max(x, 0), across - 1), min(max(y, 0), down - 1)

    dots = [[0] * columns for _ in range(rows)]
    before: tuple[int, int] | None = None
    for step, loss in curves.line:
        at = place(step, loss, columns * 2, rows * 4)
        for x, y in _between(before or at, at):
            dots[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
        before = at
    marks: dict[tuple[int, int], str] = {}
    for step, loss in curves.marks:
        marks[place(step, loss, columns, rows)] = MARK
    if curves.best is not None and curves.marks:
        marks[place(*curves.best, columns, rows)] = BEST
    drawn = [styled((" " * gutter, "$muted"), *_legend(curves, columns))]
    for row in range(rows):
        label = labels.get(row, "")
        drawn.append(styled((f"{label:>{gutter - 1}} ", "$muted"), *_row(row, dots[row], marks), " "))
    end = f"{steps:,} steps"
    drawn.append(styled((" " * gutter + "0" + " " * max(1, columns - 1 - cells(end)) + end, "$muted")))
    return Content("\n").join(drawn)


def _legend(curves: Curves, room: int) -> list[str | tuple[str, str]]:
    found: list[str | tuple[str, str]] = []
    told = [("⠒⠒", "$accent", "training   ")]
    told += [(MARK, "bold", "validation   "), (BEST, "bold", "best   ")] if curves.marks else []
    for sign, style, text in (*told, ("loss", "$muted", "")):
        room -= cells(f"{sign} {text}")
        if room < 0:
            break
        found += [(sign, style), f" {text}"]
    return found


def _row(row: int, dots: Sequence[int], marks: dict[tuple[int, int], str]) -> list[str | tuple[str, str]]:
    """Stretches of one row that are inked alike."""
    found: list[tuple[str, str]] = []
    for column, value in enumerate(dots):
        mark = marks.get((column, row), "")
        piece = (mark, "bold") if mark else (chr(_BRAILLE + value) if value else " ", "$accent")
        if found and found[-1][1] == piece[1]:
            found[-1] = (found[-1][0] + piece[0], piece[1])
        else:
            found.append(piece)
    return list(found)


def _between(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """The dots of a line."""
    far = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (start[0] + round((end[0] - start[0]) * at / far), start[1] + round((end[1] - start[1]) * at / far))
        for at in range(far + 1)
    ]
