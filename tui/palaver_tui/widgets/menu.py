"""The menu above the prompt: what `/` and `@` can be completed to."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from palaver.terminal import cells, clip, safe_line
from palaver_tui.entries import Entry as Entry
from palaver_tui.widgets.text import styled

ROWS = 6
"""Entries shown at once."""


class Menu(Widget):
    """Entries, one of them chosen; hidden while there are none."""

    class Picked(Message):
        """An entry was chosen with the mouse."""

    DEFAULT_CSS = "Menu { height: auto; display: none; }"

    entries: reactive[tuple[Entry, ...]] = reactive((), layout=True)
    chosen: reactive[int] = reactive(0)
    enter: reactive[str] = reactive("run")
    """What the enter key does with the chosen entry: run, complete or send."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._total = 0

    @property
    def entry(self) -> Entry | None:
        """The chosen entry, None while the menu is closed."""
        return self.entries[self.chosen] if self.entries else None

    def open(self, entries: Sequence[Entry], total: int) -> None:
        """Show the entries that match, of so many in all."""
        self._total = total
        if self.entries != tuple(entries):
            self.set_reactive(Menu.chosen, 0)
            self.entries = tuple(entries)
        self.display = bool(entries)

    def close(self) -> None:
        """Hide the menu."""
        self.open((), 0)

    def move(self, step: int) -> None:
        """Choose the next or the previous entry."""
        if self.entries:
            self.chosen = (self.chosen + step) % len(self.entries)

    def on_click(self, event: events.Click) -> None:
        """Choose the entry below the pointer."""
        at = self._first + event.y
        if event.y < ROWS and at < len(self.entries):
            self.chosen = at
            self.post_message(self.Picked())

    @property
    def _first(self) -> int:
        """The first entry in view."""
        return max(0, min(self.chosen - ROWS // 2, len(self.entries) - ROWS))

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return min(ROWS, len(self.entries)) + 1

    def render(self) -> RenderResult:
        """The entries around the chosen one, and a line that says how to choose."""
        entry = self.entry
        if entry is None:
            return Content("")
        width = self.size.width
        shown = self.entries[self._first : self._first + ROWS]
        column = max(cells(one.text) for one in self.entries) + 2
        lines = [_line(one, one is entry, column, width) for one in shown]
        tail = f"{self.chosen + 1} of {len(self.entries)} · tab completes · enter {self.enter}s"
        tail += f" · from {entry.origin}" if entry.origin else ""
        lines.append(styled(("   " + clip(safe_line(tail), max(0, width - 4)), "$muted")))
        return Content("\n").join(lines)


def _line(entry: Entry, is_chosen: bool, column: int, width: int) -> Content:
    name = clip(safe_line(entry.text), column)
    sign = " ❯ " if is_chosen else "   "
    rest = clip(safe_line(entry.summary), max(0, min(46, width - column - 5)))
    usage = ""
    if (left := width - column - 5 - 48) > 12:
        usage = clip(safe_line(entry.usage), left)
    name_style = "bold $accent" if is_chosen else ""
    padded = name + " " * (column - cells(name))
    gap = " " * max(2, 48 - cells(rest)) if usage else ""
    return styled((sign, "$accent"), (padded, name_style) if name_style else padded, rest, gap, (usage, "$muted"))


def matching(entries: Sequence[Entry], typed: str) -> list[Entry]:
    """The entries whose letters hold the typed ones in order: the text itself, beginnings, middles, scattered."""
    wanted = typed.casefold()
    inner = wanted.lstrip("/@-")
    found: list[tuple[int, int, Entry]] = []
    for index, entry in enumerate(entries):
        text = entry.text.casefold()
        claims = (text == wanted.strip(), text.startswith(wanted), inner in text, _scattered(wanted, text))
        if True in claims:
            found.append((claims.index(True), index, entry))
    return [entry for _, _, entry in sorted(found, key=lambda one: one[:2])]


def _scattered(wanted: str, text: str) -> bool:
    letters = iter(text)
    return all(letter in letters for letter in wanted)
