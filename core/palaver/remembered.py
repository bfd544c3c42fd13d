"""What was said in a conversation, and how much of it still goes along with the next question."""

from __future__ import annotations

from collections.abc import Sequence

from palaver.model import GenerationConfig, Message, ModelInfo, Request
from palaver.window import CHARACTERS_A_TOKEN, TELLING, characters_a_token, first_remembered, room_for_history


class Remembered:
    """The messages of one conversation, the oldest first."""

    def __init__(self) -> None:
        self._said: list[Message] = []
        self._first = 0
        """Index of the first message of these that still goes along."""
        self._density = CHARACTERS_A_TOKEN

    def __len__(self) -> int:
        return len(self._said)

    def begin(self, said: Sequence[Message] = ()) -> None:
        """Remember these, and nothing of what was said before."""
        self._said, self._first, self._density = list(said), 0, CHARACTERS_A_TOKEN

    def add(self, question: Message, answer: Message) -> None:
        """Remember what was said now."""
        self._said += [question, answer]

    def measure(self, sent: Sequence[Message], prompt_tokens: int | None) -> None:
        """Learn from what the model counted how many characters a token of this conversation holds."""
        if sum(len(message.content) for message in sent) >= TELLING:
            self._density = characters_a_token(sent, prompt_tokens)

    def room(self, info: ModelInfo, config: GenerationConfig, request: Request) -> float:
        """Characters that are free beside the request and its answer, an estimate."""
        return room_for_history(info, config, request, self._density)

    def beside(self, room: float) -> Sequence[Message]:
        """The messages that go along where so many characters are free. Changes nothing."""
        return self._said[first_remembered(self._said, self._first, room) :]

    def let_go(self, room: float) -> Sequence[Message]:
        """The same; what does not go along is left out from now on."""
        self._first = first_remembered(self._said, self._first, room)
        return self._said[self._first :]
