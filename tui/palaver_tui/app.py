"""The app: its themes, its screens and its end. Everything else is in the screens."""

from __future__ import annotations

import asyncio
import functools
import importlib
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import App
from textual.binding import Binding
from textual.filter import LineFilter
from textual.screen import Screen
from textual.theme import Theme
from textual.worker import WorkerFailed

from palaver_tui import messages, slash, tty
from palaver_tui.commands import PaletteCommands
from palaver_tui.conversation import OpenSession
from palaver_tui.entries import PaletteCommand
from palaver_tui.foreign import Foreign, SessionDesk, drop_styles, running_node, told
from palaver_tui.go import Go
from palaver_tui.hosting import Hosted
from palaver_tui.opening import open_session
from palaver_tui.places import Place, place, with_plugins
from palaver_tui.screens.chat import ChatScreen
from palaver_tui.screens.goto import GoTo
from palaver_tui.screens.place import PlaceScreen
from palaver_tui.theme import ANSI_THEMES, THEMES, VARIABLES
from palaver_tui.widgets.footer import Footer
from palaver_tui.widgets.guard import TerminalGuard

if TYPE_CHECKING:
    from textual.driver import Driver

    from palaver.session import Session


AGAIN_SECONDS = 2.0
"""A second press within these means it."""
SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT")


