"""The wish to be on another screen, posted by any screen or widget and granted by the app."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message


@dataclass
class Go(Message):
    """`Go("Compare", "12 15")`: the words say why; an empty name asks the user for one."""

    place: str
    words: str = ""
