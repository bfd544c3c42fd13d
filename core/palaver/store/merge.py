"""Take over the runs of another history file, with all that belongs to them: how shards become one history."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from palaver.errors import BadInput
from palaver.store import scores
from palaver.store.migrations import APPLICATION_ID, VERSION
from palaver.store.sqlite import Connection, Error, connect_read_only, explain, writing
from palaver.store.words import index_new

# Columns that hold the id of a row of another table, by table; all but tags and scores number their rows.
_LINKS = {
    "runs": {},
    "turns": {"run_id": "runs", "parent_id": "turns", "cached_from": "turns"},
    "refs": {"turn_id": "turns", "superseded_by": "refs"},
    "scores": {"turn_id": "turns"},
    "tags": {"turn_id": "turns"},
    "votes": {"winner": "turns", "loser": "turns"},
}
_UNNUMBERED = {"tags": "x.turn_id, x.tag", "scores": "x.turn_id, x.serial"}
"""In what order their rows are copied."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What came over."""

    runs: int
    turns: int
    known: int
    """Runs that were here already, and were left out."""


def merge(connection: Connection, other: Path) -> Merged:
    """Copy the runs of `other` that are not here yet. Not for use inside a transaction.

    Raises:
        BadInput: `other` is no history, or one of another version.
    """
    _check(other)
    connection.execute("ATTACH DATABASE ? AS other", (str(other),))
    try:
        with writing(connection):
            merged = _copy(connection)
            index_new(connection)
            return merged
    finally:
        connection.execute("DETACH DATABASE other")


def _check(other: Path) -> None:
    if not other.is_file():
        raise BadInput(f"There is no file {other}.", fix="check the name", code="no_file")
    try:
        with closing(connect_read_only(other)) as reader:
            owner = int(reader.execute("PRAGMA application_id").fetchone()[0])
            version = int(reader.execute("PRAGMA user_version").fetchone()[0])
    except Error as error:
        raise explain(error, other) from error
    if owner != APPLICATION_ID:
        raise BadInput(f"{other} is no history of Palaver.", code="history_foreign")
    if version != VERSION:
        raise BadInput(
            f"{other} has schema {version}, and this history has {VERSION}.",
            fix=f"PALAVER_HISTORY={other} palaver history, with this Palaver",
            code="history_version",
        )


def _copy(connection: Connection) -> Merged:
    # A run is known by its moment, to the microsecond, and by what it was to do.
    same = "SELECT 1 FROM main.runs m WHERE (m.created, m.kind, m.title, m.plan) = (r.created, r.kind, r.title, r.plan)"
    connection.execute("DROP TABLE IF EXISTS temp.wanted")
    connection.execute(f"CREATE TEMP TABLE wanted AS SELECT id FROM other.runs r WHERE NOT EXISTS ({same})")
    whole = int(connection.execute("SELECT count(*) FROM other.runs").fetchone()[0])
    shift = {
        table: int(connection.execute(f"SELECT coalesce(max(id), 0) FROM main.{table}").fetchone()[0])
        for table in _LINKS
        if table not in _UNNUMBERED
    }
    for table, number in connection.execute("SELECT name, seq FROM main.sqlite_sequence").fetchall():
        shift[table] = max(shift.get(table, 0), int(number))  # a number that was deleted is not given again
    kinds = "metric, title, position, signature, corpus_signature"
    connection.execute(
        f"INSERT INTO main.score_kinds ({kinds}) SELECT {kinds} FROM other.score_kinds WHERE true "
        "ON CONFLICT DO NOTHING"
    )
    counts = {table: _copy_table(connection, table, shift) for table in _LINKS}
    connection.execute("DROP TABLE temp.wanted")
    scores.widen_ranges(connection, after=shift["turns"])
    return Merged(counts["runs"], counts["turns"], whole - counts["runs"])


def _copy_table(connection: Connection, table: str, shift: dict[str, int]) -> int:
    links = _LINKS[table] | ({} if table in _UNNUMBERED else {"id": table})
    columns = [str(row[1]) for row in connection.execute(f"PRAGMA main.table_info({table})").fetchall()]
    values = [f"x.{one} + {shift[links[one]]}" if one in links else f"x.{one}" for one in columns]
    if table == "scores":  # what these have in common has a number of its own in each file
        values[columns.index("kind_id")] = (
            "(SELECT m.id FROM other.score_kinds k JOIN main.score_kinds m "
            "USING (metric, title, position, signature, corpus_signature) WHERE k.id = x.kind_id)"
        )
    turns = "SELECT t.id FROM other.turns t WHERE t.run_id IN (SELECT id FROM temp.wanted)"
    if table == "turns":  # what an answer was forked or taken over from may be in a run that is left out
        for one, instead in (("parent_id", "NULL"), ("cached_from", "iif(x.cached_from IS NULL, NULL, 0)")):
            place = columns.index(one)
            values[place] = f"iif(x.{one} IN ({turns}), {values[place]}, {instead})"
    owner = {"runs": "x.id", "turns": "x.run_id", "votes": "x.winner"}.get(table, "x.turn_id")
    among = "SELECT id FROM temp.wanted" if table in ("runs", "turns") else turns
    where = f"{owner} IN ({among})" + (f" AND x.loser IN ({turns})" if table == "votes" else "")
    return connection.execute(
        f"INSERT INTO main.{table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM other.{table} x "
        f"WHERE {where} ORDER BY {_UNNUMBERED.get(table, 'x.id')}"
    ).rowcount
