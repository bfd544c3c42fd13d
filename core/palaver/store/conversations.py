"""Conversations as history has them: turns that follow one another, what was typed, what became an example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from palaver.store import evaluations
from palaver.store.evaluations import Promoted
from palaver.store.rows import Status
from palaver.store.sqlite import Connection

T = TypeVar("T")

LONGEST_ASKED = 2000
"""Characters of a task's question that the conversation after it still knows; a whole file would push out all else."""

LOOKED_AT = 5000
"""Turns among which earlier prompts are looked for: an evaluation may have made a million since."""


@dataclass(frozen=True, slots=True)
class Said:
    """A turn as those behind it know it."""

    id: int
    parent_id: int | None
    """The turn before it; None is the beginning. What asks the same again has the same one."""
    task: str
    status: Status
    asked: str
    """What the model was asked: a chat's question, a task's whole prompt up to LONGEST_ASKED characters."""
    output: str


class Conversations:
    """The part of a history that a conversation asks for: which turn follows which, what was typed, what to keep."""

    def _read(self, work: Callable[[Connection], T]) -> T:
        raise NotImplementedError

    def _write(self, work: Callable[[Connection], T]) -> T:
        raise NotImplementedError

    def said(self, run_id: int) -> list[Said]:
        """The turns of a run in the order they were made."""
        return self._read(lambda db: said(db, run_id))

    def siblings(self, turn_id: int) -> list[int]:
        """The answered turns that stand in the same place of the conversation, this one among them."""
        return self._read(lambda db: siblings(db, turn_id))

    def keep_example(self, name: str, task: str, item: Promoted) -> int:
        """Add one example to a data set, which is made if there is none of that name; how many it has now.

        Raises:
            BadInput: its examples are of another task.
        """
        return self._write(lambda db: evaluations.keep_example(db, name, task, item))

    def typed(self, limit: int = 500) -> list[str]:
        """What was typed last in chats, each text once, the newest one at the end."""
        return self._read(lambda db: typed(db, limit))


def said(connection: Connection, run_id: int) -> list[Said]:
    """As `Conversations.said`. The prompts of a chat, which hold all that was said before, are not read."""
    rows = connection.execute(
        "SELECT id, parent_id, task, status, output, "
        "CASE WHEN task = 'chat' THEN json_extract(inputs, '$.text') ELSE (SELECT "
        "group_concat(json_extract(value, '$.content'), char(10, 10)) FROM json_each(turns.prompt)) END AS asked "
        "FROM turns WHERE run_id = ? ORDER BY id",
        (run_id,),
    ).fetchall()
    return [
        Said(row["id"], row["parent_id"], row["task"], row["status"], clipped(row["asked"] or ""), row["output"])
        if row["task"] != "chat"
        else Said(row["id"], row["parent_id"], row["task"], row["status"], row["asked"] or "", row["output"])
        for row in rows
    ]


def siblings(connection: Connection, turn_id: int) -> list[int]:
    """As `Conversations.siblings`."""
    rows = connection.execute(
        "SELECT other.id FROM turns here JOIN turns other ON other.run_id = here.run_id "
        "AND other.parent_id IS here.parent_id AND other.status NOT IN ('failed', 'running') "
        "WHERE here.id = ? ORDER BY other.id",
        (turn_id,),
    ).fetchall()
    return [row["id"] for row in rows]


def clipped(text: str) -> str:
    """A task's question as the conversation after it knows it."""
    return text if len(text) <= LONGEST_ASKED else f"{text[:LONGEST_ASKED]} […]"


def typed(connection: Connection, limit: int) -> list[str]:
    """As `Conversations.typed`."""
    rows = connection.execute(
        "SELECT t.input_text FROM (SELECT id FROM turns ORDER BY id DESC LIMIT ?) newest "
        "JOIN turns t ON t.id = newest.id JOIN runs r ON r.id = t.run_id "
        "WHERE r.kind = 'chat' ORDER BY t.id DESC LIMIT ?",
        (LOOKED_AT, limit),
    ).fetchall()
    newest_first = dict.fromkeys(str(row["input_text"]) for row in rows)
    return [text for text in newest_first if text.strip()][::-1]
