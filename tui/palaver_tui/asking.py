"""One question, asked: understood, or recorded as what could not be understood; behind the turn that it follows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from palaver.errors import BadInput, PalaverError, PluginFailed
from palaver_tui import slash

if TYPE_CHECKING:
    from palaver.session import Ask, Outcome, Session, Started
    from palaver.store import Turn


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be asked, and where in the conversation."""

    line: str
    """As typed."""
    instead_of: int | None = None
    """The turn in whose place it is asked: the conversation forks there. None is behind the last one."""
    is_again: bool = False
    """What that turn asked, with its inputs of then, and another seed; the line is only shown."""


def answer(
    session: Session,
    question: Question,
    *,
    cancel: threading.Event,
    on_start: Callable[[Started], None],
    on_text: Callable[[str], None],
) -> Outcome:
    """Answer a question. One that fails in another's place leaves the conversation where it was.

    Raises:
        StoreError: the history cannot be written. PalaverError: there is no such turn, or it cannot be asked again.
    """
    if question.instead_of is None:
        return answer_line(session, question.line, cancel=cancel, on_start=on_start, on_text=on_text)
    before = session.store.turn(question.instead_of)
    ask = again(session, before) if question.is_again else None
    last = session.last_turn
    session.follow(before.parent_id)
    outcome = (
        answer_line(session, question.line, cancel=cancel, on_start=on_start, on_text=on_text)
        if ask is None
        else session.ask(ask, cancel=cancel, on_start=on_start, on_text=on_text)
    )
    if outcome.error is not None:
        session.follow(last)
    return outcome


def again(session: Session, turn: Turn) -> Ask:
    """What a turn asked, for another answer: with the next seed, by the model that is chosen now.

    A model that was named in the line stays the one that answers.

    Raises:
        BadInput: nothing was asked then. NotFound: its task or its model is gone.
    """
    from palaver.again import question_of

    if turn.run_id != session.run_id:
        raise BadInput(f"#{turn.id} is not of this conversation.", fix=f"/resume #{turn.id}")
    model = turn.model if _names_model(session, turn) else session.model or turn.model
    asked = question_of(session.registry, turn, model=model)
    seed = (turn.config.seed if turn.config else 0) + len(session.store.siblings(turn.id))
    return replace(asked, prompt=(), parent=None, config={**asked.config, "seed": str(seed)})


def _names_model(session: Session, turn: Turn) -> bool:
    from palaver.command import scan

    if not turn.input_text.startswith(f"/{turn.task} "):
        return False
    return bool(scan(session.registry.task(turn.task), turn.input_text[1 + len(turn.task) :]).model)


def answer_line(
    session: Session,
    line: str,
    *,
    cancel: threading.Event,
    on_start: Callable[[Started], None],
    on_text: Callable[[str], None],
) -> Outcome:
    """Answer a line of the chat; one with a command that there is not is kept too, with the command that is near.

    Raises:
        StoreError: the history cannot be written.
    """
    from palaver.command import parse_line

    try:
        ask = parse_line(line, session.registry)
    except PalaverError as error:
        task = line[1:].split(maxsplit=1)[0] if line.startswith("/") and line[1:].strip() else "chat"
        if error.code == "task_not_found":
            error.fix = slash.meant(line, session.registry)
        return session.record_failure(task, line, error)
    return session.ask(ask, cancel=cancel, on_start=on_start, on_text=on_text)


def unexpected(error: Exception) -> PalaverError:
    """What a plugin raised that is no error of ours, as one that can be told."""
    told = PluginFailed(f"{type(error).__name__}: {error}", fix="palaver doctor", code="unexpected")
    told.__cause__ = error  # its traceback is one key away
    return told
