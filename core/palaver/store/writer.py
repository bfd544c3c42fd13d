"""The one thread of a process that writes the history file, in the order it was asked."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from palaver.errors import StoreError
from palaver.store.sqlite import Connection, Error, explain, writing

T = TypeVar("T")

GROUP = 50
"""At most this many requests share a commit."""

PAUSE_SECONDS = 0.002
"""Between two commits. Without it one busy process starves the others: their p50 was 2.5 s, with it 2 ms."""


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    work: Callable[[Connection], T]
    future: Future[T]
    alone: bool


class Writer:
    """Owns the connection that writes. What it is given runs in one thread, each piece all or nothing."""

    def __init__(self, connection: Connection, path: Path, last: Callable[[Connection], object]) -> None:
        """`last` is called in every transaction, before it is committed."""
        self._connection = connection
        self._last = last
        self._path = path
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="palaver-history", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], T], *, alone: bool = False) -> Future[T]:
        """Have `work` done; the future answers when it is committed. `alone` runs it outside a transaction.

        The future raises StoreError when SQLite refuses, and whatever else `work` raises.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # what was asked is done: it cannot be taken back
        with self._closing:
            if self._closed:
                raise StoreError("The history has been closed.")
            self._jobs.put(_Job(work, future, alone))  # type: ignore[arg-type]
        return future

    def close(self) -> None:
        """Finish what was asked, then let go of the file. Closing twice is fine."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        done = False
        while not done:
            job = self._jobs.get()
            if job is None:
                break
            group = [job]
            while not group[-1].alone and len(group) < GROUP:
                try:
                    following = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    done = True
                    break
                group.append(following)
            together = [one for one in group if not one.alone]
            if together:
                self._commit(together)
            if group[-1].alone:
                self._run_alone(group[-1])
            time.sleep(PAUSE_SECONDS)
        self._connection.close()

    def _commit(self, group: list[_Job[object]]) -> None:
        answers: list[Callable[[], None]] = []
        try:
            with writing(self._connection):
                for job in group:
                    self._step(job, answers)
                self._last(self._connection)
        except BaseException as error:  # nothing of the group is on the disk, whatever the steps answered
            refusal = self._translate(error)
            for job in group:
                job.future.set_exception(refusal)
            return
        for answer in answers:
            answer()

    def _step(self, job: _Job[object], answers: list[Callable[[], None]]) -> None:
        """One job in a savepoint of its own: its failure costs the others of the group nothing."""
        self._connection.execute("SAVEPOINT job")
        try:
            result = job.work(self._connection)
        except BaseException as error:
            if not self._connection.in_transaction:  # a full disk ends the whole transaction
                raise
            refusal = self._translate(error)
            self._connection.execute("ROLLBACK TO job")
            answers.append(lambda: job.future.set_exception(refusal))
        else:
            answers.append(lambda: job.future.set_result(result))
        self._connection.execute("RELEASE job")

    def _run_alone(self, job: _Job[object]) -> None:
        try:
            result = job.work(self._connection)
        except BaseException as error:
            job.future.set_exception(self._translate(error))
        else:
            job.future.set_result(result)

    def _translate(self, error: BaseException) -> BaseException:
        return explain(error, self._path) if isinstance(error, Error) else error
