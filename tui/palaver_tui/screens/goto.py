"""One row that waits for the letter of a screen."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

from palaver_tui.widgets.text import Text, styled

PLACES = {"c": "Chat", "h": "History"}


class GoTo(ModalScreen[str]):
    """Closes with the name of a screen, or an empty one."""

    DEFAULT_CSS = """
    GoTo { align: left bottom; background: $background 0%; }
    GoTo > Text { height: 1; background: $boost; }
    """

    def compose(self) -> ComposeResult:
        pieces: list[str | tuple[str, str]] = [(" go to ", "$muted")]
        for key, place in PLACES.items():
            pieces += ["  ", (key, "bold $accent"), f" {place}"]
        yield Text(styled(*pieces, ("   esc stays", "$muted")))

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.dismiss(PLACES.get(event.key, ""))
