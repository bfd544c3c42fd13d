"""A conversation as a tree: a turn follows another one, and where one was asked anew, there are several ways on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from palaver.model import Message, Request
from palaver.store import Said, clipped
from palaver.task import Chat, Task

ANSWERED = ("complete", "truncated", "cancelled", "interrupted")
"""Of the others there is nothing that a conversation could go on from."""


class Forks:
    """The answered turns of one conversation, by the turn that each follows."""

    def __init__(self, turns: Sequence[Said]) -> None:
        self._turns = {one.id: one for one in turns if one.status in ANSWERED}
        self._children: dict[int | None, list[int]] = defaultdict(list)
        for one in self._turns.values():
            self._children[self._parent(one)].append(one.id)

    def _parent(self, turn: Said) -> int | None:
        """None where what came before was deleted, or belongs to another conversation."""
        return turn.parent_id if turn.parent_id in self._turns else None

    def path(self, turn_id: int) -> list[Said]:
        """The turns from the beginning to this one; empty if it was not answered."""
        found: list[Said] = []
        turn = self._turns.get(turn_id)
        while turn is not None:
            found.append(turn)
            parent = self._parent(turn)
            turn = self._turns[parent] if parent is not None else None
        return found[::-1]

    def siblings(self, turn_id: int) -> list[int]:
        """The turns that stand in the same place, this one among them, in the order they were made."""
        turn = self._turns.get(turn_id)
        return list(self._children[self._parent(turn)]) if turn is not None else [turn_id]

    def end(self, turn_id: int) -> int:
        """The last turn of the newest way on from here; the turn itself where nothing follows."""
        while following := self._children.get(turn_id):
            turn_id = following[-1]
        return turn_id

    @property
    def newest(self) -> int | None:
        """The turn answered last."""
        return max(self._turns, default=None)


def messages(path: Sequence[Said]) -> list[Message]:
    """What a model is told was said before."""
    return [one for turn in path for one in (Message("user", turn.asked), Message("assistant", turn.output))]


def asked(task: Task, sent: Request) -> Message:
    """What was asked, as the conversation remembers it: a task's instruction and text as one message of the user."""
    if isinstance(task, Chat):
        return sent.messages[-1]
    return Message("user", clipped("\n\n".join(message.content for message in sent.messages)))
