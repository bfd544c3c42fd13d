"""Turns from logs.db, where simonw's llm keeps what it was asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from palaver import BadInput, BadRecord, ImportedTurn, Message

_ROWS = """
SELECT responses.*, conversations.name AS conversation_name FROM responses
LEFT JOIN conversations ON conversations.id = responses.conversation_id ORDER BY responses.rowid
"""


class LlmLogs:
    """`llm logs path` says where the file is."""

    name: str = "llm"
    summary: str = "logs.db of llm, opened to read only"

    def read(self, files: Sequence[Path]) -> Iterator[ImportedTurn | BadRecord]:
        """Each response a turn; what came before in its conversation is part of its prompt."""
        for path in files:
            if not path.is_file():
                raise FileNotFoundError(2, "no such file", str(path))
            try:
                with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                    connection.row_factory = sqlite3.Row
                    tables = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master")}
                    if "responses" in tables:
                        yield from _turns(connection.execute(_ROWS), path.name)
                    if {"turns", "threads", "messages", "parts"} <= tables:  # llm 0.32 and later
                        yield from _threaded(connection, path.name)
                    elif "responses" not in tables:
                        raise BadInput(f"{path} is no logs.db of llm: it has no responses.", fix="llm logs path")
            except sqlite3.Error as error:
                raise BadInput(f"{path} is no logs.db of llm: {error}.", fix="llm logs path") from error


def _turns(rows: sqlite3.Cursor, file: str) -> Iterator[ImportedTurn | BadRecord]:
    said: dict[str, list[Message]] = {}
    for number, row in enumerate(rows, 1):
        names = row.keys()
        place = f"{file}:response {row['id'] if 'id' in names else number}"
        prompt, output = row["prompt"], row["response"]
        if not isinstance(prompt, str) or not isinstance(output, str):
            yield BadRecord(place, "it has no prompt in words" if not isinstance(prompt, str) else "it has no answer")
            continue
        conversation = str(row["conversation_id"] or place)
        before = said.setdefault(conversation, [])
        system = [Message("system", row["system"])] if row["system"] and not before else []
        messages = (*before, *system, Message("user", prompt))
        milliseconds = row["duration_ms"]
        yield ImportedTurn(
            place,
            {"text": prompt},
            output,
            model=str(row["model"] or ""),
            prompt=messages,
            conversation=conversation,
            title=str(row["conversation_name"] or ""),
            created=_time(row["datetime_utc"]),
            seconds=milliseconds / 1000 if isinstance(milliseconds, int) else None,
            prompt_tokens=row["input_tokens"] if "input_tokens" in names else None,
            output_tokens=row["output_tokens"] if "output_tokens" in names else None,
        )
        said[conversation] = [*messages, Message("assistant", output)]


_THREADED = """
SELECT turns.*, threads.name AS title FROM turns LEFT JOIN threads ON threads.id = turns.thread_id ORDER BY turns.rowid
"""


def _threaded(connection: sqlite3.Connection, file: str) -> Iterator[ImportedTurn | BadRecord]:
    """The turns of a log that keeps messages as a tree, each pointing to the one before."""
    for row in connection.execute(_THREADED):
        place = f"{file}:turn {row['id']}"
        prompt = _chain(connection, row["parent_message_hash"])
        answer = _message(connection, row["tip_message_hash"])
        asked = next((one.content for one in reversed(prompt) if one.role == "user"), None)
        if asked is None or answer is None or answer.role != "assistant":
            yield BadRecord(place, "it has no prompt in words" if asked is None else "it has no answer in words")
            continue
        milliseconds = row["duration_ms"]
        yield ImportedTurn(
            place,
            {"text": asked},
            answer.content,
            model=str(row["resolved_model"] or row["model"] or ""),
            prompt=tuple(prompt),
            conversation=str(row["thread_id"] or place),
            title=str(row["title"] or ""),
            created=_time(row["datetime_utc"]),
            seconds=milliseconds / 1000 if isinstance(milliseconds, int) else None,
            prompt_tokens=row["input_tokens"],
            output_tokens=row["output_tokens"],
        )


def _chain(connection: sqlite3.Connection, last: object) -> list[Message]:
    """The messages up to this one, oldest first; one that stands in a circle ends the walk."""
    found: list[Message] = []
    seen: set[object] = set()
    while last is not None and last not in seen:
        seen.add(last)
        if (message := _message(connection, last)) is not None:
            found.append(message)
        row = connection.execute("SELECT parent_hash FROM messages WHERE hash = ?", (last,)).fetchone()
        last = row["parent_hash"] if row else None
    return found[::-1]


def _message(connection: sqlite3.Connection, name: object) -> Message | None:
    row = connection.execute("SELECT role FROM messages WHERE hash = ?", (name,)).fetchone()
    parts = connection.execute(
        "SELECT text FROM parts WHERE message_hash = ? AND type = 'text' ORDER BY position", (name,)
    )
    text = "".join(str(one["text"] or "") for one in parts)
    if row is None or row["role"] not in ("system", "user", "assistant") or not text:
        return None
    return Message(row["role"], text)


def _time(text: object) -> float | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
