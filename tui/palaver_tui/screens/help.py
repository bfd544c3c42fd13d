"""Keys and commands on one page: of what has the focus first, then of the screen, then everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen

from palaver.terminal import safe_line
from palaver_tui.entries import Entry
from palaver_tui.places import EVERYWHERE, Keys
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.text import Text, styled

COLUMN = 16
"""Columns before the texts."""
AROUND = 6
"""Columns of the screen that the page leaves free."""
Section = tuple[str, Keys]
"""A title, and the keys below it."""


class HelpScreen(ModalScreen[None]):
    """A page to read; esc closes it."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar = [Binding("escape,f1,q", "dismiss", "close", show=False, id="help.close")]

    def __init__(self, sections: Sequence[Section], entries: Sequence[Entry] = ()) -> None:
        super().__init__()
        self._sections, self._entries = sections, entries

    def compose(self) -> ComposeResult:
        yield Header("Help")
        with VerticalScroll(id="help"):
            yield Text(id="help-text")
        yield Footer((Hint("esc", "close", 1), Hint("↑ ↓", "scroll", 2)))

    def on_mount(self) -> None:
        self.query_one("#help").focus()

    def on_resize(self, event: events.Resize) -> None:
        text = help_text(self._sections, self._entries, event.size.width - AROUND)
        self.query_one("#help-text", Text).show(text)


def sections_for(screen: Screen[object]) -> list[Section]:
    """The keys of the focused widget, of what holds it, and of everywhere."""
    found: list[Section] = []
    for node in (screen.focused or screen).ancestors_with_self:
        keys: Keys = getattr(node, "HELP_KEYS", ())
        if keys:
            found.append((_title(node), keys))
    return [*found, ("Everywhere", EVERYWHERE)]


def _title(node: DOMNode) -> str:
    """`HistoryScreen` is History."""
    title: str = getattr(node, "HELP_TITLE", "")
    return title or type(node).__name__.removesuffix("Screen")


def help_text(sections: Sequence[Section], entries: Sequence[Entry], width: int) -> Content:
    """Keys by section, then tasks and commands with what follows them, if there are any, in so many columns."""
    lines: list[Content] = []
    for title, keys in sections:
        lines += [Content("")] * bool(lines) + [styled((title, "bold")), Content("")]
        lines += [_hung(key, Content(safe_line(does)), width) for key, does in keys]
    if not entries:
        return Content("\n").join(lines)
    lines += [Content(""), styled(("Tasks and commands", "bold")), Content("")]
    for entry in entries:
        lines.append(_hung(entry.text, styled(entry.summary, (f"   {entry.usage}", "$muted")), width))
    lines += [
        Content(""),
        styled(("Every task takes --ref TEXT|@FILE, -m MODEL, -o KEY=VALUE (temperature, seed, …)", "$muted")),
    ]
    return Content("\n").join(lines)


def _hung(label: str, text: Content, width: int) -> Content:
    """A label, and a text that stays beside it however many rows it needs."""
    first, *others = text.wrap(max(10, width - COLUMN))
    head = styled((f"  {label}".ljust(COLUMN - 1) + " ", "$accent")) + first
    return Content("\n").join([head, *(Content(" " * COLUMN) + one for one in others)])
