"""The Chat screen: a prompt that is never locked, and a transcript where answers, scores and errors appear."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import TextArea

from palaver.terminal import safe_line
from palaver_tui import slash
from palaver_tui.conversation import OpenSession
from palaver_tui.places import Keys
from palaver_tui.screens.ahead import AheadScreen
from palaver_tui.screens.talk import NOTHING_LOADED
from palaver_tui.screens.turns import ONE_OF_SEVERAL, READING
from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.menu import Menu
from palaver_tui.widgets.meter import meter_line
from palaver_tui.widgets.prompt import Prompt
from palaver_tui.widgets.text import Text
from palaver_tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from palaver.window import ContextUse

TYPING = (
    Hint("enter", "send", 1, "prompt.send"),
    Hint("ctrl+j", "newline", 7, "prompt.newline"),
    Hint("/", "tasks", 2),
    Hint("@", "files", 6),
    Hint("alt+↑", "answers", 8),
    Hint("ctrl+p", "commands", 4),
    Hint("ctrl+g", "go to", 5, "app.go_to"),
    Hint("F1", "help", 3, "app.help"),
)
WRITING = (TYPING[0], Hint("esc", "stop", 0, "chat.back"), *TYPING[1:])
CHOOSING = (
    Hint("tab", "complete", 1, "prompt.complete"),
    Hint("enter", "run", 2, "prompt.send"),  # or complete, or send: as the menu says
    Hint("↑ ↓", "choose", 3),
    Hint("esc", "close", 4, "chat.back"),
    Hint("F1", "help", 5, "app.help"),
)
NEED_NO_SESSION = ("quit", "help", "details")
"""Commands that work before the history is open, and where it cannot be opened."""
SHOWN_EARLY = 40
"""Cells of a line that waits for the session."""


class ChatScreen(AheadScreen):
    """One conversation."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-normal"), (104, "-wide")]
    HELP_KEYS: ClassVar[Keys] = (
        ("esc", "close; leave the answers; stop and keep the text so far"),
        ("alt+↑ ↓", "go to an answer, and from there to the next; a click does too"),
        ("pgup pgdn", "scroll"),
        ("ctrl+t", "copy the command line of what would run"),
    )
    BINDINGS: ClassVar = [
        Binding("escape", "back", "stop, close, back", show=False, id="chat.back"),
        Binding("alt+up", "turn(-1)", "turn above", show=False, id="chat.turn_above"),
        Binding("alt+down", "turn(1)", "turn below", show=False, id="chat.turn_below"),
        Binding("pageup", "page(-1)", "scroll up", show=False, priority=True, id="chat.page_up"),
        Binding("pagedown", "page(1)", "scroll down", show=False, priority=True, id="chat.page_down"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id="chat.copy_command"),
    ]

    def __init__(self, open_session: OpenSession) -> None:
        super().__init__(open_session)
        self._use: ContextUse | None = None

    def compose(self) -> ComposeResult:
        yield Header("Chat", NOTHING_LOADED)
        yield Transcript(id="transcript")
        yield Menu(id="menu")
        with Horizontal(id="will-do-row"):
            yield Text("starting…", id="will-do")
            yield Text(id="meter")
        with Horizontal(id="prompt-row"):
            yield Text("❯", id="prompt-sign")
            yield Prompt(placeholder="Ask, or / for tasks", id="prompt")
        yield Footer(TYPING)

    def on_mount(self) -> None:
        self.set_focus(self.prompt)  # at once: `focus` waits, and keys typed behind the first frame would be lost

    def on_resize(self) -> None:
        self.show_context(self._use)

    def show_context(self, use: ContextUse | None) -> None:
        """How full the window is, beside what Enter does."""
        self._use = use
        self.query_one("#meter", Text).show(meter_line(use, self.size.width))

    # Sending

    @on(Prompt.Sent)
    async def _sent(self, event: Prompt.Sent) -> None:
        self.send(event.text)
        await self.prompt.release()

    def send(self, typed: str) -> None:
        entry, text = self.menu.entry, typed.strip()
        if entry is not None and (self.searched is not None or self.enter(entry) == "complete"):
            self.complete()
            return
        if self.searched is not None:
            self.end_search(text=typed)
            return
        line = self.chosen_line(entry) if entry is not None else self.meant(text)
        name, rest = slash.split(line)
        if not line:
            return
        if not name and self.conversation.is_busy:
            self.say("still writing; esc stops it · your text stays here")
            return
        if name == "ref" and self.must_wait(rest):
            self.say(f"{slash.WAIT_TO_REFER} · your text stays here")
            return
        if self.early or (self.conversation.failure is not None and name not in NEED_NO_SESSION):
            self._turn_away(line)
            return
        if not name and self.needs_form(line):
            return
        self.prompt.remember(text)
        self.prompt.take_back()
        self.fix = ""
        if self.session is None and name not in NEED_NO_SESSION:
            self.early = line
        elif name:
            self.take(line)
        else:
            self.pose_typed(line)
        self.refresh_hints()

    def _turn_away(self, line: str) -> None:
        """Leave the line in the prompt: another one waits for the session, or there will be no session."""
        if self.conversation.failure is not None:
            self.show_error(line, self.conversation.failure)
        else:
            self.say(f"{self._not_open()} · your text stays here")

    def _not_open(self) -> str:
        """Why nothing is answered yet, or ever; empty once the session is open."""
        if self.conversation.failure is not None:
            return self.conversation.failure.message
        return f"starting… {safe_line(self.early, SHOWN_EARLY)} is sent then" if self.early else ""

    def meant(self, text: str) -> str:
        """The line that a number on the start screen, or `!!`, stands for."""
        if self.start is not None and text.isdecimal() and 1 <= int(text) <= len(self.start.choices):
            return self.start.choices[int(text) - 1].line
        if text == "!!":
            return self.prompt.earlier[-1] if self.prompt.earlier else ""
        return text

    # Typing

    @on(TextArea.Changed)
    def _typed(self) -> None:
        self.put_off_rest()
        self.suggest()
        self.preview_soon()
        self.typed_more()
        self.refresh_hints()

    # What is said of it

    def refresh_hints(self) -> None:
        """Say anew what Enter does, and which keys there are."""
        self.say(self._will_do())
        hints: tuple[Hint, ...] = WRITING if self.running is not None or self.pulling or self.timing else TYPING
        if isinstance(self.focused, Exchange):
            hints = ONE_OF_SEVERAL if len(self.focused.alternatives) > 1 else READING
        elif (entry := self.menu.entry) is not None:
            self.menu.enter = self.enter(entry)
            hints = tuple(replace(hint, does=self.menu.enter) if hint.key == "enter" else hint for hint in CHOOSING)
        self.query_one(Footer).hints = hints

    def _will_do(self) -> str:
        from palaver.present import format_scores

        text = self.prompt.text
        if self.searched is not None:
            return f"earlier prompts with {safe_line(text)!r}" if text.strip() else "earlier prompts; type to find one"
        if self.start is not None and (not text.strip() or text.strip().isdecimal()):
            line = self.meant(text.strip()) if text.strip() else ""
            what = slash.will_do(line, self.session) if line and line != text.strip() else ""
            return what or f"1–{len(self.start.choices)} and enter, or just start typing"
        entry = self.menu.entry
        line = self.chosen_line(entry) if entry is not None else text
        name, rest = slash.split(line.strip())
        if name == "ref" and rest and self.must_wait(rest):
            return slash.WAIT_TO_REFER
        said = self._not_open() or slash.will_do(line, self.session)
        if self.previewed is not None and self.previewed.reference == self.typed_reference()[1]:
            said = f"#{self.previewed.turn_id}  {format_scores(self.previewed.scores)}  enter keeps this reference"
        if self.editing is not None and not name:
            said = f"in place of #{self.editing}, which stays · {said} · esc leaves it"
        return said

    def say(self, text: str) -> None:
        """Put a sentence in the row above the prompt."""
        self.query_one("#will-do", Text).show(text)

    def on_descendant_focus(self) -> None:
        self.refresh_hints()

    @on(Exchange.Typed)
    def _type_on(self, event: Exchange.Typed) -> None:
        self.prompt.add(event.text)

    # Keys

    def action_back(self) -> None:
        """Close the menu, else leave the answers, else stop what is written, else what is downloaded. Never quits."""
        if self.searched is not None:
            self.end_search()
        elif self.menu.entry is not None:
            self.close_menu()
            self.refresh_hints()
        elif self.focused is not self.prompt:
            self.prompt.focus()
        elif self.running is not None:
            self.stop()
        elif self.prompt.is_lent:
            self.end_edit()
        elif self.pulling:
            self.conversation.stop_pull()
        elif self.timing:
            self.conversation.stop_timing()

    def action_turn(self, step: int) -> None:
        """Focus an answer."""
        self.transcript.focus_next_to(self.focused, step)

    def action_page(self, step: int) -> None:
        """Scroll the transcript by a page, wherever the focus is."""
        if step < 0:
            self.transcript.scroll_page_up(animate=False)
            self.transcript.look_above()
        else:
            self.transcript.scroll_page_down(animate=False)
