"""The fields of a turn of the JSON Lines export, as the writers of other formats need them."""

from __future__ import annotations

from collections.abc import Mapping


def references(turn: Mapping[str, object]) -> list[str]:
    """Its references that count."""
    found = turn.get("references")
    return [str(one["text"]) for one in found if isinstance(one, Mapping)] if isinstance(found, list | tuple) else []


def messages(turn: Mapping[str, object]) -> list[tuple[str, str]]:
    """Role and text of the messages as they were sent; where they are not known, the input as the user's."""
    found = turn.get("prompt")
    sent = [(str(one["role"]), str(one["content"])) for one in found or () if isinstance(one, Mapping)]  # type: ignore[attr-defined]
    return sent or [("user", str(turn.get("input_text", "")))]


def one_line(text: str) -> str:
    """A text on a line of its own: `splitlines` knows every character that some reader takes for the end of one."""
    return " ".join(text.splitlines())


def is_whole(turn: Mapping[str, object]) -> bool:
    """It was answered to its end."""
    return turn.get("status") == "complete"
