"""Keys and commands on one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen

from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.menu import Entry
from palaver_tui.widgets.text import Text, styled

KEYS = (
    ("enter", "send, or run a command"),
    ("ctrl+j", "new line; a line that ends in \\ goes on too"),
    ("↑ ↓", "on the first and last line: earlier prompts"),
    ("tab", "complete a command, model or file; after an error: what helps"),
    ("/ and @", "tasks and commands; files"),
    ("!!", "the last question again"),
    ("esc", "stop and keep the text so far; close; back. Never quits"),
    ("alt+↑ ↓", "go to an answer: y copies, r gives a reference, enter shows where it came from"),
    ("pgup pgdn", "scroll"),
    ("ctrl+g", "go to: c Chat, h History"),
    ("ctrl+p", "all commands and themes"),
    ("ctrl+q", "quit"),
)
HISTORY_KEYS = (
    ("/", "filter; tab completes, enter goes to the rows"),
    ("↑ ↓ pgup pgdn", "move"),
    ("enter", "the turn in full"),
    ("x", "mark; d and e then mean the marked turns"),
    ("r", "give a reference, which scores the turn"),
    ("1–5, 0", "rate, and take the rating back"),
    ("a", "note"),
    ("d", "delete the turn, or the marked ones"),
    ("u", "undo: bring back what was deleted, until the screen is left"),
    ("e", "export the marked turns, or all that the filter finds"),
    ("y", "copy the output"),
    ("ctrl+t", "copy the command line that lists the same turns"),
    ("esc", "close; back to the chat"),
    ("ctrl+g", "go to: c Chat, h History"),
    ("ctrl+p", "all commands and themes"),
    ("ctrl+q", "quit"),
)


class HelpScreen(ModalScreen[None]):
    """A page to read; esc closes it."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar = [Binding("escape,f1,q", "dismiss", "close", show=False, id="help.close")]

    def __init__(self, entries: Sequence[Entry] = (), *, keys: Sequence[tuple[str, str]] = KEYS) -> None:
        super().__init__()
        self._entries, self._keys = entries, keys

    def compose(self) -> ComposeResult:
        yield Header("Help")
        with VerticalScroll(id="help"):
            yield Text(help_text(self._entries, self._keys))
        yield Footer((Hint("esc", "close", 1), Hint("↑ ↓", "scroll", 2)))

    def on_mount(self) -> None:
        self.query_one("#help").focus()


def help_text(entries: Sequence[Entry], keys: Sequence[tuple[str, str]]) -> Content:
    """Keys, then tasks and commands with what follows them, if there are any."""
    lines = [styled(("Keys", "bold")), Content("")]
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
