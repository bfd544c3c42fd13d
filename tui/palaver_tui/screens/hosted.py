"""The place of a plugin's screen, which a process of its own draws: shown here, never waited for."""

from __future__ import annotations

from pathlib import Path

from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.geometry import Region
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from palaver.plugins.found import Found
from palaver_tui.hosted import picture, typed
from palaver_tui.hosted.link import LOOK_SECONDS, Link, Said
from palaver_tui.messages import HostedKey, HostedLine, HostedOver
from palaver_tui.places import Keys
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header

HINTS = (
    Hint("esc", "back to the chat", 1),
    Hint("ctrl+g", "go to", 2, "app.go_to"),
    Hint("ctrl+c", "end it where it hangs", 4),
    Hint("ctrl+p", "commands", 3),
)
KEYS: Keys = (
    ("esc", "back to the chat, where the screen has no other use for it"),
    ("ctrl+c", "end the screen where it hangs; else it is the screen's own"),
)
STUCK = (Hint("it does not answer:", "esc leaves it, ctrl+c ends it", 1),)


class Drawn(Widget, can_focus=True):
    """The rows that the process has drawn; what is typed here goes there."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Drawn { width: 1fr; height: 1fr; }"

    class Changed(Message):
        """The process has something new."""

    def __init__(self, name_shown: str) -> None:
        super().__init__()
        self._waiting = f" opening {name_shown}…"
        self.rows: dict[int, Strip] = {}
        self.link: Link | None = None

    def render_line(self, y: int) -> Strip:
        """One row."""
        if y in self.rows:
            return self.rows[y]
        blank = Strip.blank(self.size.width, self.rich_style)
        if self.rows or y != 1:
            return blank
        return Strip([Segment(self._waiting, self.rich_style)]).adjust_cell_length(self.size.width, self.rich_style)

    async def on_event(self, event: events.Event) -> None:
        """Keys, the mouse and what is pasted go to the process; all else is Textual's."""
        values = typed.told(event) if isinstance(event, events.InputEvent | events.Paste) else None
        if values is None or self.link is None:
            await super().on_event(event)
            return
        event.stop()
        event.prevent_default()
        if isinstance(event, events.Key) and event.key in ("escape", "ctrl+c") and self.link.is_stuck:
            self.post_message(HostedKey(event.key, is_stuck=True))
            return
        self.link.send("typed", **values)

    def draw(self, rows: dict[int, Strip]) -> None:
        """Show these rows."""
        self.rows |= rows
        self.refresh(*(Region(0, at, self.size.width, 1) for at in rows))


class HostedScreen(Screen[None]):
    """A plugin's screen; it goes on while another one is shown."""

    @property
    def HELP_KEYS(self) -> Keys:
        """The screen's own keys as it names them now, then those of its frame."""
        return (*(self.link.keys if self.link else ()), *KEYS)

    def __init__(self, found: Found, shown: str, history: Path) -> None:
        super().__init__()
        self.HELP_TITLE = shown
        self.found, self.shown, self._history = found, shown, history
        self.link: Link | None = None
        self._is_over = False

    def compose(self) -> ComposeResult:
        yield Header(self.shown)
        yield Drawn(self.shown)
        yield Footer(HINTS)

    def on_mount(self) -> None:
        self.query_one(Drawn).focus()
        self.set_interval(LOOK_SECONDS, self._look)
        self.app.theme_changed_signal.subscribe(self, lambda theme: self._send("theme", name=theme.name))

    @on(events.Resize)
    def _fit(self) -> None:
        self.call_after_refresh(self._open_or_resize)

    def _open_or_resize(self) -> None:
        drawn = self.query_one(Drawn)
        width, height = drawn.size
        if not width or not height or self._is_over:
            return
        if self.link is not None:
            drawn.rows.clear()
            self._send("size", width=width, height=height)
            return
        try:
            self.link = drawn.link = Link(
                self.found, self.shown, history=self._history, theme=self.app.theme, size=(width, height),
                tell=lambda: drawn.post_message(Drawn.Changed()),
            )  # fmt: skip
        except OSError as error:
            self.end(f"no process could be started: {error}")

    def _send(self, kind: str, **values: object) -> None:
        if self.link is not None:
            self.link.send(kind, **values)

    @on(events.ScreenResume)
    def _come(self) -> None:
        self._send("shown")
        self._take()

    @on(events.ScreenSuspend)
    def _leave(self) -> None:
        self._send("hidden")

    @on(Drawn.Changed)
    def _take(self) -> None:
        """What has come; more rows are asked for while they are seen."""
        if self.link is None or self._is_over:
            return
        rows, said = self.link.take()
        drawn = self.query_one(Drawn)
        if rows:
            drawn.draw({at: picture.drawn(row, drawn.size.width) for at, row in rows.items()})
        if self in self.app.screen_stack:
            self._send("seen")
        for one in said:
            self._heard(one)
        if (reason := self.link.end) is not None:
            self.end(reason)

    def _heard(self, said: Said) -> None:
        if said.kind == "unused":
            self.post_message(HostedKey(said.text))
        elif said.kind == "say":
            self.post_message(HostedLine(said.text))
        elif said.kind == "copy":
            self.app.copy_to_clipboard(said.text)
        else:
            self.app.bell()

    def _look(self) -> None:
        if self.link is None or self._is_over:
            return
        if (reason := self.link.look()) is not None:
            self.end(reason)
        else:
            self.query_one(Footer).hints = STUCK if self.link.is_ready and self.link.is_stuck else HINTS

    def end(self, reason: str) -> None:
        """End it, and say why."""
        self._is_over = True
        self.close()
        self.post_message(HostedOver(self, reason))

    def close(self) -> None:
        """End the process."""
        if self.link is not None:
            self.link.close()

    def on_unmount(self) -> None:
        self.close()
