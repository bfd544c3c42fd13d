"""One recipe for every connection to the history file, and SQLite's errors in the user's words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from palaver.errors import StoreError

if TYPE_CHECKING:
    import sqlite3 as sqlite
else:
    # SQLite 3.7.0 to 3.51.2 can corrupt a WAL file that two connections write (fixed in 3.51.3); pysqlite3 brings a
    # newer one. Its exceptions are not those of the standard library: catch `Error` from here.
    try:
        from pysqlite3 import dbapi2 as sqlite
    except ImportError:  # no wheel for this platform
        import sqlite3 as sqlite

Connection = sqlite.Connection
Cursor = sqlite.Cursor
Error = sqlite.Error
Row = sqlite.Row
sqlite_version: str = sqlite.sqlite_version

BUSY_SECONDS = 30.0
"""How long to wait for another process's write before saying so."""


def connect(path: Path, *, write: bool) -> Connection:
    """A connection that begins transactions only when told, and may be handed from thread to thread.

    With `write`, the file is in WAL mode when this returns and every commit reaches the disk.
    """
    # isolation_level=None: Python opens no transactions of its own, which would be deferred and lose every race.
    connection = sqlite.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = Row
    if not write:
        connection.execute("PRAGMA query_only=ON")
    return connection


def connect_read_only(path: Path) -> Connection:
    """A connection that cannot change the file even when it is the last one to leave."""
    return sqlite.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)


def prepare_for_writing(connection: Connection) -> None:
    """Put the file into WAL mode and the connection into the mode that loses nothing on a power cut."""
    mode = _wal(connection)
    # A file system without shared memory refuses WAL; the rollback journal then needs EXTRA to survive a power cut.
    connection.execute(f"PRAGMA synchronous={'FULL' if mode == 'wal' else 'EXTRA'}")
    connection.execute("PRAGMA foreign_keys=ON")
    # A commit of 500 answers is a thousand pages. To copy them into the file after every commit would double the wait
    # for the disk. With these the journal stays under 16 MB, and a commit's pages are not written before it.
    connection.execute("PRAGMA wal_autocheckpoint=2500").fetchall()
    connection.execute("PRAGMA cache_size=-32000")
    connection.execute("PRAGMA journal_size_limit=16777216")


def _wal(connection: Connection) -> str:
    # The change of mode needs the file for itself and does not wait for it, whatever the busy timeout.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                return "wal"
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except Error as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def writing(connection: Connection) -> Iterator[None]:
    """One transaction, all or nothing, that has the right to write from its first statement."""
    connection.execute("BEGIN IMMEDIATE")  # a deferred BEGIN that reads first loses the race at once, with no waiting
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Several reads that see one state of the file."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def explain(error: Exception, path: Path) -> StoreError:
    """What a failure of SQLite or of the file system means to the user, and what to do about it."""
    said = str(error)
    if "not a database" in said or "malformed" in said or "corrupt" in said:
        return damaged(path, said)
    if "full" in said:
        return StoreError(
            f"The disk is full: nothing more can be saved in {path}.",
            fix="free some space, then try again: what is already saved is safe",
            code="history_full",
        )
    if "locked" in said:
        return StoreError(
            f"Another process has been writing {path} for {BUSY_SECONDS:.0f} seconds, so this was not saved.",
            fix="close other running Palavers, then try again",
            code="history_busy",
        )
    if "readonly" in said or "unable to open" in said or isinstance(error, PermissionError):
        return StoreError(
            f"The history file {path} cannot be written ({said}).",
            fix="set PALAVER_HISTORY to a file in a folder that you can write",
            code="history_unwritable",
        )
    return StoreError(f"The history file {path} cannot be used: {said}.", fix="palaver doctor")


def damaged(path: Path, said: str) -> StoreError:
    """The error for a file that is not, or no longer, a readable database."""
    return StoreError(
        f"The history file {path} is damaged or not a history at all ({said}).",
        fix="palaver doctor --recover   (sets the file aside, deletes nothing, and starts a new one)",
        code="history_damaged",
    )
