"""Inputs of one line: nothing that a terminal would obey stays in them, and in a filter tab completes the word."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.suggester import Suggester
from textual.widgets import Input

from palaver.terminal import safe_text
from palaver_tui.widgets.text import Text, styled


class Line(Input):
    """An Input in which foreign text, typed or pasted, is made safe."""

    def __init__(self, *, placeholder: str = "", suggester: Suggester | None = None, id: str | None = None) -> None:
        super().__init__(placeholder=placeholder, suggester=suggester, compact=True, select_on_focus=False, id=id)

    def validate_value(self, value: str) -> str:
        """The value as it is kept."""
        return safe_text(value).replace("\n", " ").replace("\t", " ")


class FilterBox(Line):
    """A Line for filters: words, and `key:value` pairs whose values it was told."""

    BINDINGS = [Binding("tab", "complete", "complete", show=False, id="filter.complete")]

    def __init__(self, *, placeholder: str = "", id: str | None = None) -> None:
        self._words = _Words()
        super().__init__(placeholder=placeholder, suggester=self._words, id=id)

    def know(self, words: Sequence[str]) -> None:
        """Complete these from now on; what should be offered first comes first."""
        self._words.words = tuple(word for word in words if word.isprintable())

    async def action_complete(self) -> None:
        """Take the offered word; without one, go to the next field."""
        if (whole := await self._words.get_suggestion(self.value)) and self.cursor_at_end:
            self.value = whole
            self.action_end()
        else:
            self.screen.focus_next()


class Question(Horizontal):
    """A row that asks for one line of text; its Line posts `Input.Submitted`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._label = Text(id="ask-label")
        self._line = Line(id="ask")

    def compose(self) -> ComposeResult:
        yield self._label
        yield self._line

    def ask(self, label: str, value: str, hint: str) -> None:
        """Ask, with `value` there to be changed."""
        self._label.show(styled((f"{label} ❯", "$accent")))
        self._line.value = value
        self._line.placeholder = hint
        self._line.focus()


class _Words(Suggester):
    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.words: tuple[str, ...] = ()

    async def get_suggestion(self, value: str) -> str | None:
        typed = value.split(" ")[-1]
        sign = "-" if typed.startswith("-") else ""
        start = typed.removeprefix(sign)
        if not start:
            return None
        offered = next((word for word in self.words if word.startswith(start) and word != start), None)
        return value.removesuffix(typed) + sign + offered if offered else None
