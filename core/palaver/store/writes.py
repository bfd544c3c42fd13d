"""Every change that is made to history, as a function of the connection whose transaction it runs in."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from palaver.errors import NotFound
from palaver.metric import Score
from palaver.model import Generation
from palaver.store import process, scores
from palaver.store.reads import no_turn
from palaver.store.rows import (
    TurnStart,
    clean,
    config_to_json,
    finite,
    key_of,
    reference_set,
    texts_to_json,
    to_json,
)
from palaver.store.sqlite import Connection, Row

Column = str | int | float | None
"""What a column holds."""


def begin_run(connection: Connection, kind: str, title: str, plan: Mapping[str, object]) -> int:
    """The id of a new run."""
    columns: Mapping[str, Column] = {
        "kind": kind,
        "title": clean(title),
        "created": time.time(),
        "plan": to_json(plan),
    }
    return _insert(connection, "runs", columns)


def begin_turn(connection: Connection, start: TurnStart, owner: process.Owner, palaver_version: str) -> int:
    """The id of a new row with status `running`, which says whose it is."""
    check_run(connection, start.run_id)
    if start.parent_id is not None:
        _turn(connection, start.parent_id)
    now = time.time()
    return _insert(connection, "turns", start_columns(start, owner, palaver_version) | {"created": now, "touched": now})


def check_run(connection: Connection, run_id: int) -> None:
    """
    Raises:
        NotFound: no such run.
    """
    if connection.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone() is None:
        raise NotFound(f"There is no run {run_id} in history.", code="run_not_found")


def start_columns(start: TurnStart, owner: process.Owner, palaver_version: str) -> dict[str, Column]:
    """What the row of a turn holds before it is answered, but for the time."""
    options, inputs, config = to_json(start.options), texts_to_json(start.inputs), config_to_json(start.config)
    return {
        "run_id": start.run_id,
        "parent_id": start.parent_id,
        "status": "running",
        "task": clean(start.task),
        "model": clean(start.model),
        "model_ref": clean(start.model_ref),
        "model_digest": clean(start.model_digest),
        "backend": clean(start.backend),
        "plugin": clean(start.plugin),
        "plugin_version": clean(start.plugin_version),
        "palaver_version": palaver_version,
        "language": clean(start.language),
        "pid": owner.pid,
        "process_start": owner.start,
        "boot_id": owner.boot,
        "options": options,
        "config": config,
        "inputs": inputs,
        "input_text": clean(start.input_text),
        "prompt": to_json([{"role": one.role, "content": one.content} for one in start.prompt]),
        "example_id": None if start.example_id is None else clean(start.example_id),
        "epoch": start.epoch,
        "cached_from": start.cached_from,
        "request_key": key_of(start, options, inputs, config),
    }


def draft(connection: Connection, turn_id: int, text: str) -> None:
    """Keep what has been generated so far, beside the output: the search index is not rewritten twice a second."""
    connection.execute(
        "UPDATE turns SET raw = ?, touched = ? WHERE id = ? AND status = 'running'", (clean(text), time.time(), turn_id)
    )


def finish_turn(
    connection: Connection,
    turn_id: int,
    output: str,
    raw: str,
    status: str,
    generation: Generation,
    error: str,
    model_digest: str,
    cached_from: int | None,
) -> None:
    """The answer, and how it ended."""
    output, raw = clean(output), clean(raw)
    changed = connection.execute(
        "UPDATE turns SET output = ?, raw = ?, status = ?, finish_reason = ?, error = ?, prompt_tokens = ?, "
        "output_tokens = ?, first_token_seconds = ?, seconds = ?, touched = ?, "
        "model_digest = iif(?11 = '', model_digest, ?11), logprob = ?12, scored_tokens = ?13, cached_from = ?14 "
        "WHERE id = ?15",
        (
            output,
            None if raw == output else raw,  # most answers are what the model said
            status,
            generation.finish_reason,
            clean(error or generation.error),
            generation.prompt_tokens,
            generation.output_tokens,
            finite(generation.first_token_seconds),
            finite(generation.seconds),
            time.time(),
            clean(model_digest),
            finite(generation.logprob),
            generation.scored_tokens,
            cached_from,
            turn_id,
        ),
    ).rowcount
    if not changed:
        raise no_turn(turn_id)


def add_references(connection: Connection, turn_id: int, texts: Sequence[str], origin: str, author: str) -> None:
    """More references; one that is there already is not added twice."""
    _turn(connection, turn_id)
    known = {row["text"] for row in _active(connection, turn_id)}
    for text in dict.fromkeys(map(clean, texts)):
        if text not in known:
            columns: Mapping[str, Column] = {
                "turn_id": turn_id,
                "text": text,
                "origin": origin,
                "author": clean(author),
                "created": time.time(),
            }
            _insert(connection, "refs", columns)
    _note_references(connection, turn_id)


def replace_references(connection: Connection, turn_id: int, texts: Sequence[str], origin: str, author: str) -> None:
    """These references instead of those; the old ones stay, marked as superseded."""
    old = [row["id"] for row in _active(connection, turn_id)]
    connection.execute(
        "UPDATE refs SET superseded = ? WHERE turn_id = ? AND superseded IS NULL", (time.time(), turn_id)
    )
    add_references(connection, turn_id, texts, origin, author)
    new = [row["id"] for row in _active(connection, turn_id)]
    for place, reference_id in enumerate(old):
        # The one in the same place; a shorter new list ends with the successor of the rest.
        successor = new[min(place, len(new) - 1)] if new else None
        connection.execute("UPDATE refs SET superseded_by = ? WHERE id = ?", (successor, reference_id))


def _note_references(connection: Connection, turn_id: int) -> None:
    texts = [row["text"] for row in _active(connection, turn_id)]
    connection.execute(
        "UPDATE turns SET reference_text = ?, reference_set = ? WHERE id = ?",
        ("\n".join(texts), reference_set(texts), turn_id),
    )


def _active(connection: Connection, turn_id: int) -> list[Row]:
    return connection.execute(
        "SELECT id, text FROM refs WHERE turn_id = ? AND superseded IS NULL ORDER BY id", (turn_id,)
    ).fetchall()


def add_scores(connection: Connection, turn_id: int, found: Sequence[Score]) -> None:
    """Scores of the output as it is against the references as they are; none is added twice."""
    turn = _turn(connection, turn_id)
    scores.add(connection, turn_id, turn["output"], turn["reference_set"], found)


def add_many_scores(connection: Connection, many: Sequence[tuple[int, Sequence[Score]]]) -> None:
    """Scores of many turns."""
    for turn_id, found in many:
        add_scores(connection, turn_id, found)


def rate(connection: Connection, turn_id: int, rating: int | None) -> None:
    """Stars for a turn, or none."""
    _turn(connection, turn_id)
    connection.execute("UPDATE turns SET rating = ? WHERE id = ?", (rating, turn_id))


def note(connection: Connection, turn_id: int, text: str) -> None:
    """The note of a turn, instead of the one it had."""
    _turn(connection, turn_id)
    connection.execute("UPDATE turns SET note = ? WHERE id = ?", (clean(text), turn_id))


def tag(connection: Connection, turn_id: int, tags: Sequence[str]) -> None:
    """More tags."""
    _turn(connection, turn_id)
    for one in tags:
        connection.execute(
            "INSERT INTO tags (turn_id, tag) VALUES (?, ?) ON CONFLICT DO NOTHING", (turn_id, clean(one))
        )


def untag(connection: Connection, turn_id: int, tags: Sequence[str]) -> None:
    """Fewer tags."""
    for one in tags:
        connection.execute("DELETE FROM tags WHERE turn_id = ? AND tag = ?", (turn_id, clean(one)))


def delete(connection: Connection, turn_ids: Sequence[int]) -> int:
    """Remove turns with all that belongs to them; how many there were."""
    removed = 0
    for turn_id in turn_ids:
        run = connection.execute("SELECT run_id FROM turns WHERE id = ?", (turn_id,)).fetchone()
        if run is not None:
            removed += 1
            connection.execute("DELETE FROM turns WHERE id = ?", (turn_id,))
            # The run stays, a conversation may go on in it; its title may quote what was to go.
            connection.execute(
                "UPDATE runs SET title = '' WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM turns WHERE run_id = ?1)",
                (run["run_id"],),
            )
    return removed


def mark_orphans(connection: Connection) -> int:
    """Turns of processes that died become `interrupted` and keep their last draft; how many there were."""
    marked = 0
    for row in connection.execute(
        "SELECT id, pid, process_start, boot_id, touched FROM turns WHERE status = 'running'"
    ).fetchall():
        owner = process.Owner(row["pid"], row["process_start"], row["boot_id"])
        if process.is_gone(owner, last_sign=row["touched"]):
            connection.execute(
                "UPDATE turns SET status = 'interrupted', output = coalesce(raw, ''), raw = NULL, "
                "error = 'Palaver ended before the answer did.' WHERE id = ?",
                (row["id"],),
            )
            marked += 1
    return marked


def vacuum(connection: Connection) -> None:
    """Give the space of deleted turns back, and with it their last traces. Not for use inside a transaction."""
    connection.execute("INSERT INTO turns_fts (turns_fts) VALUES ('optimize')")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _turn(connection: Connection, turn_id: int) -> Row:
    row: Row | None = connection.execute("SELECT output, reference_set FROM turns WHERE id = ?", (turn_id,)).fetchone()
    if row is None:
        raise no_turn(turn_id)
    return row


def next_id(connection: Connection, table: str) -> int:
    """A number that no row of the table has or had."""
    last = connection.execute(
        f"SELECT max((SELECT coalesce(max(id), 0) FROM {table}), "
        "(SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?))",
        (table,),
    ).fetchone()
    return int(last[0]) + 1


def _insert(connection: Connection, table: str, columns: Mapping[str, Column]) -> int:
    """The id of a new row."""
    marks = ", ".join("?" * len(columns))
    cursor = connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", tuple(columns.values()))
    return int(cursor.lastrowid or 0)
