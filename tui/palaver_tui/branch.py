"""The turns that a conversation consists of, read from history: all of their numbers, the last of them in full."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from palaver.errors import NotFound

if TYPE_CHECKING:
    from palaver.metric import Span
    from palaver.session import Session
    from palaver.store import Turn

READ = 20
"""Turns read in one go."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A turn as the transcript shows it."""

    turn: Turn
    spans: Sequence[Span]
    """What its answer shares with its references."""
    siblings: Sequence[int]
    """The turns in its place, this one among them."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One way through a conversation."""

    path: tuple[int, ...]
    """All its turns, from the first to the last."""
    shown: tuple[Shown, ...]
    """The last ones of them."""


def follow_branch(session: Session, turn_id: int, *, beginning: int | None = None) -> Branch:
    """Go on behind the newest turn that follows this one; in full are the last turns, those from `beginning` on.

    Raises:
        NotFound: no such turn, or it has no answer.
    """
    from palaver.forks import Forks

    run = session.store.turn(turn_id).run_id
    forks = Forks(session.store.said(run))
    end = forks.end(turn_id)
    path = [one.id for one in forks.path(end)]
    if not path:
        raise NotFound(f"#{turn_id} has no answer that a conversation could go on from.", fix="/history")
    session.follow(end)
    begin = path.index(beginning) if beginning in path else 0
    wanted = path[begin:][-READ:]
    return Branch(tuple(path), read_turns(session, wanted))


def newest_turn(session: Session) -> int:
    """The turn that was answered last in a conversation before this one.

    Raises:
        NotFound: there is none.
    """
    from palaver.store import Filter

    others = Filter().and_where("t.run_id IN (SELECT id FROM runs WHERE kind = 'chat')")
    others = others.and_where("t.status NOT IN ('failed', 'running') AND t.run_id != ?", _run(session))
    found = session.store.ids(others, limit=1)
    if not found:
        raise NotFound("There is no earlier conversation in the history.", fix="/history")
    return found[0]


def _run(session: Session) -> int:
    return session.store.turn(session.last_turn).run_id if session.last_turn is not None else -1


def read_turns(session: Session, ids: Sequence[int]) -> tuple[Shown, ...]:
    """These turns with all that is shown of them, in the order of their numbers."""
    from palaver.overlap import mark
    from palaver.store import Filter

    wanted = Filter().and_where("t.id IN (SELECT value FROM json_each(?))", json.dumps(list(ids)))
    found = []
    for turn in session.store.turns(wanted):
        is_marked = bool(turn.references) and turn.status != "cancelled"
        spans = mark(turn.output, [reference.text for reference in turn.references]) if is_marked else []
        found.append(Shown(turn, spans, session.store.siblings(turn.id)))
    return tuple(found)
