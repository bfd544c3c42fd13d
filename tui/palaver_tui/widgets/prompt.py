"""The prompt: enter sends, ctrl+j breaks the line, a paste never sends, and earlier prompts come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea

from palaver.terminal import safe_text
from palaver_tui.places import Keys
from palaver_tui.widgets.text import plain

LARGEST_PASTE = 100_000
"""Characters; a longer paste is handed up, because laying it out would stop the screen."""
REMEMBERED = 500
"""Prompts that can be called back."""


class Prompt(TextArea):
    """A text of any number of lines. It is never locked, and never loses its text by itself."""

    HELP_KEYS: ClassVar[Keys] = (
        ("enter", "send, or run a command"),
        ("ctrl+j", "new line; a line that ends in \\ goes on too"),
        ("↑ ↓", "on the first and last line: earlier prompts"),
        ("tab", "complete a command, model or file; after an error: what helps"),
        ("/ and @", "tasks and commands; files"),
        ("!!", "the last line again"),
        ("ctrl+r", "search earlier prompts by what is typed; again takes the next"),
        ("ctrl+o", "edit the text in $EDITOR"),
        ("ctrl+t", "copy the command line of what would run"),
    )
    BINDINGS = [
        Binding("enter", "send", "send", show=False, id="prompt.send"),
        Binding("ctrl+j,shift+enter", "newline", "new line", show=False, id="prompt.newline"),
        Binding("tab", "complete", "complete", show=False, id="prompt.complete"),
        Binding("up", "older", "earlier prompt", show=False, id="prompt.older"),
        Binding("ctrl+r", "search", "search earlier prompts", show=False, id="prompt.search"),
        Binding("ctrl+o", "edit_outside", "edit in $EDITOR", show=False, id="prompt.editor"),
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

    class SearchWanted(Message):
        """Earlier prompts are to be searched by what is typed."""

    class EditorWanted(Message):
        """The text is to be edited in $EDITOR."""

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
        self._held: list[events.Key | events.Paste] | None = None
        """What was typed since enter or tab, until the screen has answered it: see `release`."""
        self._earlier: list[str] = []
        self._place = 0
        self._draft = ""
        self._lent: str | None = None

    @property
    def is_lent(self) -> bool:
        """A draft waits until what was put in its place is sent or taken away."""
        return self._lent is not None

    def lend(self, text: str) -> None:
        """Put a text there for a while; the draft comes back by `take_back`."""
        if self._lent is None:
            self._lent = self.text
        self.put(text)

    def take_back(self) -> None:
        """Empty the prompt, or put the draft back that it was lent from."""
        draft, self._lent = self._lent or "", None
        self.put(draft)

    def remember(self, text: str) -> None:
        """Make `text` the prompt that the up arrow brings back first."""
        if text.strip() and self._earlier[-1:] != [text]:
            self._earlier = [*self._earlier, text][-REMEMBERED:]
        self._place, self._draft = len(self._earlier), ""

    @property
    def earlier(self) -> list[str]:
        """The prompts that can be called back, the oldest first."""
        return self._earlier

    def recall(self, texts: Sequence[str]) -> None:
        """Prompts of earlier conversations, older than what was sent in this one."""
        self._earlier = [*texts, *self._earlier][-REMEMBERED:]
        self._place = len(self._earlier)

    def matching(self, words: str) -> list[str]:
        """Earlier prompts that hold all these words, the newest first."""
        wanted = words.casefold().split()
        return [one for one in dict.fromkeys(reversed(self._earlier)) if all(word in one.casefold() for word in wanted)]

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
            self._held = []
            self.post_message(self.Sent(self.text))

    def action_newline(self) -> None:
        """Break the line."""
        self.insert("\n")

    def action_complete(self) -> None:
        """Ask for the completion of what is before the cursor."""
        self._held = []
        self.post_message(self.Completed(self.text))

    def action_search(self) -> None:
        """Search earlier prompts."""
        self.post_message(self.SearchWanted())

    def action_edit_outside(self) -> None:
        """Edit the text in the user's own editor."""
        self.post_message(self.EditorWanted())

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

    async def release(self) -> None:
        """The screen has answered enter or tab: what was typed since then is done now, in its order."""
        held, self._held = self._held or [], None
        for event in held:
            await (self._on_key(event) if isinstance(event, events.Key) else self._on_paste(event))

    async def _on_key(self, event: events.Key) -> None:
        action = "" if event.is_printable else self._own_action(event.key)
        if event.key == "enter" or event.is_printable or action:
            event.prevent_default()  # TextArea's own handler would insert a newline
        if not event.is_printable and not action:
            return
        event.stop()
        if self._held is not None:
            self._held.append(event)
        elif action:
            # Left to bubble, a binding runs after the letters that were typed behind it.
            await self.run_action(action)
        else:
            await super()._on_key(event)

    def _own_action(self, key: str) -> str:
        """The prompt's own action for a key, as the user's keymap has it; else nothing."""
        found = self.screen.active_bindings.get(key)
        if found is None or found.node is not self or not found.enabled or found.binding.action == "copy":
            return ""  # copy bubbles: with nothing selected, its key is the app's
        return found.binding.action

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = safe_text(event.text.replace("\r\n", "\n").replace("\r", "\n"))
        if self._held is not None:
            self._held.append(event)
        elif len(text) > LARGEST_PASTE:
            self.post_message(self.PastedMuch(text))
        else:
            self.insert(text)
