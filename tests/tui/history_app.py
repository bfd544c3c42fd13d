"""An application with nothing in it but one screen, and what the tests of the screens look at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from textual import on
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.worker import WorkerCancelled

from palaver.session import Session
from palaver_tui.go import Go
from palaver_tui.screens.history import HistoryScreen
from palaver_tui.theme import DARK, THEMES
from palaver_tui.widgets.table import Table


class HistoryApp(App[None]):
    """Opens the History screen at once, or another one; notes where it is told to go."""

    def __init__(
        self, session: Session, *, theme: str = DARK.name, kind: Callable[[Session], Screen[None]] = HistoryScreen
    ) -> None:
        super().__init__()
        self._session, self._wanted, self._kind = session, theme, kind
        self.gone: list[tuple[str, str]] = []
        """Places and words."""

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"muted": "gray", "hairline": "gray", "better": "blue", "worse": "orange"}

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._wanted
        self.push_screen(self._kind(self._session))

    @on(Go)
    def _go(self, event: Go) -> None:
        self.gone.append((event.place, event.words))


async def settled(pilot: Pilot[None]) -> None:
    """Wait until no worker is left and every message has been handled."""
    await pilot.pause()
    while working := [worker for worker in pilot.app.workers if not worker.is_finished]:
        for worker in working:
            with suppress(WorkerCancelled):  # a later one of its kind has taken its place
                await worker.wait()
        await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, then wait until all is settled."""
    await pilot.press(*keys)
    await settled(pilot)


async def until(pilot: Pilot[None], claim: Callable[[], bool]) -> None:
    """Wait for a claim to come true."""
    for _ in range(100):
        if claim():
            return
        await settled(pilot)
    raise AssertionError("it never came true")


def shown(pilot: Pilot[None]) -> str:
    """What is on the screen, a line a row."""
    return "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())


def table(pilot: Pilot[None]) -> Table:
    """The table of turns."""
    return pilot.app.screen.query_one(Table)
