"""One or two rows that wait for the letter of a screen."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.screen import ModalScreen

from palaver.terminal import cells
from palaver_tui.places import Place
from palaver_tui.widgets.text import Text, styled

LEAD = " go to   "


class GoTo(ModalScreen[str]):
    """Closes with the name of a screen, or an empty one."""

    DEFAULT_CSS = """
    GoTo { align: left bottom; background: $background 0%; }
    GoTo > Text { height: auto; background: $boost; }
    """

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__()
        self._places = places

    def compose(self) -> ComposeResult:
        yield Text(goto_text(self._places, self.app.size.width))

    def on_resize(self, event: events.Resize) -> None:
        self.query_one(Text).show(goto_text(self._places, event.size.width))

    def on_key(self, event: events.Key) -> None:
        event.stop()
        self.dismiss(next((one.name for one in self._places if one.letter == event.key), ""))


def goto_text(places: Sequence[Place], width: int) -> Content:
    """The letters and names, on as many rows as a terminal `width` columns wide needs."""
    rows: list[list[str | tuple[str, str]]] = [[(LEAD, "$muted")]]
    used = len(LEAD)
    entries: list[tuple[str, str, str]] = [
        (place.letter, place.name, "bold $accent") for place in places
    ]  # a name may be a plugin's
    for key, name, style in (*entries, ("esc", "stays", "$muted")):
        taken = cells(f"{key} {name}") + 3
        if used + taken > width:
            rows.append([" " * len(LEAD)])
            used = len(LEAD)
        rows[-1] += [(key, style), (f" {name}   ", "$muted" if key == "esc" else "")]
        used += taken
    return Content("\n").join(styled(*row) for row in rows)
