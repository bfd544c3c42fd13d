"""The rows of evaluations and data sets, read back without their long texts."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from palaver.errors import BadInput, not_found
from palaver.metric import Score
from palaver.model import Generation
from palaver.store import writes
from palaver.store.answers import GoodOutput
from palaver.store.filter import EVERYTHING
from palaver.store.reads import chunks, standing
from palaver.store.rows import Status, clean, score_from, to_json
from palaver.store.sqlite import Connection


@dataclass(frozen=True, slots=True)
class Given:
    """What a model answered before to the same request."""

    turn_id: int
    output: str
    """As the task read it then; of a long input, the merged answer."""
    generation: Generation


@dataclass(frozen=True, slots=True)
class Result:
    """An example of a run as comparing and reporting need it."""

    turn_id: int
    example_id: str
    epoch: int
    status: Status
    is_cached: bool
    inputs: str
    """A name for the inputs: the same for the same texts."""
    reference_set: str
    length: int
    """Characters of the references, of the input where there are none."""
    origins: tuple[tuple[str, str], ...]
    """Origin and author of each reference."""
    error: str
    seconds: float | None
    output_tokens: int | None
    scores: tuple[Score, ...]
    """Against the references of now, each metric's newest."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """An example that was a turn once."""

    example_id: str
    inputs: dict[str, str]
    references: tuple[GoodOutput, ...]
    language: str = ""
    turn_id: int | None = None
    """Where it comes from."""
    model: str = ""
    """That answered it there."""


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A data set in the history file."""

    name: str
    task: str
    source: str
    """The filter that its turns were found by."""
    created: float
    """Unix time."""
    n: int
    items: tuple[Promoted, ...] = field(default=())
    """Empty in a list of data sets."""


# -- runs


def finish_run(connection: Connection, run_id: int) -> None:
    """Note that nothing is missing any more."""
    connection.execute("UPDATE runs SET finished = ? WHERE id = ?", (time.time(), run_id))


def answered(connection: Connection, run_id: int) -> set[tuple[str, int]]:
    """Examples and epochs that a run has a row of."""
    rows = connection.execute(
        "SELECT example_id, epoch FROM turns WHERE run_id = ? AND example_id IS NOT NULL", (run_id,)
    ).fetchall()
    return {(row[0], row[1]) for row in rows}


def forget_failed(connection: Connection, run_id: int) -> int:
    """Remove a run's failed rows, so that these examples are missing again; how many."""
    rows = connection.execute("SELECT id FROM turns WHERE run_id = ? AND status = 'failed'", (run_id,)).fetchall()
    return writes.delete(connection, [row[0] for row in rows])


def given(connection: Connection, key: str, digest: str) -> Given | None:
    """The newest whole answer that these weights gave to this request, however it was asked."""
    row = connection.execute(
        "SELECT id, output, coalesce(raw, output) AS raw, finish_reason, prompt_tokens, output_tokens, "
        "first_token_seconds, seconds, logprob, scored_tokens, cached_from FROM turns WHERE request_key = ? "
        "AND model_digest = ? AND status IN ('complete', 'truncated') ORDER BY id DESC LIMIT 1",
        (key, digest),
    ).fetchone()
    if row is None:
        return None
    generation = Generation(
        row["raw"],
        row["finish_reason"],
        row["prompt_tokens"],
        row["output_tokens"],
        row["first_token_seconds"],
        row["seconds"] or 0.0,
        "",
        row["logprob"],
        row["scored_tokens"],
    )
    return Given(row["cached_from"] or row["id"], row["output"], generation)


def results(connection: Connection, run_id: int) -> list[Result]:
    """What a run has of each example, in the order in which they were answered."""
    found: list[Result] = []
    for ids in chunks(connection, EVERYTHING.and_where("t.run_id = ? AND t.example_id IS NOT NULL", run_id)):
        found += _results(connection, json.dumps(ids))
    return found


