"""Keys and commands on one page: of what has the focus first, then of the screen, then everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen

from palaver_tui.entries import Entry
from palaver_tui.places import EVERYWHERE, Keys
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.text import Text, styled

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
            yield Text(help_text(self._sections, self._entries))
        yield Footer((Hint("esc", "close", 1), Hint("↑ ↓", "scroll", 2)))

    def on_mount(self) -> None:
        self.query_one("#help").focus()


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


def help_text(sections: Sequence[Section], entries: Sequence[Entry]) -> Content:
    """Keys by section, then tasks and commands with what follows them, if there are any."""
    lines: list[Content] = []
    for title, keys in sections:
        lines += [Content("")] * bool(lines) + [styled((title, "bold")), Content("")]
        lines += [styled((f"  {key:<14}", "$accent"), does) for key, does in keys]
    if not entries:
        return Content("\n").join(lines)
    lines += [Content(""), styled(("Tasks and commands", "bold")), Content("")]
    for entry in entries:
        lines.append(styled((f"  {entry.text:<14}", "$accent"), entry.summary, (f"   {entry.usage}", "$muted")))
    lines += [
        Content(""),
        styled(("Every task takes --ref TEXT|@FILE, -m MODEL, -o KEY=VALUE (temperature, seed, …)", "$muted")),
    ]
    return Content("\n").join(lines)
