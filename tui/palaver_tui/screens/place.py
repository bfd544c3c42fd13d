"""What every screen beside the chat is: made once with the session, kept, and told why the user came."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.screen import Screen

from palaver_tui.entries import PaletteCommand
from palaver_tui.places import Keys

if TYPE_CHECKING:
    from palaver.session import Session


class PlaceScreen(Screen[None]):
    """A screen that a line of `PLACES` names; it keeps its state while another one is shown."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-medium"), (104, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-normal"), (32, "-tall")]
    HELP_KEYS: ClassVar[Keys] = ()
    """What F1 lists for this screen. A widget with a list of its own comes before it while it has the focus."""

    def __init__(self, session: Session) -> None:
        super().__init__()

    @property
    def is_busy(self) -> bool:
        """Something runs here that quitting would stop."""
        return False

    def halt(self) -> None:
        """End what runs here; what is done stays."""

    def arrive(self, words: str) -> None:
        """The user came with words: those behind `/name` in the chat, or those of a `Go` from another screen."""

    def palette_commands(self) -> Iterable[PaletteCommand]:
        """What the command palette offers while this screen is shown; titles begin with its name: `history: export`."""
        return ()
