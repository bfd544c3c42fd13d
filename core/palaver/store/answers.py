"""Finished turns on their way into history: written in groups, each example of a data set once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from palaver.metric import Score
from palaver.model import Generation
from palaver.store import process, scores, writes
from palaver.store.rows import Status, TurnStart, clean, finite, reference_set
from palaver.store.sqlite import Connection


@dataclass(frozen=True, slots=True)
class GoodOutput:
    """A reference on its way into history."""

    text: str
    origin: str = "imported"
    """`written`, `imported`, `post-edit` or `model`."""
    author: str = ""
    """The model whose output was edited, or that wrote it."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn that is finished when it is first written, with all that belongs to it."""

    start: TurnStart
    status: Status
    output: str
    raw: str
    generation: Generation
    error: str = ""
    references: tuple[GoodOutput, ...] = ()
    scores: tuple[Score, ...] = ()
    created: float | None = None
    """Unix time, where it is not now."""
    ended_how: bool = True
    """The model's reason to end is known."""
    note: str = ""


def add_answers(
    connection: Connection, answers: Sequence[Answered], owner: process.Owner, version: str
) -> list[int | None]:
    """The ids of the new rows; None for an example that the run has answered already: its first answer stands."""
    if not answers:
        return []
    # The transaction has the right to write, so the next ids are ours to give: rows go in a table at a time.
    first, now = writes.next_id(connection, "turns"), time.time()
    rows = [_columns(one, owner, version, now) for one in answers]
    names = ("id", *rows[0])
    connection.executemany(
        f"INSERT INTO turns ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
        "ON CONFLICT (run_id, example_id, epoch) WHERE example_id IS NOT NULL DO NOTHING",
        [(turn_id, *row.values()) for turn_id, row in enumerate(rows, first)],
    )
    kept = {row[0] for row in connection.execute("SELECT id FROM turns WHERE id >= ?", (first,)).fetchall()}
    new = [(turn_id, one) for turn_id, one in enumerate(answers, first) if turn_id in kept]
    connection.executemany(
        "INSERT INTO refs (turn_id, text, origin, author, created) VALUES (?, ?, ?, ?, ?)",
        [
            (turn_id, text, given.origin, clean(given.author), now)
            for turn_id, one in new
            for text, given in _references(one).items()
        ],
    )
    scores.insert(
        connection,
        [(turn_id, clean(one.output), reference_set(_references(one)), one.scores) for turn_id, one in new],
    )
    return [turn_id if turn_id in kept else None for turn_id in range(first, first + len(rows))]


def _references(answer: Answered) -> dict[str, GoodOutput]:
    return {clean(one.text): one for one in answer.references}


def _columns(answer: Answered, owner: process.Owner, version: str, now: float) -> dict[str, writes.Column]:
    generation, references = answer.generation, _references(answer)
    output, raw = clean(answer.output), clean(answer.raw)
    return writes.start_columns(answer.start, owner, version) | {
        "created": now if answer.created is None else answer.created,
        "touched": now,
        "note": clean(answer.note),
        "status": answer.status,
        "output": output,
        "raw": None if raw == output else raw,
        "finish_reason": generation.finish_reason if answer.ended_how else "",
        "error": clean(answer.error or generation.error),
        "prompt_tokens": generation.prompt_tokens,
        "output_tokens": generation.output_tokens,
        "first_token_seconds": finite(generation.first_token_seconds),
        "seconds": finite(generation.seconds),
        "logprob": finite(generation.logprob),
        "scored_tokens": generation.scored_tokens,
        "reference_text": "\n".join(references),
        "reference_set": reference_set(references),
    }
