"""The Chat screen: a prompt that is never locked, and a transcript where answers, scores and errors appear."""

from __future__ import annotations

import os
import re
import tempfile
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import TextArea

from palaver_tui import slash
from palaver_tui.screens.live import NOTHING_LOADED, LiveScreen
from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.menu import Entry, Menu, matching
from palaver_tui.widgets.prompt import Prompt
from palaver_tui.widgets.text import Text
from palaver_tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from palaver.session import Session

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
    Hint("enter", "run", 2),
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
_TURN = re.compile(r"#(\d+)(?:\s+|$)")


class ChatScreen(LiveScreen):
    """One conversation."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-normal"), (104, "-wide")]
    BINDINGS: ClassVar = [
        Binding("escape", "back", "stop, close, back", show=False, id="chat.back"),
        Binding("alt+up", "turn(-1)", "turn above", show=False, id="chat.turn_above"),
        Binding("alt+down", "turn(1)", "turn below", show=False, id="chat.turn_below"),
        Binding("pageup", "page(-1)", "scroll up", show=False, priority=True, id="chat.page_up"),
        Binding("pagedown", "page(1)", "scroll down", show=False, priority=True, id="chat.page_down"),
    ]

    class HistoryWanted(Message):
        """`/history`."""

    class HelpWanted(Message):
        """`/help`."""

    class QuitWanted(Message):
        """`/quit`."""

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
        self.prompt.focus()

    @property
    def _menu(self) -> Menu:
        return self.query_one(Menu)

    @property
    def _session(self) -> Session | None:
        return self.conversation.session

    # Sending

    @on(Prompt.Sent)
    def _send(self, event: Prompt.Sent) -> None:
        entry, text = self._menu.entry, event.text.strip()
        if entry is not None and entry.needs_more:
            self._complete()
            return
        line = entry.text if entry is not None and entry.text.startswith("/") else self._meant(text)
        name, rest = slash.split(line)
        if not line:
            return
        if not name and self.conversation.is_busy:
            self._say("still writing; esc stops it · your text stays here")
            return
        self.prompt.remember(text)
        self.prompt.put("")
        self.fix = ""
        if name:
            self._run_command(name, rest, line)
        else:
            if not line.startswith("/"):
                self.end_start()
            self.ask(line, Exchange(line, when=f"{datetime.now():%H:%M}"))
        self.refresh_hints()

    def _meant(self, text: str) -> str:
        """The line that a number on the start screen, or `!!`, stands for."""
        if self.start is not None and text.isdecimal() and 1 <= int(text) <= len(self.start.choices):
            return self.start.choices[int(text) - 1].line
        if text == "!!":
            return self.transcript.last.said if self.transcript.last else ""
        return text

    def _run_command(self, name: str, rest: str, line: str) -> None:
        """Do one of the chat's own commands."""
        if name == "quit":
            self.post_message(self.QuitWanted())
        elif name == "help":
            self.post_message(self.HelpWanted())
        elif name == "details":
            self._show_details(self.transcript.last)
        elif self._session is None:
            self._refuse(line, "Palaver is still starting.", "send it again in a moment")
        elif name == "history":
            self.post_message(self.HistoryWanted())
        elif name == "new":
            self._begin_anew(self._session)
        elif name == "ref":
            self._refer(self._session, rest, line)
        elif name == "model":
            self._choose_model(self._session, rest)
        elif name == "pull":
            self._pull(self._session, rest, line)
        elif name == "demo":
            self.conversation.demo()

    def _begin_anew(self, session: Session) -> None:
        if self.conversation.is_busy:
            self._refuse("/new", "An answer is still being written.", "esc stops it")
        else:
            session.forget()
            self.clear()
            self.offer_start()

    def _refer(self, session: Session, rest: str, line: str) -> None:
        match = _TURN.match(rest)
        turn_id = int(match.group(1)) if match else session.last_turn
        text = rest[match.end() :] if match else rest
        if turn_id is None:
            self._refuse(line, "There is no answer to score yet.", "ask something first")
        elif not text:
            self._refuse(line, "A reference is the answer you would have wanted.", "/ref TEXT, or /ref @FILE")
        else:
            self.conversation.refer(turn_id, text)

    def _choose_model(self, session: Session, name: str) -> None:
        from palaver.errors import NeedsDownload, PalaverError
        from palaver_tui.screens.provenance import model_state
        from palaver_tui.screens.words import models_text

        if not name:
            self.transcript.say(models_text(session.registry, session.model))
            return
        try:
            info = session.registry.info(name)
            if not session.registry.is_installed(info):
                raise NeedsDownload(f"{info.name} is not on this machine yet.", fix=f"palaver models pull {info.name}")
        except PalaverError as error:
            self.show_error(f"/model {name}", error)
            return
        session.model = info.name
        self.transcript.say(f"{info.name} answers from now on. {info.description}")
        if not info.is_baseline and not self.conversation.is_busy:
            self.show_state(model_state(info, "◐", "loading"))
            self.conversation.load(info.name)

    def _pull(self, session: Session, name: str, line: str) -> None:
        from palaver.errors import PalaverError

        if self.pulling:
            self._refuse(line, f"{self.pulling} is being downloaded.", "one at a time; esc stops it")
            return
        try:
            session.registry.info(name)
        except PalaverError as error:
            self.show_error(line, error)
            return
        self.transcript.say(f"{slash.pull_line(session.registry, name)} · esc stops, what has arrived is kept")
        self.pulling = name
        self.conversation.pull(name)

    def _refuse(self, line: str, why: str, do: str) -> None:
        from palaver.errors import UsageError

        self.show_error(line, UsageError(why, fix=do))

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
    def _complete_or_fix(self) -> None:
        if self._menu.entry is not None:
            self._complete()
        elif self.fix:
            self.prompt.put(self.fix)

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
        if text.startswith("/") and not text.startswith("//") and "\n" not in text:
            entries = self._slash_entries(text)
            found = entries if word.startswith("@") else matching(entries, text)
            total = len(entries)
        elif word.startswith("@") and self.prompt.cursor_location == self.prompt.document.end:
            found = slash.file_entries(text)
        if len(found) == 1 and found[0].text == text.strip():
            found = found if found[0].needs_more and text == found[0].text else []
        self._menu.open(found, total)
        self.prompt.menu_is_open = bool(found)

    def _slash_entries(self, text: str) -> list[Entry]:
        name, space, rest = text[1:].partition(" ")
        registry = self._session.registry if self._session else None
        if not space:
            return slash.entries(registry)
        if name in ("model", "pull") and registry is not None and " " not in rest:
            return slash.model_entries(registry, name)
        if text.rpartition(" ")[2].startswith("@"):
            return slash.file_entries(text)
        return []

    def _complete(self) -> None:
        """Put the chosen entry of the menu into the prompt."""
        entry = self._menu.entry
        if entry is None:
            return
        if entry.text.startswith("@"):
            self.prompt.put(self.prompt.text.rpartition("@")[0] + entry.text)
        else:
            self.prompt.put(entry.text + ("" if entry.text.endswith("/") else " "))
        if not entry.text.endswith("/"):
            self._menu.close()
            self.prompt.menu_is_open = False

    def refresh_hints(self) -> None:
        """Say anew what Enter does, and which keys there are."""
        text = self.prompt.text
        if self.start is not None and (not text.strip() or text.strip().isdecimal()):
            line = self._meant(text.strip()) if text.strip() else ""
            what = slash.will_do(line, self._session) if line and line != text.strip() else ""
            self._say(what or f"1–{len(self.start.choices)} and enter, or just start typing")
        else:
            entry = self._menu.entry
            self._say(slash.will_do(entry.text if entry and entry.text.startswith("/") else text, self._session))
        hints: tuple[Hint, ...] = WRITING if self.running is not None or self.pulling else TYPING
        if isinstance(self.focused, Exchange):
            hints = READING
        elif self._menu.entry is not None:
            hints = CHOOSING
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
        if event.exchange.turn_id is not None:
            self.prompt.focus()
            self.prompt.put(f"/ref #{event.exchange.turn_id} ")

    @on(Exchange.DetailsWanted)
    def _details_wanted(self, event: Exchange.DetailsWanted) -> None:
        self._show_details(event.exchange)

    def _show_details(self, exchange: Exchange | None) -> None:
        from palaver_tui.screens.provenance import details

        if exchange is not None and exchange.turn_id is not None and self._session is not None:
            exchange.show_details(details(self._session.store.turn(exchange.turn_id)))

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