class PalaverApp(App[None]):
    """Palaver in the terminal."""

    CSS_PATH = ["app.tcss", "screens/chat.tcss"]  # Textual reads none of the default screen's own
    TITLE = "palaver"
    COMMANDS: ClassVar = {PaletteCommands}
    BINDINGS: ClassVar = [
        Binding("ctrl+q", "leave", "quit", show=False, priority=True, id="app.quit"),
        Binding("ctrl+c", "interrupt", "stop", show=False, system=True, id="app.interrupt"),
        Binding("ctrl+g", "go_to", "go to", show=False, priority=True, id="app.go_to"),
        Binding("f1", "help", "help", show=False, priority=True, id="app.help"),
        Binding("escape", "leave_foreign", show=False, id="app.back"),
        Binding("question_mark", "help", "help", show=False, id="app.help_letter"),
    ]

    def __init__(self, open_session: OpenSession, *, theme: str = "") -> None:
        super().__init__()
        self.chat = ChatScreen(open_session)
        self.crash_report: Path | None = None
        self._guard = TerminalGuard()
        self._pressed = ("", 0.0)
        self.own_keys: Mapping[str, str] = {}
        """Keys by the ids of bindings, as keys.toml has them; the last row of each screen shows them."""
        self._foreign, self._hosted = Foreign(), Hosted()
        for one in (*THEMES, *ANSI_THEMES):
            self.register_theme(one)
        self.theme = theme if theme in self.available_themes else THEMES[0].name
        self._kept_theme = self.theme
        self.first: tuple[str, str] | None = None
        """The screen to show when the session is open, and why."""

    def get_default_screen(self) -> Screen[None]:
        """The conversation."""
        return self.chat

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The ledger's own colours, for the themes that do not know them."""
        return dict(VARIABLES)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The guard first: nothing that a terminal would obey leaves the app."""
        return [self._guard, *super().get_line_filters()]

    def get_driver_class(self) -> type[Driver]:
        """Textual's, made tolerant where it is the usual one."""
        found = super().get_driver_class()
        return tty.driver_class() if found.__name__ == "LinuxDriver" else found

    def on_mount(self) -> None:
        self.call_after_refresh(self._take_keys)
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        if not self.is_headless and sys.platform != "win32":
            loop = asyncio.get_running_loop()
            for name in SIGNALS:
                number = getattr(signal, name)
                loop.add_signal_handler(number, self._end, 128 + number)

    def _take_keys(self) -> None:
        """The user's own keys; what is wrong with them is said in the chat."""
        from palaver_tui.keymap import keys_file, read_keys

        if keys_file().exists():
            own = read_keys()
            self.own_keys = own.keys
            self.set_keymap(dict(own.keys))
            for problem in own.problems:
                self.chat.transcript.say(problem)
            self.chat.query_one(Footer).refresh()

    @on(messages.Opened)
    def _show_first(self) -> None:
        if self.first is not None:
            self.go(*self.first)

    def _keep_theme(self, theme: Theme) -> None:
        """Write the theme that the user chose into the settings."""
        from palaver.config import set_theme
        from palaver.errors import UsageError

        if theme.name == self._kept_theme:
            return
        self._kept_theme = theme.name
        try:
            set_theme(theme.name)
        except UsageError as error:
            self.notify(f"the theme is for this time only: {error}", markup=False)

    def _end(self, code: int) -> None:
        self.exit(return_code=code)

    def _handle_exception(self, error: Exception) -> None:
        cause = error.error if isinstance(error, WorkerFailed) else error
        if isinstance(cause, Exception) and (name := self._foreign.culprit(cause, running_node())):
            self._close_foreign(name, cause)
            return
        # Textual would print every local variable of every frame: keys and texts among them.
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
            self.crash_report = tty.write_report(error)
        self._close_messages_no_wait()

    # Keys

    @on(ChatScreen.QuitWanted)
    def action_leave(self) -> None:
        """Quit; while something runs, only at the second press."""
        if not self._is_busy or self._is_second("leave"):
            self.exit()
        else:
            self.notify("something is still running: ctrl+q again stops it and quits", markup=False)

    @property
    def _is_busy(self) -> bool:
        """Something runs, in the chat or on another screen."""
        made = [self.get_screen(one.name) for one in self.places if self.is_screen_installed(one.name)]
        # Compare may also stand above another screen, of which it was opened.
        is_elsewhere = any(isinstance(one, PlaceScreen) and one.is_busy for one in (*made, *self.screen_stack))
        return self.chat.running is not None or bool(self.chat.pulling) or is_elsewhere

    def action_interrupt(self) -> None:
        """Stop the running answer; else ask for a second press to quit. A selection was copied before this."""
        if isinstance(self.screen, PlaceScreen) and self.screen.is_busy:
            self.screen.halt()
        elif self.chat.running is not None:
            self.chat.stop()
        elif self._is_second("interrupt"):
            self.exit()
        else:
            self.notify("press ctrl+c again to quit", markup=False)

    def action_go_to(self) -> None:
        """Ask for the letter of a screen."""
        if not isinstance(self.screen, GoTo):
            self.push_screen(GoTo(self.places), self._go)

    def _go(self, name: str | None) -> None:
        if name:
            self.go(name)

    @property
    def places(self) -> tuple[Place, ...]:
        """The screens that can be gone to, those of plugins among them."""
        session = self.chat.conversation.session
        return with_plugins(session.registry if session else None)

    @on(Go)
    def _go_there(self, event: Go) -> None:
        if event.place:
            self.go(event.place, event.words)
        else:
            self.action_go_to()

    def go(self, name: str, words: str = "") -> None:
        """Show the screen of this name; `words` say why: it gets them by `arrive`."""
        wanted = place(name, self.places)
        session, failure = self.chat.conversation.session, self.chat.conversation.failure
        if wanted.kind is not None and session is not None:
            self._show_foreign(wanted, session)
        elif not wanted.source:
            self._show_chat()
            if words:
                line, _, begun = words.partition("\n")
                if begun:  # a line to go on with
                    self.chat.send(line)
                    self.chat.prompt.put(begun)
                else:
                    self._type(line if line.startswith("/") else f"/resume {line}")
        elif session is None:
            self.notify(failure.message if failure else "the history is still being opened", markup=False)
        else:
            if not self.is_screen_installed(wanted.name):  # once: it keeps its place while another screen is shown
                module, _, kind = wanted.source.partition(":")
                self.install_screen(getattr(importlib.import_module(module), kind)(session), wanted.name)
            found = self.get_screen(wanted.name, PlaceScreen)
            if self.screen is not found:
                self._show_chat()
                self.push_screen(wanted.name)
            if words:
                found.call_after_refresh(found.arrive, words)

    def _show_foreign(self, wanted: Place, session: Session) -> None:
        """A plugin's screen; whatever it does, the app goes on."""
        try:
            found: Screen[Any] | None = self._hosted.screen(wanted, session, self)
            if found is None:
                found = self._foreign.screen(wanted, SessionDesk(session, self._type))
            if not self.is_screen_installed(wanted.name):  # once: it keeps its place while another screen is shown
                self.install_screen(found, wanted.name)
            if self.screen is not found:
                self._show_chat()
                self.push_screen(wanted.name)
        except Exception as error:  # a plugin may raise anything at all
            self._close_foreign(wanted.name, error, wanted)

    @on(messages.HostedOver)
    def _hosted_is_over(self, event: messages.HostedOver) -> None:
        said = self._hosted.ended(event.screen, event.reason)
        if said:
            self.notify(said, severity="error", timeout=15, markup=False)
        self.call_later(self._remove_foreign, event.screen.shown)

    @on(messages.HostedKey)
    def _key_was_unused(self, event: messages.HostedKey) -> None:
        if (shown := self._hosted.shown(self.screen)) is None:
            return
        if event.key == "escape":
            self._show_chat()
        elif event.key == "question_mark":
            self.action_help()
        elif event.is_stuck:
            shown.end("you ended it while it did not answer")
        else:
            self.action_interrupt()

    @on(messages.HostedLine)
    def _hosted_says(self, event: messages.HostedLine) -> None:
        self._type(event.line)

    def _close_foreign(self, name: str, error: Exception, wanted: Place | None = None) -> None:
        """Back to the chat, and say what broke; counted against the plugin."""
        session = self.chat.conversation.session
        kind = (wanted or place(name, self.places)).kind
        if session is not None and kind is not None:
            session.registry.plugins.blame(kind, error)
        self._foreign.forget(name)
        if kind is not None:
            drop_styles(self.stylesheet, kind)
        self.call_later(self._remove_foreign, name)
        self.notify(told(name, error), severity="error", markup=False)

    def _remove_foreign(self, name: str) -> None:
        self._show_chat()
        if self.is_screen_installed(name):
            broken = self.get_screen(name)
            self.uninstall_screen(broken)
            if broken.is_attached:
                broken.remove()

    def action_leave_foreign(self) -> None:
        """Esc leads from a plugin's screen to the chat, where the screen itself has no other use for it."""
        if self._foreign.is_open(self.screen):
            self._show_chat()

    def _show_chat(self) -> None:
        while self.screen is not self.chat and len(self.screen_stack) > 1:
            self.pop_screen()

    @on(ChatScreen.HelpWanted)
    def action_help(self) -> None:
        """Keys of what has the focus; in the chat, tasks and commands too."""
        from palaver_tui.screens.help import HelpScreen, sections_for

        session = self.chat.conversation.session
        if not isinstance(self.screen, HelpScreen):
            entries = slash.entries(session.registry if session else None) if self.screen is self.chat else ()
            self.push_screen(HelpScreen(sections_for(self.screen), entries))

    def action_key_names(self) -> None:
        """All bindings by the names that keys.toml gives them keys by."""
        from palaver_tui.keymap import bindings, keys_file
        from palaver_tui.screens.help import HelpScreen

        rows = [
            (self.own_keys.get(name, one.key).replace(",", " "), f"{name}   {one.description}")
            for name, (_, one) in bindings().items()
        ]
        self.push_screen(HelpScreen([(f'Names of keys for {keys_file()}: "answer.copy" = "y"', rows)]))

    def palette_commands(self) -> Iterable[PaletteCommand]:
        """What the command palette offers: Palaver's own commands, the models, the theme."""
        shown = self.screen_stack[-2] if len(self.screen_stack) > 1 else self.screen  # below the palette itself
        if isinstance(shown, PlaceScreen):
            yield from shown.palette_commands()
        if shown is self.chat:
            yield from self.chat.palette_commands()
        yield PaletteCommand("chat: new conversation", "forget what was said", lambda: self._type("/new"))
        yield PaletteCommand("chat: demo", "score three ready translations", lambda: self._type("/demo"))
        for one in self.places:
            yield PaletteCommand(f"go: {one.command}", one.summary, functools.partial(self.go, one.name))
        session = self.chat.conversation.session
        for info in session.registry.models() if session else ():
            choose = functools.partial(self._type, f"/model {info.name}")
            yield PaletteCommand(f"model: {info.name}", info.description, choose)
        yield PaletteCommand("app: theme", "dark, light and Textual's own", self.action_change_theme)
        yield PaletteCommand("app: key names", "what each key is called in keys.toml", self.action_key_names)
        yield PaletteCommand("app: help", "keys and commands", self.action_help)
        yield PaletteCommand("app: quit", "leave", self.action_leave)

    def _type(self, line: str) -> None:
        self._show_chat()
        self.chat.prompt.lend(line)  # a draft comes back
        self.chat.prompt.action_send()

    def _is_second(self, key: str) -> bool:
        last, when = self._pressed
        self._pressed = (key, time.monotonic())
        return last == key and time.monotonic() - when < AGAIN_SECONDS


def run_chat(model: str = "", *, resume: int | None = None, first: tuple[str, str] | None = None) -> int:
    """The app from its first frame to its end; the exit code of the process.

    Raises:
        UsageError: the settings cannot be read. PalaverError: it crashed; says where the report is.
    """
    from palaver.config import read_settings
    from palaver.errors import PalaverError

    settings = read_settings()
    app = PalaverApp(lambda: open_session(settings, model), theme=settings.theme)
    app.chat.resume_first, app.first = resume, first
    try:
        with tty.guarded_terminal():
            app.run()
    finally:
        app.chat.conversation.close()
    if app.crash_report is not None:
        raise PalaverError("Palaver stopped by a mistake of its own.", fix=f"report what is in {app.crash_report}")
    return app.return_code or 0
