"""Which of several answers people found better: pairs of turns, append-only."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from palaver.store.reads import no_turn
from palaver.store.sqlite import Connection


@dataclass(frozen=True, slots=True)
class Vote:
    """One judgement over two answers."""

    id: int
    winner: int
    """A turn; of a tie, either of the two."""
    loser: int
    winner_model: str
    loser_model: str
    is_tie: bool
    is_blind: bool
    """Whoever voted could not see which model gave which answer."""
    created: float
    """Unix time."""


def add_vote(connection: Connection, winner: int, losers: Sequence[int], is_tie: bool, is_blind: bool) -> None:
    """One answer against each of the others.

    Raises:
        NotFound: one of them has been deleted.
    """
    for turn in (winner, *losers):
        if connection.execute("SELECT 1 FROM turns WHERE id = ?", (turn,)).fetchone() is None:
            raise no_turn(turn)
    connection.executemany(
        "INSERT INTO votes (winner, loser, is_tie, is_blind, created) VALUES (?, ?, ?, ?, ?)",
        [(winner, loser, int(is_tie), int(is_blind), time.time()) for loser in losers],
    )


def votes(connection: Connection, models: Sequence[str], limit: int) -> list[Vote]:
    """The newest votes between these models, or all of them if none is named."""
    marks = ", ".join("?" * len(models))
    where = f" WHERE a.model IN ({marks}) AND b.model IN ({marks})" if models else ""
    rows = connection.execute(
        "SELECT v.*, a.model AS winner_model, b.model AS loser_model FROM votes v "
        f"JOIN turns a ON a.id = v.winner JOIN turns b ON b.id = v.loser{where} ORDER BY v.id DESC LIMIT ?",
        (*models, *models, limit),
    ).fetchall()
    return [
        Vote(
            row["id"],
            row["winner"],
            row["loser"],
            row["winner_model"],
            row["loser_model"],
            bool(row["is_tie"]),
            bool(row["is_blind"]),
            row["created"],
        )
        for row in rows
    ]
