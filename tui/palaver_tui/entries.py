"""What a user can choose from, as values: lines of the slash menu, and what an empty chat offers.

Nothing here draws, so the line mode has them without the library that the screens need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu."""

    text: str
    """What it completes to: `/summarize`, `@notes.md`."""
    summary: str = ""
    usage: str = ""
    """What follows it."""
    origin: str = ""
    """`plugin summarize 0.1.0`."""
    needs_more: bool = False
    """It cannot run without what follows."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A numbered line: what is typed for the user, what it does, what it costs."""

    line: str
    does: str
    cost: str
    is_download: bool = False
    shown: str = ""
    """The line as it is printed, where it is too long."""

    @property
    def label(self) -> str:
        """What stands beside the number."""
        return self.shown or self.line


@dataclass(frozen=True, slots=True)
class PaletteCommand:
    """One entry of the command palette: what it is called, what it is, what it does."""

    title: str
    help: str
    run: Callable[[], object]
