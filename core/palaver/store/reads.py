"""Every question that is asked of history, as lists: no cursor outlives its call, or the WAL could not be emptied."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from palaver.errors import NotFound
from palaver.store.filter import EVERYTHING, Filter, Value, scored
from palaver.store.rows import Reference, Run, Turn, TurnLine, score_from, turn_from
from palaver.store.sqlite import Connection, Row

START = 200
"""Characters of a text that a line shows."""

CHUNK = 5000
"""Turns looked at in one go where all of them are wanted."""


def turns(connection: Connection, ids: Sequence[int]) -> list[Turn]:
    """The turns with these ids, in this order; ids that are not there are left out."""
    wanted = json.dumps(list(ids))
    rows = connection.execute("SELECT * FROM turns WHERE id IN (SELECT value FROM json_each(?))", (wanted,)).fetchall()
    references: dict[int, list[Reference]] = defaultdict(list)
    for row in connection.execute(
        "SELECT turn_id, id, text, origin, created FROM refs "
        "WHERE superseded IS NULL AND turn_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (wanted,),
    ).fetchall():
        references[row["turn_id"]].append(Reference(row["id"], row["text"], row["origin"], row["created"]))
    tags: dict[int, list[str]] = defaultdict(list)
    for row in connection.execute(
        "SELECT turn_id, tag FROM tags WHERE turn_id IN (SELECT value FROM json_each(?)) ORDER BY tag", (wanted,)
    ).fetchall():
        tags[row["turn_id"]].append(row["tag"])
    scores = {turn_id: tuple(map(score_from, found)) for turn_id, found in standing(connection, wanted).items()}
    by_id = {
        row["id"]: turn_from(row, tuple(references[row["id"]]), scores.get(row["id"], ()), tuple(tags[row["id"]]))
        for row in rows
    }
    return [by_id[one] for one in ids if one in by_id]


def turn(connection: Connection, turn_id: int) -> Turn:
    """One turn.

    Raises:
        NotFound: no such turn.
    """
    found = turns(connection, [turn_id])
    if not found:
        raise no_turn(turn_id)
    return found[0]


def no_turn(turn_id: int) -> NotFound:
    """The error for a number that no turn has."""
    return NotFound(f"There is no turn #{turn_id} in history.", fix="palaver history", code="turn_not_found")


def lines(connection: Connection, ids: Sequence[int]) -> list[TurnLine]:
    """The turns with these ids as lines of a table, in this order; ids that are not there are left out."""
    wanted = json.dumps(list(ids))
    rows = connection.execute(
        "SELECT id, created, task, model, status, rating, substr(error, 1, ?1) AS error, "
        "substr(input_text, 1, ?1) AS input_start, substr(iif(status = 'running', raw, output), 1, ?1) AS output_start "
        "FROM turns WHERE id IN (SELECT value FROM json_each(?2))",
        (START, wanted),
    ).fetchall()
    scores = standing(connection, wanted)
    by_id = {row["id"]: _line(row, scores.get(row["id"], [])) for row in rows}
    return [by_id[one] for one in ids if one in by_id]


def _line(row: Row, scores: list[Row]) -> TurnLine:
    # Lengths and the like, which need no reference, say nothing of how good an answer is.
    shown = [(str(one["title"]), one["value"]) for one in scores[:2] if one["reference_set"]]
    return TurnLine(
        id=row["id"],
        created=row["created"],
        task=row["task"],
        model=row["model"],
        status=row["status"],
        input_start=row["input_start"],
        output_start=row["output_start"] or "",
        error=row["error"],
        main=shown[0] if shown else None,
        second=shown[1] if len(shown) > 1 else None,
        rating=row["rating"],
    )


def standing(connection: Connection, wanted: str) -> dict[int, list[Row]]:
    """Of each turn the newest score of each metric against today's references, in the task's order."""
    found: dict[int, list[Row]] = defaultdict(list)
    for row in connection.execute(
        "SELECT s.* FROM json_each(?) j CROSS JOIN scored s ON s.turn_id = j.value WHERE s.standing = 2 "
        "ORDER BY s.position, s.serial",
        (wanted,),
    ).fetchall():
        found[row["turn_id"]].append(row)
    return found


def ids(
    connection: Connection,
    query: Filter,
    *,
    before: int | None = None,
    after: int | None = None,
    offset: int = 0,
    limit: int | None = None,
    oldest_first: bool = False,
) -> list[int]:
    """Ids of the matching turns, newest first unless told otherwise; `before` and `after` are ids, exclusive."""
    key, tables, where, values = selection(connection, query)
    if before is not None:
        where, values = [*where, f"{key} < ?"], [*values, before]
    if after is not None:
        where, values = [*where, f"{key} > ?"], [*values, after]
    order = "ASC" if oldest_first else "DESC"
    first = ""
    if key == "s.turn_id":  # scores lead, block by block
        first = f"b.block {order}, "
        if before is not None:
            where, values = [*where, "b.block <= ? / 32"], [*values, before]
        if after is not None:
            where, values = [*where, "b.block >= ? / 32"], [*values, after]
    sql = f"SELECT {key} AS id FROM {tables}{_and(where)} ORDER BY {first}{key} {order}"
    rows = connection.execute(f"{sql} LIMIT ? OFFSET ?", (*values, -1 if limit is None else limit, offset)).fetchall()
    return [row[0] for row in rows]


def page(connection: Connection, query: Filter, *, before: int | None, after: int | None, limit: int) -> list[TurnLine]:
    """The lines next to an id, newest first: those before it, or the nearest ones after it."""
    upwards = after is not None and before is None
    found = ids(connection, query, before=before, after=after, limit=limit, oldest_first=upwards)
    return lines(connection, found[::-1] if upwards else found)


def count(connection: Connection, query: Filter, *, limit: int | None, newer_than: int | None = None) -> int:
    """How many turns match, counted no further than `limit`."""
    key, tables, where, values = selection(connection, query)
    if newer_than is not None:
        where, values = [*where, f"{key} > ?"], [*values, newer_than]
    if limit is None:
        return int(connection.execute(f"SELECT count(*) FROM {tables}{_and(where)}", values).fetchone()[0])
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {tables}{_and(where)} LIMIT ?)"
    return int(connection.execute(sql, (*values, limit)).fetchone()[0])


def selection(connection: Connection, query: Filter) -> tuple[str, str, list[str], list[Value]]:
    """What the id is called, FROM, WHERE and values. Whatever knows the newest hits without a sort leads."""
    scores = list(query.scores)
    if query.match:
        where, values = ["turns_fts MATCH ?", *query.where], [query.match, *query.values]
        key, tables, joined = "turns_fts.rowid", "turns_fts", "CROSS JOIN turns t ON t.id = turns_fts.rowid"
    elif scores and _is_lead(connection, query):
        # Blocks of turns in which such a score can be, then the scores of these blocks.
        metric, sign, number = scores.pop(0)
        where = [
            f"b.metric = ? AND {_can_be(sign)}",
            "s.turn_id BETWEEN b.block * 32 AND b.block * 32 + 31",
            f"s.standing = 2 AND s.value {sign} ?",
            "s.kind_id IN (SELECT id FROM score_kinds WHERE metric = ?)",
            *query.where,
        ]
        values = [metric, number, number, metric, *query.values]
        key, tables = "s.turn_id", "score_ranges b CROSS JOIN scores s"
        joined = "CROSS JOIN turns t ON t.id = s.turn_id"
    else:
        key, tables, joined, where, values = "t.id", "turns t", "", list(query.where), list(query.values)
    for metric, sign, number in scores:
        condition = scored(metric, sign, number)
        where, values = [*where, condition.sql], [*values, *condition.values]
    return key, f"{tables} {joined}" if query.where or scores else tables, where, values


def _can_be(sign: str) -> str:
    """The condition on a block `b` that it may have such a score."""
    return {"<": "b.low {} ?", ">": "b.high {} ?"}.get(sign[0], "? BETWEEN b.low AND b.high").format(sign)


_HAS_INDEX = ("t.id ", "t.run_id = ", "t.task = ", "t.model = ")


def _is_lead(connection: Connection, query: Filter) -> bool:
    """Whether to begin with the score: always, unless an index narrows down more than a score that many turns have."""
    if not any(one.startswith(_HAS_INDEX) for one in query.where):
        return True
    metric, sign, number = query.scores[0]
    looked_at, can_be = connection.execute(
        f"SELECT count(*), coalesce(sum({_can_be(sign)}), 0) FROM "
        "(SELECT low, high FROM score_ranges WHERE metric = ? ORDER BY block DESC LIMIT 500) b",
        (number, metric),
    ).fetchone()
    return bool(can_be * 16 < looked_at)


def _and(where: list[str]) -> str:
    return " WHERE " + " AND ".join(where) if where else ""


def chunks(connection: Connection, query: Filter) -> Iterator[list[int]]:
    """The ids of all matching turns, oldest first, some thousands at a time and no cursor open in between."""
    after = 0
    while found := ids(connection, query, after=after, limit=CHUNK, oldest_first=True):
        yield found
        after = found[-1]


def runs(connection: Connection, *, kind: str | None, before: int | None, limit: int) -> list[Run]:
    """The newest runs."""
    rows = connection.execute(
        f"{_RUN} WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3",
        (kind, before, limit),
    ).fetchall()
    return [_run(row) for row in rows]


def run(connection: Connection, run_id: int) -> Run:
    """One run.

    Raises:
        NotFound: no such run.
    """
    row = connection.execute(f"{_RUN} WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no run {run_id} in history.", fix="palaver compare", code="run_not_found")
    return _run(row)


_RUN = (
    "SELECT id, kind, title, created, plan, finished, "
    "(SELECT count(*) FROM turns t WHERE t.run_id = runs.id) AS turns FROM runs"
)


def _run(row: Row) -> Run:
    plan = json.loads(row["plan"])
    return Run(row["id"], row["kind"], row["title"], row["created"], row["turns"], plan, row["finished"])


def run_turns(connection: Connection, run_id: int) -> list[Turn]:
    """The turns of a run, in the order they were made."""
    return turns(connection, ids(connection, EVERYTHING.and_where("t.run_id = ?", run_id), oldest_first=True))
