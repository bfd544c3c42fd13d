"""The process that draws one screen of one plugin: `python -m palaver_tui.hosted.guest`, started by `hosted.link`.

It runs the screen in an app without a terminal. Rows that changed go out as frames, keys and the mouse come in.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from textual.app import App
from textual.binding import Binding
from textual.drivers.headless_driver import HeadlessDriver
from textual.events import Resize, ScreenResume, ScreenSuspend
from textual.geometry import Size
from textual.screen import Screen
from textual.strip import Strip
from textual.worker import WorkerFailed

from palaver import frames
from palaver.child import Wire, die_with_parent, take_over_descriptors
from palaver.errors import PalaverError, PluginFailed
from palaver.paths import history_file
from palaver.plugins import describe
from palaver.plugins.guest import brought
from palaver.plugins.provides import provided
from palaver.screen import ScreenKind
from palaver_tui.hosted import picture, typed
from palaver_tui.theme import ANSI_THEMES, THEMES, VARIABLES

BEAT_SECONDS = 0.1
"""Between two signs of life of the loop that draws."""


class HistoryDesk:
    """What the screen may use: the same history, read here, and the chat, which is elsewhere. See `palaver.Desk`."""

    def __init__(self, wire: Wire, history: Path) -> None:
        self._wire, self._history = wire, history

    def turns(self, filter: str = "", limit: int = 100) -> Sequence[Mapping[str, object]]:
        """The newest turns that match."""
        from palaver.store import Store, parse_filter, turn_record

        with Store.open(self._history) as store:
            return [turn_record(store.turn(number)) for number in store.ids(parse_filter(filter), limit=limit)]

    def say(self, line: str) -> None:
        """Send a line in the chat."""
        self._wire.send("say", line=str(line))


class ScreenApp(App[None]):
    """An app for one screen, which is drawn elsewhere."""

    CSS_PATH = "../app.tcss"
    ENABLE_COMMAND_PALETTE = False  # it is where the rest of the app is
    BINDINGS: ClassVar = [
        Binding("escape", "unused('escape')", show=False),
        Binding("ctrl+c", "unused('ctrl+c')", show=False, system=True),
        Binding("question_mark", "unused('question_mark')", show=False),
    ]

    def __init__(self, wire: Wire, kind: ScreenKind, desk: HistoryDesk, theme: str) -> None:
        super().__init__()
        self._wire, self._kind, self._desk = wire, kind, desk
        self._sent: list[Strip] = []
        self._is_awaited, self._is_changed = True, False
        self._shown: Screen[Any] | None = None
        self._told_keys: list[list[str]] = []
        for one in (*THEMES, *ANSI_THEMES):
            self.register_theme(one)
        self.theme = theme if theme in self.available_themes else THEMES[0].name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The ledger's own colours, for the themes that do not know them."""
        return dict(VARIABLES)

    def on_mount(self) -> None:
        self._beat()
        made = self._kind.open(self._desk)
        if not isinstance(made, Screen):
            raise PluginFailed(f"open() gave {type(made).__name__}, which is no textual.screen.Screen")
        self._shown = made
        self.push_screen(made)

    def _beat(self) -> None:
        self._wire.send("beat")
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)

    def take(self, frame: frames.Frame) -> None:
        """What the user did, or where what was drawn has arrived."""
        kind = frame.get("type")
        driver = self._driver
        if kind == "seen":
            self._is_awaited = True
            self._send_picture()
        elif kind == "size" and isinstance(driver, HeadlessDriver):
            size = _size(frame)
            driver._size = size
            self._sent = []
            self.post_message(Resize(size, size))
        elif kind in ("shown", "hidden") and self._shown is not None:
            self.screen.post_message(ScreenResume() if kind == "shown" else ScreenSuspend())
        elif kind == "theme":
            self.theme = str(frame["name"])
        elif kind == "typed" and driver is not None and (event := typed.made(frame)) is not None:
            driver.process_message(event)

    def post_display_hook(self) -> None:
        """Something was drawn."""
        self._is_changed = True
        if self._shown is not None and len(self.screen_stack) == 1 and self._shown not in self.screen_stack:
            self.exit()  # it has closed itself
        self._send_picture()

    def _send_picture(self) -> None:
        """The rows that changed, once the last ones were seen: what is drawn faster is left out."""
        if not (self._is_awaited and self._is_changed):
            return
        self._is_changed = False
        try:
            now = self.screen._compositor.render_strips()
        except Exception as error:  # a widget of the plugin may raise anything at all
            self._handle_exception(error)
            return
        if (keys := self._keys()) != self._told_keys:
            self._told_keys = keys
            self._wire.send("keys", keys=keys)
        rows = picture.changed(self._sent, now)
        self._sent = list(now)
        if rows:
            self._is_awaited = False
            self._wire.send("picture", rows={str(at): picture.told(strip) for at, strip in rows.items()})

    def _keys(self) -> list[list[str]]:
        """The keys that the screen names, with what they do."""
        active = (one.binding for one in self.screen.active_bindings.values())
        return [[one.key, one.description] for one in active if one.show and one.description]

    def action_unused(self, key: str) -> None:
        """Nobody here has a use for this key."""
        self._wire.send("unused", key=key)

    def copy_to_clipboard(self, text: str) -> None:
        """The terminal is elsewhere."""
        self._wire.send("copy", text=text)

    def bell(self) -> None:
        """The terminal is elsewhere."""
        self._wire.send("bell")

    def _handle_exception(self, error: Exception) -> None:
        cause = error.error if isinstance(error, WorkerFailed) else error
        self._wire.send("broke", reason=_reason(cause))
        os._exit(1)


def _reason(error: BaseException) -> str:
    return error.message if isinstance(error, PalaverError) else describe(error)


def _size(frame: Mapping[str, Any]) -> Size:
    return Size(max(int(frame["width"]), 1), max(int(frame["height"]), 1))


async def _run(frame: Mapping[str, Any], incoming: BinaryIO, wire: Wire) -> None:
    plugin = brought(frame)
    kinds = provided(plugin.module, "palaver_screens", {}) if plugin.module else []
    kind = next(one for one in kinds if one.name == frame["screen"])
    app = ScreenApp(wire, kind, HistoryDesk(wire, Path(frame["history"] or history_file())), str(frame["theme"]))
    loop = asyncio.get_running_loop()

    def listen() -> None:
        try:
            while (arrived := frames.read(incoming)) is not None and arrived.get("type") != "close":
                loop.call_soon_threadsafe(app.take, arrived)
        finally:
            os._exit(0)

    threading.Thread(target=listen, name="frames", daemon=True).start()
    await app.run_async(headless=True, size=_size(frame))


def main() -> None:
    """Draw until the screen is left for good, or the parent is gone."""
    incoming, wire = take_over_descriptors()
    die_with_parent()
    frame = frames.read(incoming)
    try:
        if frame is not None and frame.get("type") == "open":
            asyncio.run(_run(frame, incoming, wire))
            wire.send("over")
    except BaseException as error:  # a plugin may raise anything at all, SystemExit included
        wire.send("broke", reason=_reason(error))
    os._exit(0)  # a thread that the plugin left behind must not keep us


if __name__ == "__main__":
    main()
