"""A screen that a plugin adds to the terminal UI, and what it may use there; nothing here draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable


class Desk(Protocol):
    """What the terminal UI hands to a plugin's screen."""

    def turns(self, filter: str = "", limit: int = 100) -> Sequence[Mapping[str, object]]:
        """The newest turns that match a filter of `palaver history`, each with the fields of its JSON Lines export.

        Raises:
            UsageError: the filter cannot be read.
        """
        ...

    def say(self, line: str) -> None:
        """Go to the chat and send this line there, as if the user had typed it."""
        ...


@runtime_checkable
class ScreenKind(Protocol):
    """A screen beside the chat: a row of ctrl+g, an entry of the command palette."""

    name: str
    """One word, as shown: `Clock`."""
    summary: str
    """What it shows, in one line."""

    def open(self, desk: Desk) -> object:
        """A new `textual.screen.Screen`. Textual is imported here, not by the module.

        Called at the first visit, and again after the screen broke: it is then closed, and the rest goes on.
        """
        ...
