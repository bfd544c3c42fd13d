"""What is read of a history: single turns, runs, pages of what a filter finds, and sums over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from palaver.metric import Score
from palaver.store import reads, scores, votes
from palaver.store.filter import EVERYTHING, Filter
from palaver.store.rows import Run, Turn, TurnLine
from palaver.store.sqlite import Connection
from palaver.store.votes import Vote

T = TypeVar("T")


class Browsing:
    """The part of a history that reads. Each call sees one state of the file, and keeps nothing of it open."""

    def _read(self, work: Callable[[Connection], T]) -> T:
        raise NotImplementedError

    def turn(self, turn_id: int) -> Turn:
        """One turn.

        Raises:
            NotFound: no such turn.
        """
        return self._read(lambda db: reads.turn(db, turn_id))

    def run_turns(self, run_id: int) -> list[Turn]:
        """The turns of a run, in the order they were made."""
        return self._read(lambda db: reads.run_turns(db, run_id))

    def run(self, run_id: int) -> Run:
        """One run.

        Raises:
            NotFound: no such run.
        """
        return self._read(lambda db: reads.run(db, run_id))

    def runs(self, *, kind: str | None = None, before: int | None = None, limit: int = 50) -> list[Run]:
        """The newest runs, older than `before`."""
        return self._read(lambda db: reads.runs(db, kind=kind, before=before, limit=limit))

    def page(
        self, query: Filter | None = None, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> list[TurnLine]:
        """Matching turns as lines, newest first: those before an id, or the nearest ones after it."""
        return self._read(lambda db: reads.page(db, query or EVERYTHING, before=before, after=after, limit=limit))

    def lines(self, ids: Sequence[int]) -> list[TurnLine]:
        """These turns as lines, in this order; deleted ones are left out."""
        return self._read(lambda db: reads.lines(db, ids))

    def ids(self, query: Filter | None = None, *, limit: int | None = None) -> list[int]:
        """Ids of all matching turns, newest first: what a virtual table scrolls over."""
        return self._read(lambda db: reads.ids(db, query or EVERYTHING, limit=limit))

    def ids_at(self, query: Filter | None = None, offset: int = 0, limit: int = 50) -> list[int]:
        """Ids from the `offset`th matching turn on, newest first."""
        return self._read(lambda db: reads.ids(db, query or EVERYTHING, offset=offset, limit=limit))

    def position(self, turn_id: int, query: Filter | None = None) -> int:
        """How many matching turns are newer than this one: its place in the list."""
        return self._read(lambda db: reads.count(db, query or EVERYTHING, limit=None, newer_than=turn_id))

    def count(self, query: Filter | None = None, *, limit: int | None = None) -> int:
        """How many turns match, counted no further than `limit`."""
        return self._read(lambda db: reads.count(db, query or EVERYTHING, limit=limit))

    def turns(self, query: Filter | None = None) -> Iterator[Turn]:
        """All matching turns in full, oldest first, read a few at a time."""
        after = 0
        while found := self._read(lambda db: _some_turns(db, query or EVERYTHING, after)):  # noqa: B023 (run at once)
            yield from found
            after = found[-1].id

    def corpus(self, query: Filter | None, metric: str) -> list[tuple[str, tuple[float, ...], int]]:
        """Corpus signature, summed statistics and n of the complete turns that match, one entry a signature."""
        return self._read(lambda db: scores.corpus(db, query or EVERYTHING, metric))

    def votes(self, models: Sequence[str] = (), *, limit: int = 1000) -> list[Vote]:
        """The newest votes between these models; all without a model."""
        return self._read(lambda db: votes.votes(db, models, limit))

    def extremes(self, run_id: int, metric: str, *, lowest: bool, limit: int = 5) -> list[tuple[int, float]]:
        """Turns of an evaluation with their score: the lowest ones first, or the highest."""
        return self._read(lambda db: scores.extremes(db, run_id, metric, lowest, limit))

    def all_scores(self, turn_id: int) -> list[tuple[str, float, Score]]:
        """Reference set, Unix time and score of all that was ever computed for a turn."""
        return self._read(lambda db: scores.all_scores(db, turn_id))


def _some_turns(connection: Connection, query: Filter, after: int) -> list[Turn]:
    return reads.turns(connection, reads.ids(connection, query, after=after, limit=200, oldest_first=True))
