"""The Chat screen: a prompt that is never locked, and a transcript where answers, scores and errors appear."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import TextArea

from palaver.terminal import safe_line
from palaver_tui import slash
from palaver_tui.places import Keys
from palaver_tui.screens.live import NOTHING_LOADED
from palaver_tui.screens.orders import OrderScreen
from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.menu import Entry, Menu, matching
from palaver_tui.widgets.prompt import Prompt
from palaver_tui.widgets.text import Text
from palaver_tui.widgets.transcript import Transcript

TYPING = (
    Hint("enter", "send", 1),
    Hint("ctrl+j", "newline", 7),
    Hint("/", "tasks", 2),
    Hint("@", "files", 6),
    Hint("ctrl+p", "commands", 4),
    Hint("ctrl+g", "go to", 5),
    Hint("F1", "help", 3),
)
WRITING = (TYPING[0], Hint("esc", "stop", 0), *TYPING[1:])
CHOOSING = (
    Hint("tab", "complete", 1),
    Hint("enter", "run", 2),  # or complete, or send: as the menu says
    Hint("↑ ↓", "choose", 3),
    Hint("esc", "close", 4),
    Hint("F1", "help", 5),
)
READING = (
    Hint("y", "copy", 1),
    Hint("r", "reference", 2),
    Hint("enter", "details", 3),
    Hint("alt+↑ ↓", "move", 5),
    Hint("esc", "back", 4),
    Hint("F1", "help", 6),
)

NEED_NO_SESSION = ("quit", "help", "details")
"""Commands that work before the history is open, and where it cannot be opened."""
SHOWN_EARLY = 40
"""Cells of a line that waits for the session."""


class ChatScreen(OrderScreen):
    """One conversation."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-normal"), (104, "-wide")]
    HELP_KEYS: ClassVar[Keys] = (
        ("esc", "close; leave the answers; stop and keep the text so far"),
        ("alt+↑ ↓", "go to an answer, and from there to the next"),
        ("pgup pgdn", "scroll"),
    )
    BINDINGS: ClassVar = [
        Binding("escape", "back", "stop, close, back", show=False, id="chat.back"),
        Binding("alt+up", "turn(-1)", "turn above", show=False, id="chat.turn_above"),
        Binding("alt+down", "turn(1)", "turn below", show=False, id="chat.turn_below"),
        Binding("pageup", "page(-1)", "scroll up", show=False, priority=True, id="chat.page_up"),
        Binding("pagedown", "page(1)", "scroll down", show=False, priority=True, id="chat.page_down"),
    ]

    def compose(self) -> ComposeResult:
        yield Header("Chat", NOTHING_LOADED)
        yield Transcript(id="transcript")
        yield Menu(id="menu")
        yield Text("starting…", id="will-do")
        with Horizontal(id="prompt-row"):
            yield Text("❯", id="prompt-sign")
            yield Prompt(placeholder="Ask, or / for tasks", id="prompt")
        yield Footer(TYPING)

    def on_mount(self) -> None:
        self.set_focus(self.prompt)  # at once: `focus` waits, and keys typed behind the first frame would be lost

    @property
    def _menu(self) -> Menu:
        return self.query_one(Menu)

    # Sending

    @on(Prompt.Sent)
    async def _sent(self, event: Prompt.Sent) -> None:
        self._send(event.text)
        await self.prompt.release()

    def _send(self, typed: str) -> None:
        entry, text = self._menu.entry, typed.strip()
        if entry is not None and self._enter(entry) == "complete":
            self._complete()
            return
        line = entry.text if entry is not None and entry.text.startswith("/") else self._meant(text)
        name, rest = slash.split(line)
        if not line:
            return
        if not name and self.conversation.is_busy:
            self._say("still writing; esc stops it · your text stays here")
            return
        if name == "ref" and self._must_wait(rest):
            self._say(f"{slash.WAIT_TO_REFER} · your text stays here")
            return
        if self.early or (self.conversation.failure is not None and name not in NEED_NO_SESSION):
            self._turn_away(line)
            return
        self.prompt.remember(text)
        self.prompt.put("")
        self.fix = ""
        if self.session is None and name not in NEED_NO_SESSION:
            self.early = line
        else:
            self.take(line)
        self.refresh_hints()

    def _turn_away(self, line: str) -> None:
        """Leave the line in the prompt: another one waits for the session, or there will be no session."""
        if self.conversation.failure is not None:
            self.show_error(line, self.conversation.failure)
        else:
            self._say(f"{self._not_open()} · your text stays here")

    def _not_open(self) -> str:
        """Why nothing is answered yet, or ever; empty once the session is open."""
        if self.conversation.failure is not None:
            return self.conversation.failure.message
        return f"starting… {safe_line(self.early, SHOWN_EARLY)} is sent then" if self.early else ""

    def _meant(self, text: str) -> str:
        """The line that a number on the start screen, or `!!`, stands for."""
        if self.start is not None and text.isdecimal() and 1 <= int(text) <= len(self.start.choices):
            return self.start.choices[int(text) - 1].line
        if text == "!!":
            return self.transcript.last.said if self.transcript.last else ""
        return text

    def _must_wait(self, rest: str) -> bool:
        """Whether a `/ref` without a number means the answer that is being written."""
        return self.conversation.is_busy and slash.referred(rest)[0] is None

    # Typing

    @on(TextArea.Changed)
    def _typed(self) -> None:
        self._suggest()
        self.refresh_hints()

    @on(Prompt.Stepped)
    def _step(self, event: Prompt.Stepped) -> None:
        self._menu.move(event.step)
        self.refresh_hints()

    @on(Prompt.Completed)
    async def _complete_or_fix(self) -> None:
        if self._menu.entry is not None:
            self._complete()
        elif self.fix:
            self.prompt.put(self.fix)
        await self.prompt.release()

    @on(Prompt.PastedMuch)
    def _keep_paste(self, event: Prompt.PastedMuch) -> None:
        """Keep a very long paste in a file, and mention it."""
        from palaver import paths

        folder = paths.private_dir(paths.state_dir() / "pasted")
        handle, name = tempfile.mkstemp(suffix=".txt", dir=folder)  # for the user alone: 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(event.text)
        self.prompt.add(f"@{name} ")
        self._say(f"pasted {len(event.text):,} characters into a file")

    def _suggest(self) -> None:
        """Open the menu on a first word that begins with `/`, or on a last one with `@`."""
        text = self.prompt.text
        word = text.rpartition(" ")[2]
        found: list[Entry] = []
        total = 0
        self.returned = self.returned if text == self.returned else ""
        if text.startswith("/") and not text.startswith("//") and "\n" not in text:
            entries = self._slash_entries(text)
            found = entries if word.startswith("@") else matching(entries, text)
            total = len(entries)
        elif word.startswith("@") and self.prompt.cursor_location == self.prompt.document.end:
            found = slash.file_entries(text)
        if text == self.returned or (len(found) == 1 and self._completed(found[0]).strip() == text.strip()):
            # Nothing is left to choose: a command that needs more gets its space from enter, all else is sent.
            found = found if text != self.returned and self._enter(found[0]) == "complete" else []
        self._menu.open(found, total)
        self.prompt.menu_is_open = bool(found)

    def _slash_entries(self, text: str) -> list[Entry]:
        name, space, rest = text[1:].partition(" ")
        registry = self.session.registry if self.session else None
        if not space:
            return slash.entries(registry)
        if name in ("model", "pull") and registry is not None and " " not in rest:
            return slash.model_entries(registry, name)
        if text.rpartition(" ")[2].startswith("@"):
            return slash.file_entries(text)
        return []

    def _completed(self, entry: Entry) -> str:
        """The text of the prompt with the entry in it."""
        if entry.text.startswith("@"):
            return self.prompt.text.rpartition("@")[0] + entry.text
        return f"{entry.text} "

    def _enter(self, entry: Entry) -> str:
        """What the enter key does with the entry: complete what cannot be sent as it is, else run or send."""
        if entry.needs_more and self._completed(entry) != self.prompt.text:
            return "complete"
        return "run" if self.prompt.text.startswith("/") else "send"

    def _complete(self) -> None:
        """Put the chosen entry of the menu into the prompt."""
        entry = self._menu.entry
        if entry is None:
            return
        self.prompt.put(self._completed(entry))
        if not entry.text.endswith("/"):
            self._menu.close()
            self.prompt.menu_is_open = False

    def refresh_hints(self) -> None:
        """Say anew what Enter does, and which keys there are."""
        text = self.prompt.text
        if self.start is not None and (not text.strip() or text.strip().isdecimal()):
            line = self._meant(text.strip()) if text.strip() else ""
            what = slash.will_do(line, self.session) if line and line != text.strip() else ""
            self._say(what or f"1–{len(self.start.choices)} and enter, or just start typing")
        else:
            entry = self._menu.entry
            line = entry.text if entry and entry.text.startswith("/") else text
            name, rest = slash.split(line.strip())
            waits = name == "ref" and bool(rest) and self._must_wait(rest)
            self._say(slash.WAIT_TO_REFER if waits else self._not_open() or slash.will_do(line, self.session))
        hints: tuple[Hint, ...] = WRITING if self.running is not None or self.pulling else TYPING
        if isinstance(self.focused, Exchange):
            hints = READING
        elif (entry := self._menu.entry) is not None:
            self._menu.enter = self._enter(entry)
            hints = tuple(replace(hint, does=self._menu.enter) if hint.key == "enter" else hint for hint in CHOOSING)
        self.query_one(Footer).hints = hints

    def _say(self, text: str) -> None:
        self.query_one("#will-do", Text).show(text)

    # Answers

    def on_descendant_focus(self) -> None:
        self.refresh_hints()

    @on(Exchange.Typed)
    def _type_on(self, event: Exchange.Typed) -> None:
        self.prompt.add(event.text)

    @on(Exchange.Copied)
    def _copy(self, event: Exchange.Copied) -> None:
        output = event.exchange.output
        self.app.copy_to_clipboard(output)
        again = f"; if paste is empty: palaver history show {event.exchange.turn_id}" if event.exchange.turn_id else ""
        self.notify(f"sent {len(output)} characters to the terminal's clipboard{again}", markup=False)

    @on(Exchange.ReferenceWanted)
    def _begin_reference(self, event: Exchange.ReferenceWanted) -> None:
        if event.exchange.turn_id is None:
            is_running = self.running is not None and self.running.exchange is event.exchange
            self._say(slash.WAIT_TO_REFER if is_running else "there is no answer here to score")
        else:
            self.prompt.focus()
            self.prompt.put(f"/ref #{event.exchange.turn_id} ")

    @on(Exchange.DetailsWanted)
    def _details_wanted(self, event: Exchange.DetailsWanted) -> None:
        self.show_details(event.exchange)

    # Keys

    def action_back(self) -> None:
        """Close the menu, else leave the answers, else stop what is written, else what is downloaded. Never quits."""
        if self._menu.entry is not None:
            self._menu.close()
            self.prompt.menu_is_open = False
            self.refresh_hints()
        elif self.focused is not self.prompt:
            self.prompt.focus()
        elif self.running is not None:
            self.stop()
        elif self.pulling:
            self.conversation.stop_pull()

    def action_turn(self, step: int) -> None:
        """Focus an answer."""
        self.transcript.focus_next_to(self.focused, step)

    def action_page(self, step: int) -> None:
        """Scroll the transcript by a page, wherever the focus is."""
        if step < 0:
            self.transcript.scroll_page_up(animate=False)
        else:
            self.transcript.scroll_page_down(animate=False)
