"""What of a conversation goes into a model's window, how full that is, and what the model did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from palaver.model import GenerationConfig, Message, ModelInfo, Request

CHARACTERS_A_TOKEN = 3.0
"""A first guess, on the safe side for text in most languages; the engine has the last word."""
TELLING = 80
"""Characters from which on a text says how many are in a token; of a shorter one most tokens are the template's."""


@dataclass(frozen=True, slots=True)
class ContextUse:
    """How full the window was at the end of an answer, and what stood outside it; a front end can draw it as a meter.

    `share` fills the meter, `str(...)` is the label beside it: `1,203 of 8,192 tokens (15 %)`. `unseen` is a sentence
    for what the model did not see, or not at once; empty where it saw everything.
    """

    used: int | None
    """Tokens of prompt and answer together; None where the model does not count, or the text was read in parts."""
    window: int | None
    """Tokens that the model can see at once; None where nobody says."""
    forgotten: int = 0
    """Earlier messages of the conversation that no longer fit: the model did not see them."""
    parts: int = 0
    """In so many parts a text longer than the window was read: all of it, but never together. 0: at once."""

    @property
    def share(self) -> float | None:
        """Used part of the window, 0-1; None where either number is not known."""
        return min(self.used / self.window, 1.0) if self.used is not None and self.window else None

    @property
    def unseen(self) -> str:
        """What the model did not see, as a sentence; empty where it saw everything at once."""
        if self.parts:
            return f"The text was read in {self.parts} parts: all of it, but never together."
        if self.forgotten:
            return f"The {self.forgotten} oldest messages were left out: they no longer fit into the window."
        return ""

    def __str__(self) -> str:
        if self.used is None:
            return f"{self.parts} parts" if self.parts else ""
        if not self.window:
            return f"{self.used:,} tokens"
        return f"{self.used:,} of {self.window:,} tokens ({round(100 * (self.share or 0))} %)"


def characters_a_token(messages: Sequence[Message], prompt_tokens: int | None) -> float:
    """What a token of this conversation holds, from what the model counted; the first guess where it does not."""
    size = sum(len(message.content) for message in messages)
    # The template's own tokens count too: they make a conversation look denser, which is the safe side.
    return min(size / prompt_tokens, 5.0) if prompt_tokens and size else CHARACTERS_A_TOKEN


def first_remembered(said: Sequence[Message], first: int, room: float) -> int:
    """Index of the first message that goes along where `room` characters are free, when it was `first` the last time.

    Once the window is full a third of it is let go of at once: the beginning then stays the same for many turns, and
    what was read of it before need not be read again.
    """
    sizes = [len(message.content) for message in said]
    if sum(sizes) <= room:
        return 0
    if sum(sizes[first:]) <= room:
        return first
    while first < len(said) and sum(sizes[first:]) > 2 * room / 3:
        first += 2
    return min(first, len(said))


def room_for_history(info: ModelInfo, config: GenerationConfig, request: Request, density: float) -> float:
    """Characters of earlier messages that fit beside the request and its answer, at `density` characters a token."""
    if info.context is None:
        return float("inf")
    tokens = max(info.context - min(config.max_new_tokens, info.context // 2), 0)
    return density * tokens - sum(len(message.content) for message in request.messages)