def _results(connection: Connection, wanted: str) -> list[Result]:
    origins: dict[int, list[tuple[str, str]]] = {}
    for row in connection.execute(
        "SELECT turn_id, origin, author FROM refs "
        "WHERE superseded IS NULL AND turn_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (wanted,),
    ).fetchall():
        origins.setdefault(row["turn_id"], []).append((row["origin"], row["author"]))
    scores = standing(connection, wanted)
    rows = connection.execute(
        "SELECT id, example_id, epoch, status, cached_from, inputs, reference_set, error, seconds, output_tokens, "
        "iif(reference_text = '', length(input_text), length(reference_text)) AS length "
        "FROM turns WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (wanted,),
    ).fetchall()
    return [
        Result(
            row["id"],
            row["example_id"],
            row["epoch"],
            row["status"],
            row["cached_from"] is not None,
            hashlib.sha256(row["inputs"].encode()).hexdigest()[:12],
            row["reference_set"],
            row["length"],
            tuple(origins.get(row["id"], ())),
            row["error"],
            row["seconds"],
            row["output_tokens"],
            tuple(map(score_from, scores.get(row["id"], ()))),
        )
        for row in rows
    ]


# -- data sets


def add_dataset(connection: Connection, name: str, task: str, source: str, items: Sequence[Promoted]) -> None:
    """A new data set.

    Raises:
        BadInput: there is one of that name.
    """
    if connection.execute("SELECT 1 FROM datasets WHERE name = ?", (name,)).fetchone() is not None:
        raise BadInput(
            f"There is a data set '{name}' already.", fix=f"palaver dataset show {name}", code="dataset_exists"
        )
    _add_items(connection, _new_dataset(connection, name, task, source), items)


def keep_example(connection: Connection, name: str, task: str, item: Promoted) -> int:
    """One more example of a data set, which is made if there is none of that name; how many it has now.

    Raises:
        BadInput: its examples are of another task.
    """
    row = connection.execute("SELECT id, task FROM datasets WHERE name = ?", (name,)).fetchone()
    if row is not None and row["task"] != task:
        raise BadInput(f"'{name}' has examples of {row['task']}, not of {task}.", fix="give another name")
    dataset_id = row["id"] if row is not None else _new_dataset(connection, name, task, "kept one by one")
    connection.execute(
        "DELETE FROM dataset_items WHERE dataset_id = ? AND example_id = ?", (dataset_id, item.example_id)
    )
    _add_items(connection, dataset_id, [item])
    counted = "SELECT count(*) FROM dataset_items WHERE dataset_id = ?"
    return int(connection.execute(counted, (dataset_id,)).fetchone()[0])


def _new_dataset(connection: Connection, name: str, task: str, source: str) -> int:
    made = connection.execute(
        "INSERT INTO datasets (name, task, source, created) VALUES (?, ?, ?, ?)",
        (clean(name), task, source, time.time()),
    )
    return int(made.lastrowid or 0)


def _add_items(connection: Connection, dataset_id: int, items: Sequence[Promoted]) -> None:
    now = time.time()
    connection.executemany(
        "INSERT INTO dataset_items (dataset_id, example_id, turn_id, model, created, inputs, refs, language) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                dataset_id,
                one.example_id,
                one.turn_id,
                clean(one.model),
                now,
                to_json(one.inputs),
                to_json([[ref.text, ref.origin, ref.author] for ref in one.references]),
                clean(one.language),
            )
            for one in items
        ],
    )


def datasets(connection: Connection) -> list[StoredDataset]:
    """All data sets, without their examples."""
    rows = connection.execute(
        "SELECT name, task, source, created, (SELECT count(*) FROM dataset_items WHERE dataset_id = datasets.id) AS n "
        "FROM datasets ORDER BY name"
    ).fetchall()
    return [StoredDataset(row["name"], row["task"], row["source"], row["created"], row["n"]) for row in rows]


def dataset(connection: Connection, name: str) -> StoredDataset:
    """One data set with its examples.

    Raises:
        NotFound: with the nearest names.
    """
    row = connection.execute("SELECT * FROM datasets WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise not_found("dataset", name, [one.name for one in datasets(connection)], fix="palaver dataset list")
    items = tuple(
        Promoted(
            one["example_id"],
            json.loads(one["inputs"]),
            tuple(GoodOutput(*parts) for parts in json.loads(one["refs"])),
            one["language"],
            one["turn_id"],
            one["model"],
        )
        for one in connection.execute(
            "SELECT * FROM dataset_items WHERE dataset_id = ? ORDER BY turn_id", (row["id"],)
        ).fetchall()
    )
    return StoredDataset(row["name"], row["task"], row["source"], row["created"], len(items), items)
