"""One question to several models, off the screen's thread: one after the other, so that none slows another down."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from palaver.errors import PalaverError
from palaver.task import Chat

if TYPE_CHECKING:
    from palaver.metric import Span
    from palaver.session import Ask, Session, Started
    from palaver.store import Turn

State = Literal["wait", "asked", "writing", "done", "failed"]
CLOSE_SECONDS = 2.0
"""How long an answer has at the end to be finished in history."""


@dataclass(slots=True)
class Side:
    """One model's answer, as far as it is."""

    model: str
    ask: Ask | None = None
    """None: the answer is there already."""
    state: State = "wait"
    pieces: list[str] = field(default_factory=list)
    began: float = 0.0
    turn: Turn | None = None
    spans: Sequence[Span] = ()
    error: str = ""

    @property
    def text(self) -> str:
        """The answer, or what there is of it."""
        return self.turn.output if self.turn is not None and self.state == "done" else "".join(self.pieces)

    @property
    def is_over(self) -> bool:
        """Nothing more will come."""
        return self.state in ("done", "failed")


class Comparing:
    """The sides of one comparison. A thread writes them, the screen looks at them several times a second."""

    def __init__(self, session: Session, sides: Sequence[Side]) -> None:
        from palaver.session import Session as Asked

        # A session of its own: what is compared belongs to no conversation.
        self._session = Asked(session.registry, session.store, kind="task")
        self.sides = list(sides)
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """A model is being asked."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def run_id(self) -> int | None:
        """The run that the answers belong to, if they were all asked here."""
        runs = {side.turn.run_id for side in self.sides if side.turn is not None}
        return runs.pop() if len(runs) == 1 else None

    def start(self) -> None:
        """Ask the models that have not answered."""
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=lambda: context.run(self._ask_all), name="palaver-compare", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End what runs; the text so far is kept, the others are not asked."""
        self._cancel.set()

    def close(self) -> None:
        """Stop, and wait a little until it is in history."""
        self.stop()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def refer(self, text: str) -> None:
        """Score all answers against one more reference. Blocks; for a thread.

        Raises:
            PalaverError: it is no reference.
        """
        for side in self.sides:
            if side.turn is not None and side.state == "done":
                self._take(side, self._session.add_references(side.turn.id, [text]))

    def _ask_all(self) -> None:
        for side in self.sides:
            if side.ask is not None and not side.is_over:
                if self._cancel.is_set():
                    side.state, side.error = "failed", "not asked: stopped before its turn"
                else:
                    self._ask(side, side.ask)

    def _ask(self, side: Side, ask: Ask) -> None:
        side.state, side.began = "asked", time.monotonic()

        def on_start(started: Started) -> None:
            side.model = started.model.name

        def on_text(piece: str) -> None:
            side.pieces.append(piece)
            side.state = "writing"

        try:
            if isinstance(ask.task, Chat) and not ask.prompt:
                ask = replace(ask, prompt=ask.task.request(ask.example).messages)
            outcome = self._session.ask(ask, cancel=self._cancel, on_start=on_start, on_text=on_text)
        except PalaverError as error:  # the history itself failed
            side.error, side.state = str(error), "failed"
            return
        except Exception as error:  # whatever a plugin may raise: the screen must hear of it
            side.error, side.state = f"{type(error).__name__}: {error}", "failed"
            return
        if outcome.error is not None:
            side.turn = outcome.turn
            side.error = str(outcome.error) + (f" Fix: {outcome.error.fix}" if outcome.error.fix else "")
            side.state = "failed"
        else:
            self._take(side, outcome.turn)

    @staticmethod
    def _take(side: Side, turn: Turn) -> None:
        from palaver.overlap import mark

        side.spans = mark(turn.output, [one.text for one in turn.references]) if turn.references else ()
        side.turn, side.state = turn, "done"


def answered(turn: Turn) -> Side:
    """An answer that is in history."""
    side = Side(turn.model)
    if turn.status == "failed":
        side.turn, side.state, side.error = turn, "failed", turn.error
    else:
        Comparing._take(side, turn)
    return side
