"""The prompt: enter sends, ctrl+j breaks the line, a paste never sends, and earlier prompts come back."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea

from palaver.terminal import safe_text
from palaver_tui.widgets.text import plain

LARGEST_PASTE = 100_000
"""Characters; a longer paste is handed up, because laying it out would stop the screen."""
REMEMBERED = 500
"""Prompts that can be called back."""


class Prompt(TextArea):
    """A text of any number of lines. It is never locked, and never loses its text by itself."""

    BINDINGS = [
        Binding("enter", "send", "send", show=False, id="prompt.send"),
        Binding("ctrl+j,shift+enter", "newline", "new line", show=False, id="prompt.newline"),
        Binding("tab", "complete", "complete", show=False, id="prompt.complete"),
        Binding("up", "older", "earlier prompt", show=False, id="prompt.older"),
        Binding("down", "newer", "later prompt", show=False, id="prompt.newer"),
    ]

    @dataclass
    class Sent(Message):
        """Enter was pressed."""

        text: str

    @dataclass
    class Completed(Message):
        """Tab was pressed."""

        text: str

    @dataclass
    class Stepped(Message):
        """An arrow was pressed while the menu is open."""

        step: int

    @dataclass
    class PastedMuch(Message):
        """More was pasted than a prompt can show."""

        text: str

    def __init__(self, *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(
            id=id, compact=True, soft_wrap=True, highlight_cursor_line=False, placeholder=plain(placeholder)
        )
        self.menu_is_open = False
        """The screen says so: arrows then move in the menu."""
        self._earlier: list[str] = []
        self._place = 0
        self._draft = ""

    def remember(self, text: str) -> None:
        """Make `text` the prompt that the up arrow brings back first."""
        if text.strip() and self._earlier[-1:] != [text]:
            self._earlier = [*self._earlier, text][-REMEMBERED:]
        self._place, self._draft = len(self._earlier), ""

    def put(self, text: str) -> None:
        """Replace the text, with the cursor at its end; one undo away."""
        self.replace(text, self.document.start, self.document.end)
        self.move_cursor(self.document.end)

    def add(self, text: str) -> None:
        """Insert what was typed or pasted elsewhere, and take the focus."""
        self.focus()
        self.insert(text)

    def action_send(self) -> None:
        """Hand the text up; after a backslash, break the line instead."""
        row, column = self.cursor_location
        if column and self.document.get_line(row)[:column].endswith("\\") and self.cursor_location == self.document.end:
            self.replace("\n", (row, column - 1), (row, column))
        else:
            self.post_message(self.Sent(self.text))

    def action_newline(self) -> None:
        """Break the line."""
        self.insert("\n")

    def action_complete(self) -> None:
        """Ask for the completion of what is before the cursor."""
        self.post_message(self.Completed(self.text))

    def action_older(self) -> None:
        """The line above; from the first one, the prompt before."""
        if self.menu_is_open:
            self.post_message(self.Stepped(-1))
        elif self.cursor_at_first_line and self._place > 0:
            if self._place == len(self._earlier):
                self._draft = self.text
            self._place -= 1
            self.put(self._earlier[self._place])
        else:
            self.action_cursor_up()

    def action_newer(self) -> None:
        """The line below; from the last one, the prompt after."""
        if self.menu_is_open:
            self.post_message(self.Stepped(1))
        elif self.cursor_at_last_line and self._place < len(self._earlier):
            self._place += 1
            self.put(self._earlier[self._place] if self._place < len(self._earlier) else self._draft)
        else:
            self.action_cursor_down()

    async def _on_key(self, event: events.Key) -> None:
        # TextArea would insert a newline here; as a binding, enter can be moved to another key.
        if event.key == "enter":
            event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = safe_text(event.text.replace("\r\n", "\n").replace("\r", "\n"))
        if len(text) > LARGEST_PASTE:
            self.post_message(self.PastedMuch(text))
        else:
            self.insert(text)
