"""The diary of the history file's schema: how it came to be what it is, and how an older file catches up.

A migration is never edited once released; the next change of mind is the next entry. The file's `user_version` is the
number of entries it has lived through.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from palaver.errors import StoreError
from palaver.store import schema, words
from palaver.store.sqlite import Connection, Error, connect, connect_read_only, damaged, prepare_for_writing, writing

if TYPE_CHECKING:
    from sqlite_utils import Database

VERSION = 7
"""What `user_version` says of a file that is up to date."""

APPLICATION_ID = 0x50414C56
"""`PALV` in the file's header: this database is a history and not some other program's."""

PAUSE_SECONDS = 2.0
"""Between two words on how far a migration is."""

_tell: ContextVar[Callable[[str], None]] = ContextVar("tell", default=lambda said: None)


@contextlib.contextmanager
def telling(tell: Callable[[str], None]) -> Iterator[None]:
    """Whoever opens an older history meanwhile has `tell` hear what is done to it: a large one takes a minute, once."""
    token = _tell.set(_now_and_then(tell))
    try:
        yield
    finally:
        _tell.reset(token)


def m001_record_turns(db: Database) -> None:
    """Every question becomes a row before it is asked; scores are rows of their own, and only ever added."""
    for statement in schema.RECORD_TURNS:
        db.execute(statement)


def m002_search_text(db: Database) -> None:
    """Full-text search by trigrams, which finds words inside words and needs no spaces between them (CJK)."""
    for statement in schema.SEARCH_TEXT:
        db.execute(statement)


def m003_evaluate(db: Database) -> None:
    """An evaluation answers each example of a data set once; what was answered before need not be asked again."""
    for statement in schema.EVALUATE:
        db.execute(statement)


def m004_vote(db: Database) -> None:
    """People say which of several answers is the better one, without seeing whose they are."""
    for statement in schema.VOTE:
        db.execute(statement)


def m005_weigh_tokens(db: Database) -> None:
    """How likely a model held its own answer: free text has a number, perplexity, that needs no reference."""
    db.execute("ALTER TABLE turns ADD COLUMN logprob REAL")
    db.execute("ALTER TABLE turns ADD COLUMN scored_tokens INTEGER NOT NULL DEFAULT 0")


def m006_find_words(db: Database) -> None:
    """Whole words instead of trigrams: a rare word is one short list, and to write it costs a quarter."""
    for statement in schema.FIND_WORDS:
        db.execute(statement)
    total = int(db.execute("SELECT count(*) FROM turns").fetchone()[0])
    done = 0
    for some in words.index_some(db.conn):
        done += some
        _tell.get()(f"Indexing the words of the history: {done:,} of {total:,} turns")


def m007_pack_scores(db: Database) -> None:
    """A score is one short row beside its turn, and a filter on scores skips where none can be."""
    for number, statement in enumerate(schema.PACK_SCORES, 1):
        _tell.get()(f"Packing the scores of the history: step {number} of {len(schema.PACK_SCORES)}")
        db.execute(statement)


MIGRATIONS = (
    m001_record_turns,
    m002_search_text,
    m003_evaluate,
    m004_vote,
    m005_weigh_tokens,
    m006_find_words,
    m007_pack_scores,
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
            copy = path.with_name(f"{path.name}.before-v{VERSION}-{time.strftime('%Y%m%d-%H%M%S')}")
            _tell.get()(f"Bringing the history up to date, once; {copy} is a copy of it as it was.")
            back_up(path, copy)
            apply(connection)
        else:
            with telling(lambda said: None):  # nothing is old in a new file
                apply(connection)


def _now_and_then(tell: Callable[[str], None]) -> Callable[[str], None]:
    """`tell`, but not oftener than a person reads."""
    told = 0.0

    def wait(said: str) -> None:
        nonlocal told
        if not told or time.monotonic() - told > PAUSE_SECONDS:
            told = time.monotonic()
            tell(said)

    return wait


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
