"""The diary of the history file's schema: how it came to be what it is, and how an older file catches up.

A migration is never edited once released; the next change of mind is the next entry. The file's `user_version` is the
number of entries it has lived through.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from palaver.errors import StoreError
from palaver.store.sqlite import Connection, Error, connect, connect_read_only, damaged, prepare_for_writing, writing

if TYPE_CHECKING:
    from sqlite_utils import Database

VERSION = 5
"""What `user_version` says of a file that is up to date."""

APPLICATION_ID = 0x50414C56
"""`PALV` in the file's header: this database is a history and not some other program's."""


def m001_record_turns(db: Database) -> None:
    """Every question becomes a row before it is asked; scores are rows of their own, and only ever added."""
    for statement in _RECORD_TURNS:
        db.execute(statement)


def m002_search_text(db: Database) -> None:
    """Full-text search by trigrams, which finds words inside words and needs no spaces between them (CJK)."""
    for statement in _SEARCH_TEXT:
        db.execute(statement)


def m003_evaluate(db: Database) -> None:
    """An evaluation answers each example of a data set once; what was answered before need not be asked again."""
    for statement in _EVALUATE:
        db.execute(statement)


def m004_vote(db: Database) -> None:
    """People say which of several answers is the better one, without seeing whose they are."""
    for statement in _VOTE:
        db.execute(statement)


def m005_weigh_tokens(db: Database) -> None:
    """How likely a model held its own answer: free text has a number, perplexity, that needs no reference."""
    db.execute("ALTER TABLE turns ADD COLUMN logprob REAL")
    db.execute("ALTER TABLE turns ADD COLUMN scored_tokens INTEGER NOT NULL DEFAULT 0")


MIGRATIONS = (m001_record_turns, m002_search_text, m003_evaluate, m004_vote, m005_weigh_tokens)

# The small columns come first: a row is read from the front, and what a list shows must not lie behind a long text.
_RECORD_TURNS = (
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL CHECK (kind IN ('chat', 'task', 'eval')),
        title TEXT NOT NULL,
        created REAL NOT NULL
    ) STRICT""",
    """CREATE TABLE turns (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id INTEGER NOT NULL REFERENCES runs (id),
        parent_id INTEGER REFERENCES turns (id) ON DELETE SET NULL,
        created REAL NOT NULL,
        touched REAL NOT NULL,
        status TEXT NOT NULL
            CHECK (status IN ('running', 'complete', 'truncated', 'cancelled', 'failed', 'interrupted')),
        task TEXT NOT NULL COLLATE NOCASE,
        model TEXT NOT NULL COLLATE NOCASE,
        model_ref TEXT NOT NULL COLLATE NOCASE,
        rating INTEGER CHECK (rating BETWEEN 1 AND 5),
        reference_set TEXT NOT NULL DEFAULT '',
        finish_reason TEXT NOT NULL DEFAULT '',
        prompt_tokens INTEGER,
        output_tokens INTEGER,
        first_token_seconds REAL,
        seconds REAL,
        language TEXT NOT NULL,
        backend TEXT NOT NULL,
        plugin TEXT NOT NULL COLLATE NOCASE,
        plugin_version TEXT NOT NULL,
        palaver_version TEXT NOT NULL,
        model_digest TEXT NOT NULL,
        pid INTEGER NOT NULL,
        process_start TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        options TEXT NOT NULL,
        config TEXT NOT NULL,
        error TEXT NOT NULL DEFAULT '',
        note TEXT NOT NULL DEFAULT '',
        output TEXT NOT NULL DEFAULT '',
        input_text TEXT NOT NULL,
        reference_text TEXT NOT NULL DEFAULT '',
        raw TEXT,
        inputs TEXT NOT NULL,
        prompt TEXT NOT NULL
    ) STRICT""",
    # What lists narrow down by, in the order of the list and without the texts: a hundredth of the table's pages.
    "CREATE INDEX turns_in_order ON turns (id, created, status, task, model, rating, reference_set)",
    "CREATE INDEX turns_by_run ON turns (run_id)",
    "CREATE INDEX turns_by_parent ON turns (parent_id) WHERE parent_id IS NOT NULL",
    "CREATE INDEX turns_by_task ON turns (task, id, model, status)",
    "CREATE INDEX turns_by_model ON turns (model, id, task, status)",
    "CREATE INDEX turns_by_time ON turns (created)",
    "CREATE INDEX turns_by_status ON turns (status)",
    "CREATE INDEX turns_by_rating ON turns (rating) WHERE rating IS NOT NULL",
    """CREATE TABLE refs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        turn_id INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        text TEXT NOT NULL,
        origin TEXT NOT NULL CHECK (origin IN ('written', 'imported', 'post-edit', 'model')),
        author TEXT NOT NULL DEFAULT '',
        created REAL NOT NULL,
        superseded_by INTEGER REFERENCES refs (id) ON DELETE SET NULL,
        superseded REAL
    ) STRICT""",
    "CREATE INDEX refs_by_turn ON refs (turn_id)",
    "CREATE INDEX refs_by_successor ON refs (superseded_by) WHERE superseded_by IS NOT NULL",
    """CREATE TABLE scores (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        turn_id INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        reference_set TEXT NOT NULL,
        metric TEXT NOT NULL COLLATE NOCASE,
        value REAL,
        position INTEGER NOT NULL,
        title TEXT NOT NULL,
        signature TEXT NOT NULL,
        n INTEGER NOT NULL,
        stats TEXT NOT NULL,
        corpus_signature TEXT NOT NULL,
        error TEXT NOT NULL,
        output_hash TEXT NOT NULL,
        created REAL NOT NULL
    ) STRICT""",
    # A score is known by what was scored, how, and against what; an error may be followed by a number, once.
    """CREATE UNIQUE INDEX scores_once
        ON scores (turn_id, reference_set, metric, signature, output_hash, error)""",
    """CREATE TABLE tags (
        turn_id INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        tag TEXT NOT NULL COLLATE NOCASE,
        PRIMARY KEY (turn_id, tag)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX tags_by_name ON tags (tag, turn_id)",
)

_SEARCH_TEXT = (
    # A turn enters the index when it is finished: to index the question first would be to index it three times.
    """CREATE VIEW searched AS
        SELECT id, input_text, output, reference_text, note FROM turns WHERE status != 'running'""",
    """CREATE VIRTUAL TABLE turns_fts USING fts5(
        input_text, output, reference_text, note, content='searched', content_rowid='id', tokenize='trigram')""",
    """CREATE TRIGGER turns_fts_insert AFTER INSERT ON turns WHEN new.status != 'running' BEGIN
        INSERT INTO turns_fts (rowid, input_text, output, reference_text, note)
        VALUES (new.id, new.input_text, new.output, new.reference_text, new.note);
    END""",
    """CREATE TRIGGER turns_fts_delete AFTER DELETE ON turns WHEN old.status != 'running' BEGIN
        INSERT INTO turns_fts (turns_fts, rowid, input_text, output, reference_text, note)
        VALUES ('delete', old.id, old.input_text, old.output, old.reference_text, old.note);
    END""",
    """CREATE TRIGGER turns_fts_update AFTER UPDATE OF status, input_text, output, reference_text, note ON turns BEGIN
        INSERT INTO turns_fts (turns_fts, rowid, input_text, output, reference_text, note)
        SELECT 'delete', old.id, old.input_text, old.output, old.reference_text, old.note WHERE old.status != 'running';
        INSERT INTO turns_fts (rowid, input_text, output, reference_text, note)
        SELECT new.id, new.input_text, new.output, new.reference_text, new.note WHERE new.status != 'running';
    END""",
    "INSERT INTO turns_fts (turns_fts) VALUES ('rebuild')",
)

_EVALUATE = (
    # All that is needed to do the same again, or the rest of it.
    "ALTER TABLE runs ADD COLUMN plan TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE runs ADD COLUMN finished REAL",
    "ALTER TABLE turns ADD COLUMN example_id TEXT",
    "ALTER TABLE turns ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0",
    # Not a foreign key: that an answer was reused stays true when the turn that gave it is deleted.
    "ALTER TABLE turns ADD COLUMN cached_from INTEGER",
    "ALTER TABLE turns ADD COLUMN request_key TEXT NOT NULL DEFAULT ''",
    # Whatever is tried again after whatever crash, an example has one final row.
    "CREATE UNIQUE INDEX turns_once ON turns (run_id, example_id, epoch) WHERE example_id IS NOT NULL",
    "CREATE INDEX turns_by_request ON turns (request_key) WHERE request_key != ''",
    """CREATE TABLE datasets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        task TEXT NOT NULL COLLATE NOCASE,
        source TEXT NOT NULL,
        created REAL NOT NULL
    ) STRICT""",
    # The texts are copies: a promoted example stays what it was, whatever becomes of the turn.
    """CREATE TABLE dataset_items (
        dataset_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
        example_id TEXT NOT NULL,
        turn_id INTEGER,
        model TEXT NOT NULL,
        created REAL NOT NULL,
        inputs TEXT NOT NULL,
        refs TEXT NOT NULL,
        language TEXT NOT NULL,
        PRIMARY KEY (dataset_id, example_id)
    ) STRICT""",
)

_VOTE = (
    # A vote over a turn that is deleted says nothing any more; both ends cascade, and what is left has two turns.
    """CREATE TABLE votes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        winner INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        loser INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        is_tie INTEGER NOT NULL CHECK (is_tie IN (0, 1)),
        is_blind INTEGER NOT NULL CHECK (is_blind IN (0, 1)),
        created REAL NOT NULL
    ) STRICT""",
    "CREATE INDEX votes_by_winner ON votes (winner)",
    "CREATE INDEX votes_by_loser ON votes (loser)",
)


def check_version(path: Path) -> None:
    """Refuse what this Palaver must not touch, without changing a byte of it.

    Raises:
        StoreError: the file was written by a newer Palaver, by another program, or is damaged.
    """
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        header = file.read(100)
    if header.startswith(b"SQLite format 3\0") and len(header) == 100:
        _refuse_newer(
            path, int.from_bytes(header[60:64], "big")
        )  # https://sqlite.org/fileformat.html#the_database_header
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        _check_with_wal(path)


def _check_with_wal(path: Path) -> None:
    """The newest header may still be in the WAL, which the last connection to close would write into the file."""
    try:
        with closing(connect_read_only(path)) as reader:
            found = int(reader.execute("PRAGMA user_version").fetchone()[0])
    except Error:  # someone else is just opening it; the check is made again before anything is written
        return
    _refuse_newer(path, found)


def _refuse_newer(path: Path, found: int) -> None:
    if found > VERSION:
        raise StoreError(
            f"The history file {path} is a newer Palaver's (its schema is {found}, this one knows {VERSION}).",
            fix="pip install --upgrade palaver, or set PALAVER_HISTORY to another file",
            code="history_newer",
        )


def bring_up_to_date(connection: Connection, path: Path) -> None:
    """Leave the file at VERSION, ready for writing; any number of processes may do this at once.

    Raises:
        StoreError: the file belongs to a newer Palaver or to another program; it is as it was.
    """
    found = _recognise(connection, path)
    prepare_for_writing(connection)
    if found == VERSION:
        return
    with writing(connection):
        found = _recognise(connection, path)  # another process may have done it while this one waited
        if found == VERSION:
            return
        if found:
            back_up(path, path.with_name(f"{path.name}.before-v{VERSION}-{time.strftime('%Y%m%d-%H%M%S')}"))
        apply(connection)


def _recognise(connection: Connection, path: Path) -> int:
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    has_tables = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
    if has_tables and owner != APPLICATION_ID:
        raise StoreError(
            f"The file {path} is a database of another program, so it is left alone.",
            fix="set PALAVER_HISTORY to another file",
            code="history_foreign",
        )
    _refuse_newer(path, found)
    if not has_tables and owner == APPLICATION_ID:
        raise damaged(path, "its tables are gone")
    return found


def apply(connection: Connection, *, stop_before: str | None = None) -> None:
    """Live through the entries that `connection`'s file has not seen, inside the caller's transaction."""
    # sqlite-utils would load them for their types alone: 80 MB in a chat that needs none of it.
    with _unseen("numpy", "pandas"):
        from sqlite_utils import Database, Migrations  # paid on the first run only

    diary = Migrations("palaver")
    for migration in MIGRATIONS:
        diary()(migration)
    # A plugin of sqlite-utils must not run inside Palaver.
    database = Database(connection, execute_plugins=False)
    diary.apply(database, stop_before=stop_before)
    done = len(diary.applied(database))
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={done}")


@contextlib.contextmanager
def _unseen(*modules: str) -> Iterator[None]:
    """While this lasts, importing one of these that is not loaded yet fails as if it were not installed."""
    hidden = [one for one in modules if one not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is how the import system says "not there"
    try:
        yield
    finally:
        for one in hidden:
            del sys.modules[one]


def back_up(path: Path, target: Path) -> Path:
    """A whole and private copy of the history at `target`, taken while others may be writing."""
    import os

    os.close(os.open(target, os.O_CREAT | os.O_RDWR, 0o600))
    with closing(connect(path, write=False)) as source, closing(connect(target, write=True)) as copy:
        source.backup(copy)
    return target
