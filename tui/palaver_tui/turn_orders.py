"""What can be done with an answer by a line: rate it, note, tag, keep as an example; the same in both front ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from palaver.errors import BadInput, UsageError

if TYPE_CHECKING:
    from palaver.session import Session

TurnOrder = Callable[["Session", int, str], str]
"""Does it to a turn, and says in a sentence that it is done."""


def rate(session: Session, turn_id: int, rest: str) -> str:
    """`/rate #12 4`; 0 takes the rating back."""
    if rest not in ("0", "1", "2", "3", "4", "5"):
        raise UsageError("A rating is 1 to 5, or 0 to take it back.", fix=f"/rate #{turn_id} 4")
    session.store.turn(turn_id)
    session.store.rate(turn_id, int(rest) or None)
    return f"#{turn_id} {stars(int(rest))}" if rest != "0" else f"#{turn_id} has no rating any more"


def stars(rating: int) -> str:
    """`★★★★☆`."""
    return "★" * rating + "☆" * (5 - rating)


def note(session: Session, turn_id: int, rest: str) -> str:
    """`/note #12 too literal`; without a text the note is removed."""
    session.store.turn(turn_id)
    session.store.note(turn_id, rest)
    return f"note on #{turn_id}: {rest}" if rest else f"the note on #{turn_id} is removed"


def tag(session: Session, turn_id: int, rest: str) -> str:
    """`/tag #12 idiom -draft`: a minus takes a tag away."""
    words = rest.replace(",", " ").split()
    if not words:
        raise UsageError("A tag is a word; with a minus it is taken away.", fix=f"/tag #{turn_id} idiom")
    session.store.tag(turn_id, *(word for word in words if not word.startswith("-")))
    session.store.untag(turn_id, *(word[1:] for word in words if word.startswith("-")))
    tags = ", ".join(session.store.turn(turn_id).tags)
    return f"#{turn_id} is tagged {tags}" if tags else f"#{turn_id} has no tags"


def keep(session: Session, turn_id: int, rest: str) -> str:
    """`/keep #12 idioms`: an example of a data set, which is made if there is none of that name."""
    from palaver.sources import promoted

    if not re.fullmatch(r"[\w][\w.-]{0,99}", rest):
        raise UsageError("A data set's name is letters, digits, . _ and -.", fix=f"/keep #{turn_id} NAME")
    turn = session.store.turn(turn_id)
    if not turn.references:
        raise BadInput(f"#{turn_id} has no reference, which an example needs.", fix=f"/ref #{turn_id} TEXT")
    count = session.store.keep_example(rest, turn.task, promoted(turn))
    return f"#{turn_id} is in {rest}, which has {count} example{'s' * (count > 1)} of {turn.task}"


TURN_ORDERS: Mapping[str, TurnOrder] = {"rate": rate, "note": note, "tag": tag, "keep": keep}
"""By the command that they are typed by."""


def unload(session: Session, name: str) -> str:
    """`/unload smollm2` frees the memory of a model; without a name, of all that are loaded."""
    registry = session.registry
    names = [name] if name else [one.info.name for one in registry.running() if not one.info.is_baseline]
    gone = [one for one in names if registry.unload(one)]
    if gone:
        return f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} no longer in memory"
    return f"{name} is not loaded" if name else "no model is loaded"
