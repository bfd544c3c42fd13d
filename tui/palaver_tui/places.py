"""The screens of the app: name, letter after ctrl+g, and where the class is; a new screen is one line here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase, digits
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palaver.registry import Registry
    from palaver.screen import ScreenKind

Keys = Sequence[tuple[str, str]]
"""Keys and what they do, as the help page lists them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A screen that can be gone to."""

    name: str
    letter: str
    summary: str
    source: str = ""
    """`module:Class` of a `PlaceScreen`, imported when it is first opened; empty is the chat itself."""
    usage: str = ""
    """What may follow `/name` in the chat; the screen gets it by `arrive`."""
    kind: ScreenKind | None = None
    """A plugin's, which makes the screen itself."""

    @property
    def command(self) -> str:
        """What is typed in the chat to go there, without the slash."""
        return self.name.casefold()


PLACES = (
    Place("Chat", "c", "the conversation"),
    Place(
        "Compare",
        "o",
        "one question, several models",
        "palaver_tui.screens.compare:CompareScreen",
        "[MODEL... | #TURN... | RUN RUN]",
    ),
    Place("History", "h", "every turn so far", "palaver_tui.screens.history:HistoryScreen"),
    Place(
        "Evaluate",
        "e",
        "a task over a data set",
        "palaver_tui.screens.evaluate:EvaluateScreen",
        "[RUN... | TASK DATASET MODEL...]",
    ),
    Place(
        "Train",
        "t",
        "train a model, and watch it learn",
        "palaver_tui.screens.train:TrainScreen",
        "[FOLDER | KIND TEXT --out FOLDER ...]",
    ),
    Place("Models", "m", "what can answer, and what it takes", "palaver_tui.screens.models:ModelsScreen"),
    Place("Plugins", "p", "what is installed, and how it is doing", "palaver_tui.screens.plugins:PluginsScreen"),
)
"""In the order of the first row."""

EVERYWHERE: Keys = (
    ("ctrl+g", "go to: " + ", ".join(f"{place.letter} {place.name}" for place in PLACES)),
    ("ctrl+p", "all commands and themes"),
    ("F1", "keys and help of what has the focus; ? too, outside a field"),
    ("esc", "close, back, at last to the chat. Never quits"),
    ("ctrl+c", "copy what is selected; else stop; else, twice, quit"),
    ("ctrl+q", "quit"),
)


def place(name: str, places: Sequence[Place] = PLACES) -> Place:
    """The screen of this name, or of this command."""
    return next(one for one in places if name in (one.name, one.command))


def with_plugins(registry: Registry | None) -> tuple[Place, ...]:
    """The screens of the app and those that plugins add, each of them with a letter while there are any."""
    if registry is None:
        return PLACES
    found = list(PLACES)
    for name, (kind, _) in registry.screens().items():
        taken = {one.letter for one in found}
        wanted = [
            letter for letter in (*name.casefold(), *ascii_lowercase, *digits) if letter in ascii_lowercase + digits
        ]
        letter = next((one for one in wanted if one not in taken), "")
        found.append(Place(name, letter, kind.summary, kind=kind))
    return tuple(found)
