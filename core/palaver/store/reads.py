"""Every question that is asked of history, as lists: no cursor outlives its call, or the WAL could not be emptied."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from palaver.errors import NotFound
from palaver.metric import Score
from palaver.store.filter import EVERYTHING, Filter, Value
from palaver.store.rows import Reference, Run, Turn, TurnLine, score_from, turn_from
from palaver.store.sqlite import Connection, Row

START = 200
"""Characters of a text that a line shows."""

CHUNK = 2000
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
    scores = {turn_id: tuple(map(score_from, found)) for turn_id, found in _scores(connection, wanted).items()}
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
    scores = _scores(connection, wanted)
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


def _scores(connection: Connection, wanted: str) -> dict[int, list[Row]]:
    """Of each turn the newest score of each metric against today's references, in the task's order."""
    newest: dict[int, dict[str, Row]] = defaultdict(dict)
    for row in connection.execute(
        "SELECT s.* FROM scores s JOIN turns t ON t.id = s.turn_id AND t.reference_set = s.reference_set "
        "WHERE s.turn_id IN (SELECT value FROM json_each(?)) ORDER BY s.id",
        (wanted,),
    ).fetchall():
        newest[row["turn_id"]][row["metric"]] = row
    return {
        turn_id: sorted(found.values(), key=lambda row: (row["position"], row["id"]))
        for turn_id, found in newest.items()
    }


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
    tables, where, values = _selection(query)
    key = "turns_fts.rowid" if query.match else "t.id"
    if before is not None:
        where, values = [*where, f"{key} < ?"], [*values, before]
    if after is not None:
        where, values = [*where, f"{key} > ?"], [*values, after]
    sql = f"SELECT {key} AS id FROM {tables}{_and(where)} ORDER BY {key} {'ASC' if oldest_first else 'DESC'}"
    rows = connection.execute(f"{sql} LIMIT ? OFFSET ?", (*values, -1 if limit is None else limit, offset)).fetchall()
    return [row[0] for row in rows]


def page(connection: Connection, query: Filter, *, before: int | None, after: int | None, limit: int) -> list[TurnLine]:
    """The lines next to an id, newest first: those before it, or the nearest ones after it."""
    upwards = after is not None and before is None
    found = ids(connection, query, before=before, after=after, limit=limit, oldest_first=upwards)
    return lines(connection, found[::-1] if upwards else found)


def count(connection: Connection, query: Filter, *, limit: int | None, newer_than: int | None = None) -> int:
    """How many turns match, counted no further than `limit`."""
    tables, where, values = _selection(query)
    if newer_than is not None:
        where, values = [*where, f"{'turns_fts.rowid' if query.match else 't.id'} > ?"], [*values, newer_than]
    if limit is None:
        return int(connection.execute(f"SELECT count(*) FROM {tables}{_and(where)}", values).fetchone()[0])
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {tables}{_and(where)} LIMIT ?)"
    return int(connection.execute(sql, (*values, limit)).fetchone()[0])


def _selection(query: Filter) -> tuple[str, list[str], list[Value]]:
    """FROM, WHERE and values. The index of words leads where there is one: it knows the newest hits without a sort."""
    if not query.match:
        return "turns t", list(query.where), list(query.values)
    tables = "turns_fts CROSS JOIN turns t ON t.id = turns_fts.rowid" if query.where else "turns_fts"
    return tables, ["turns_fts MATCH ?", *query.where], [query.match, *query.values]


def _and(where: list[str]) -> str:
    return " WHERE " + " AND ".join(where) if where else ""


def corpus(connection: Connection, query: Filter, metric: str) -> list[tuple[str, tuple[float, ...], int]]:
    """Corpus signature, summed statistics and number of turns, for each signature among the complete turns."""
    rows: dict[str, list[list[float]]] = defaultdict(list)
    cursor = connection.cursor()
    cursor.row_factory = None  # a hundred thousand tuples, each looked at once
    for chunk in chunks(connection, query.and_where("t.status = 'complete'")):
        newest: dict[tuple[int, str], str] = {}
        for turn_id, signature, stats in cursor.execute(
            "SELECT s.turn_id, s.corpus_signature, s.stats FROM json_each(?) j "
            "CROSS JOIN turns t ON t.id = j.value CROSS JOIN scores s ON s.turn_id = t.id "
            "AND s.reference_set = t.reference_set AND s.metric = ? "
            "WHERE s.corpus_signature != '' AND s.stats != '[]' ORDER BY s.id",
            (json.dumps(chunk), metric),
        ).fetchall():
            newest[turn_id, signature] = stats
        texts: dict[str, list[str]] = defaultdict(list)
        for (_, signature), stats in newest.items():
            texts[signature].append(stats)
        for signature, found in texts.items():
            rows[signature] += json.loads(f"[{','.join(found)}]")
    return [
        # fsum: the sum does not depend on the order in which turns were made.
        (signature, tuple(map(math.fsum, zip(*group, strict=True))), len(group))
        for signature, found in rows.items()
        for width in sorted({len(one) for one in found})
        for group in [[one for one in found if len(one) == width]]
    ]


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


def all_scores(connection: Connection, turn_id: int) -> list[tuple[str, float, Score]]:
    """Reference set, Unix time and score of all that was ever computed for a turn, oldest first."""
    rows = connection.execute("SELECT * FROM scores WHERE turn_id = ? ORDER BY id", (turn_id,)).fetchall()
    return [(row["reference_set"], row["created"], score_from(row)) for row in rows]
