"""The history file: every turn with what it was asked, by which model, what came out and what it scored."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from palaver.errors import StoreError
from palaver.metric import Score
from palaver.model import Generation
from palaver.paths import private_dir
from palaver.store import answers, evaluations, migrations, process, reads, votes, words, writes
from palaver.store.answers import Answered
from palaver.store.browsing import Browsing
from palaver.store.conversations import Conversations
from palaver.store.evaluations import Given, Promoted, Result, StoredDataset
from palaver.store.filter import EVERYTHING
from palaver.store.merge import Merged, merge
from palaver.store.rows import ORIGINS, RUN_KINDS, STATUSES, TurnStart, request_key
from palaver.store.sqlite import Connection, Error, connect, explain, snapshot
from palaver.store.writer import Writer
from palaver.version import __version__

T = TypeVar("T")


class Store(Conversations, Browsing):
    """A history file, open. Any thread may use it; any number of processes may have the same file open.

    A method that writes returns when the change is on the disk. Each raises StoreError when the file cannot be used.
    """

    def __init__(self, path: Path, writer: Writer) -> None:
        self.path = path
        self._writer = writer
        self._readers: queue.LifoQueue[Connection] = queue.LifoQueue()
        self._owner = process.this_process()
        self._is_closed = False

    @classmethod
    def open(cls, path: Path) -> Store:
        """The history at `path`, created for the user alone if it is missing, brought up to date if it is old.

        Raises:
            StoreError: it is damaged, another program's, a newer Palaver's (no byte is changed), or cannot be written.
        """
        connection: Connection | None = None
        try:
            migrations.check_version(path)
            private_dir(path.parent)
            _make_private(path)
            connection = connect(path, write=True)
            migrations.bring_up_to_date(connection, path)
            words.catch_up(connection)
        except (Error, OSError, StoreError) as error:
            if connection is not None:
                connection.close()
            raise error if isinstance(error, StoreError) else explain(error, path) from error
        return cls(path, Writer(connection, path, words.index_new))

    @staticmethod
    def set_aside(path: Path) -> Path:
        """Rename a damaged history, with its journal, to `history.db.damaged-<time>`; nothing is deleted."""
        aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        while aside.exists():
            aside = aside.with_name(aside.name + "x")
        for suffix in ("", "-wal", "-shm", "-journal"):
            if (part := path.with_name(path.name + suffix)).exists():
                part.rename(aside.with_name(aside.name + suffix))
        return aside

    def close(self) -> None:
        """Finish the writes and let go of the file. Closing twice is fine."""
        self._is_closed = True
        self._writer.close()
        while not self._readers.empty():
            self._readers.get_nowait().close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the journal of a turn

    def begin_run(self, kind: str, title: str = "", *, plan: Mapping[str, object] | None = None) -> int:
        """A new run; `kind` is `chat`, `task` or `eval`. The plan is what an evaluation is resumed by."""
        _check("kind of run", kind, RUN_KINDS)
        return self._write(lambda db: writes.begin_run(db, kind, title, plan or {}))

    def begin_turn(self, start: TurnStart) -> int:
        """Record a question before it is asked, so that a crash leaves a trace."""
        return self._write(lambda db: writes.begin_turn(db, start, self._owner, __version__))

    def draft(self, turn_id: int, text: str) -> Future[None]:
        """Keep the answer so far, without waiting for the disk. A finished turn is left as it is."""
        return self._writer.submit(lambda db: writes.draft(db, turn_id, text))

    def finish_turn(
        self,
        turn_id: int,
        *,
        output: str,
        raw: str,
        status: str,
        generation: Generation,
        error: str = "",
        model_digest: str = "",
        cached_from: int | None = None,
    ) -> None:
        """Record the answer and how it ended; also what only a loaded model tells: its digest, an answer taken over."""
        _check("status", status, STATUSES)
        self._write(
            lambda db: writes.finish_turn(
                db, turn_id, output, raw, status, generation, error, model_digest, cached_from
            )
        )

    def mark_orphans(self) -> int:
        """Mark running turns of dead processes as interrupted; how many. Those of living processes are left alone."""
        if not self._read(lambda db: reads.count(db, EVERYTHING.and_where("t.status = 'running'"), limit=1)):
            return 0
        return self._write(writes.mark_orphans)

    # -- evaluations

    def add_answers(self, found: Sequence[Answered]) -> Future[list[int | None]]:
        """Write finished turns in one piece, without waiting for the disk; of an example answered before, nothing.

        The future has the new ids when they are on the disk; None stands for what was there already.
        """
        return self._writer.submit(lambda db: answers.add_answers(db, found, self._owner, __version__))

    def answered(self, run_id: int) -> set[tuple[str, int]]:
        """Example ids and epochs that a run has answered."""
        return self._read(lambda db: evaluations.answered(db, run_id))

    def finish_run(self, run_id: int) -> None:
        """Note that an evaluation is complete."""
        self._write(lambda db: evaluations.finish_run(db, run_id))

    def forget_failed(self, run_id: int) -> int:
        """Remove the failed rows of a run, which are then missing from it; how many."""
        return self._write(lambda db: evaluations.forget_failed(db, run_id))

    def given(self, start: TurnStart) -> Given | None:
        """What the same weights answered to the same request before, in a chat or in a batch."""
        if not start.model_digest:
            return None
        return self._read(lambda db: evaluations.given(db, request_key(start), start.model_digest))

    def results(self, run_id: int) -> list[Result]:
        """What an evaluation has of each example."""
        return self._read(lambda db: evaluations.results(db, run_id))

    def add_dataset(self, name: str, task: str, source: str, items: Sequence[Promoted]) -> None:
        """Keep examples under a name.

        Raises:
            BadInput: there is one of that name.
        """
        self._write(lambda db: evaluations.add_dataset(db, name, task, source, items))

    def datasets(self) -> list[StoredDataset]:
        """All data sets, without their examples."""
        return self._read(evaluations.datasets)

    def dataset(self, name: str) -> StoredDataset:
        """One data set with its examples.

        Raises:
            NotFound: with the nearest names.
        """
        return self._read(lambda db: evaluations.dataset(db, name))

    # -- what people add

    def add_references(self, turn_id: int, texts: Sequence[str], *, origin: str = "written", author: str = "") -> None:
        """Add to the references of a turn."""
        _check("origin", origin, ORIGINS)
        self._write(lambda db: writes.add_references(db, turn_id, texts, origin, author))

    def replace_references(
        self, turn_id: int, texts: Sequence[str], *, origin: str = "written", author: str = ""
    ) -> None:
        """Supersede the references of a turn. The old ones and their scores stay in the file."""
        _check("origin", origin, ORIGINS)
        self._write(lambda db: writes.replace_references(db, turn_id, texts, origin, author))

    def add_scores(self, turn_id: int, scores: Sequence[Score]) -> None:
        """Add scores of the turn's output against its references of now, the main one first."""
        self._write(lambda db: writes.add_scores(db, turn_id, scores))

    def add_many_scores(self, scores: Sequence[tuple[int, Sequence[Score]]]) -> Future[None]:
        """The same for many turns in one piece, without waiting for the disk."""
        return self._writer.submit(lambda db: writes.add_many_scores(db, scores))

    def rate(self, turn_id: int, rating: int | None) -> None:
        """1 to 5 stars, or None to take them back."""
        if rating is not None and rating not in range(1, 6):
            raise ValueError(f"a rating is 1 to 5 or None, not {rating!r}")
        self._write(lambda db: writes.rate(db, turn_id, rating))

    def note(self, turn_id: int, text: str) -> None:
        """Set the note of a turn; empty removes it."""
        self._write(lambda db: writes.note(db, turn_id, text))

    def tag(self, turn_id: int, *tags: str) -> None:
        """Add tags to a turn."""
        self._write(lambda db: writes.tag(db, turn_id, tags))

    def untag(self, turn_id: int, *tags: str) -> None:
        """Remove tags from a turn."""
        self._write(lambda db: writes.untag(db, turn_id, tags))

    def vote(self, winner: int, losers: Sequence[int], *, is_tie: bool = False, is_blind: bool = True) -> None:
        """Keep that one answer was found better than others, or as good.

        Raises:
            NotFound: one of the turns has been deleted.
        """
        self._write(lambda db: votes.add_vote(db, winner, losers, is_tie, is_blind))

    def delete(self, turn_ids: Sequence[int]) -> int:
        """Delete turns with their references and scores, for good; how many. `vacuum` removes the last traces."""
        return self._write(lambda db: writes.delete(db, turn_ids))

    # -- the file

    def flush(self) -> None:
        """Wait until all drafts so far are on the disk."""
        self._write(lambda db: None)

    def vacuum(self) -> None:
        """Shrink the file and wipe what was deleted from it."""
        self._writer.submit(writes.vacuum, alone=True).result()

    def merge(self, other: Path) -> Merged:
        """Take over the runs of another history file that are not here yet.

        Raises:
            BadInput: that file is no history, or one of another version.
        """
        return self._writer.submit(lambda db: merge(db, other), alone=True).result()

    def backup(self, target: Path) -> Path:
        """A whole copy of the history at `target`, made while others may write. An existing file is replaced."""
        target.unlink(missing_ok=True)
        return self._read(lambda db: migrations.back_up(self.path, target))

    def check(self) -> Mapping[str, str]:
        """What SQLite says of the file's pages and of the search index: `ok`, or what is wrong."""
        return {
            "pages": self._read(lambda db: str(db.execute("PRAGMA quick_check(1)").fetchone()[0])),
            "search": self._write(words.check),
        }

    def _write(self, work: Callable[[Connection], T]) -> T:
        return self._writer.submit(work).result()

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self._reader() as connection:
            try:
                with snapshot(connection):
                    return work(connection)
            except Error as error:
                raise explain(error, self.path) from error

    @contextmanager
    def _reader(self) -> Iterator[Connection]:
        if self._is_closed:
            raise StoreError("The history has been closed.")
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            try:
                connection = connect(self.path, write=False)
            except Error as error:
                raise explain(error, self.path) from error
        try:
            yield connection
        finally:
            self._readers.put(connection)
            if self._is_closed:  # closed meanwhile by another thread
                self.close()


def _make_private(path: Path) -> None:
    """SQLite would create the file for all to read; its journal files take over the modes of the file."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    if os.name == "posix" and path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _check(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{value!r} is no {what}: it is one of {', '.join(known)}")
