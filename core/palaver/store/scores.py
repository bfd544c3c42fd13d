"""Scores of turns: short rows in the order of turns, what they have in common kept once; added to, never changed."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from palaver.metric import Score
from palaver.store.filter import Filter
from palaver.store.reads import selection
from palaver.store.rows import Kind, Packed, pack_score, score_from
from palaver.store.sqlite import Connection

BLOCK = 32
"""Turns that share a range of values; the file is made for this number."""

_WIDEN = "ON CONFLICT DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high)"

_Row = tuple[int, int, int, int, float, str, str, float | None, int, str, str]

Scored = tuple[int, str, str, Sequence[Score]]
"""A turn, its output, the name of its set of references, and what the one scores against the other."""


def insert(connection: Connection, found: Iterable[Scored]) -> None:
    """Scores of turns that have none yet."""
    now, new = time.time(), []
    rows: list[_Row] = []
    for turn_id, output, references, scores in found:
        if scores:
            scored = output_hash(output)
            packed = [pack_score(score, position) for position, score in enumerate(scores)]
            new.append((turn_id, references, scored, packed))
    kinds = _kinds(connection, {kind for _, _, _, packed in new for kind, _ in packed})
    for turn_id, references, scored, packed in new:
        newest = {kind[0].lower(): serial for serial, (kind, _) in enumerate(packed)}
        rows += [
            (turn_id, serial, kinds[kind], 1 + (newest[kind[0].lower()] == serial), now, references, scored, *values)
            for serial, (kind, values) in enumerate(packed)
        ]
    _insert(connection, kinds, rows)


def add(connection: Connection, turn_id: int, output: str, references: str, scores: Sequence[Score]) -> None:
    """Scores of a turn that may have some; what was scored, how and against what is not added twice."""
    scored, now = output_hash(output), time.time()
    rows: list[_Row] = []
    known = {
        tuple(row)
        for row in connection.execute(
            "SELECT lower(metric), signature, error FROM scored WHERE turn_id = ? AND reference_set = ? "
            "AND output_hash = ?",
            (turn_id, references, scored),
        ).fetchall()
    }
    packed = [pack_score(score, position) for position, score in enumerate(scores)]
    kinds = _kinds(connection, {kind for kind, _ in packed})
    last = connection.execute("SELECT max(serial) FROM scores WHERE turn_id = ?", (turn_id,)).fetchone()[0]
    serial = -1 if last is None else int(last)
    for kind, values in packed:
        name = (kind[0].lower(), kind[3], values[-1])
        if name not in known:  # an error may be followed by a number, once
            known.add(name)
            serial += 1
            rows.append((turn_id, serial, kinds[kind], 1, now, references, scored, *values))
    if rows:
        _insert(connection, kinds, rows)
        connection.execute("UPDATE scores SET standing = 1 WHERE turn_id = ? AND standing = 2", (turn_id,))
        connection.execute(
            "UPDATE scores SET standing = 2 WHERE turn_id = ?1 AND serial IN "
            "(SELECT max(serial) FROM scored WHERE turn_id = ?1 AND standing = 1 GROUP BY metric)",
            (turn_id,),
        )


def output_hash(output: str) -> str:
    """A name for what was scored."""
    return hashlib.sha256(output.encode()).hexdigest()[:16]


def _kinds(connection: Connection, wanted: set[Kind]) -> dict[Kind, int]:
    columns = "(metric, title, position, signature, corpus_signature)"
    connection.executemany(
        f"INSERT INTO score_kinds {columns} VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", list(wanted)
    )
    return {
        kind: int(
            connection.execute(f"SELECT id FROM score_kinds WHERE {columns} = (?, ?, ?, ?, ?)", kind).fetchone()[0]
        )
        for kind in wanted
    }


def _insert(connection: Connection, kinds: Mapping[Kind, int], rows: Sequence[_Row]) -> None:
    connection.executemany(
        "INSERT INTO scores (turn_id, serial, kind_id, standing, created, reference_set, output_hash, value, n, stats, "
        "error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    metrics = {number: kind[0] for kind, number in kinds.items()}
    values: dict[tuple[str, int], list[float]] = defaultdict(list)
    for turn_id, _, kind, _, _, _, _, value, *_ in rows:
        if value is not None:
            values[metrics[kind], turn_id // BLOCK].append(value)
    connection.executemany(
        f"INSERT INTO score_ranges VALUES (?, ?, ?, ?) {_WIDEN}",
        [(metric, block, min(found), max(found)) for (metric, block), found in values.items()],
    )


def widen_ranges(connection: Connection, *, after: int) -> None:
    """Note the scores of the turns after that number, which came over from another file."""
    connection.execute(
        f"INSERT INTO score_ranges SELECT metric, turn_id / {BLOCK}, min(value), max(value) FROM scored "
        f"WHERE turn_id > ? AND value IS NOT NULL GROUP BY metric, turn_id / {BLOCK} {_WIDEN}",
        (after,),
    )


def corpus(connection: Connection, query: Filter, metric: str) -> list[tuple[str, tuple[float, ...], int]]:
    """Corpus signature, summed statistics and number of turns, for each signature among the complete turns."""
    signatures = {
        int(row[0]): str(row[1])
        for row in connection.execute(
            "SELECT id, corpus_signature FROM score_kinds WHERE metric = ? AND corpus_signature != ''", (metric,)
        ).fetchall()
    }
    if not signatures:
        return []
    key, tables, where, values = selection(connection, query.and_where("t.status = 'complete'"))
    cursor = connection.cursor()
    cursor.row_factory = None  # a hundred thousand tuples, each looked at once
    newest: dict[str, dict[int, str]] = {signature: {} for signature in signatures.values()}
    for turn_id, kind, stats in cursor.execute(
        f"SELECT c.turn_id, c.kind_id, c.stats FROM {tables} CROSS JOIN scores c ON c.turn_id = {key} "
        f"WHERE {' AND '.join(where)} AND c.standing > 0 AND c.kind_id IN ({', '.join(map(str, signatures))}) "
        "AND c.stats != '[]'",
        values,
    ):
        newest[signatures[kind]][turn_id] = stats  # in the order they were made: the last one stays
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    for signature, texts in newest.items():
        for text in texts.values():
            found[signature, text.count(",") + 1].append(text)
    return [(signature, _sums(texts, width), len(texts)) for (signature, width), texts in sorted(found.items())]


def _sums(texts: list[str], width: int) -> tuple[float, ...]:
    flat = json.loads(
        f"[{','.join([text[1:-1] for text in texts])}]"
    )  # one list, where lists of lists take twice as long
    # fsum: the sum does not depend on the order in which turns were made.
    return tuple(math.fsum(flat[place::width]) for place in range(width))


def all_scores(connection: Connection, turn_id: int) -> list[tuple[str, float, Score]]:
    """Reference set, Unix time and score of all that was ever computed for a turn, oldest first."""
    rows = connection.execute("SELECT * FROM scored WHERE turn_id = ? ORDER BY serial", (turn_id,)).fetchall()
    return [(row["reference_set"], row["created"], score_from(row)) for row in rows]


def extremes(connection: Connection, run_id: int, metric: str, lowest: bool, limit: int) -> list[tuple[int, float]]:
    """The turns of a run that one metric scored lowest or highest, with the score against the references of now."""
    order = "ASC" if lowest else "DESC"
    rows = connection.execute(
        "SELECT t.id, s.value FROM turns t CROSS JOIN scored s ON s.turn_id = t.id AND s.standing = 2 "
        "WHERE t.run_id = ? AND t.status = 'complete' AND s.metric = ? AND s.value IS NOT NULL "
        f"ORDER BY s.value {order}, t.id LIMIT ?",
        (run_id, metric, limit),
    ).fetchall()
    return [(row[0], row[1]) for row in rows]


__all__ = ["Packed", "Scored", "add", "all_scores", "corpus", "extremes", "insert", "output_hash"]
