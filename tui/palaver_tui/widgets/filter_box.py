"""The box a filter is typed in; tab completes the word that is being typed."""

from __future__ import annotations

from collections.abc import Sequence

from textual.binding import Binding
from textual.suggester import Suggester
from textual.widgets import Input


class FilterBox(Input):
    """An Input for filters: words, and `key:value` pairs whose values it was told."""

    BINDINGS = [Binding("tab", "complete", "complete", show=False, id="filter.complete")]

    def __init__(self, *, placeholder: str = "", id: str | None = None) -> None:
        self._words = _Words()
        super().__init__(placeholder=placeholder, suggester=self._words, compact=True, select_on_focus=False, id=id)

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
