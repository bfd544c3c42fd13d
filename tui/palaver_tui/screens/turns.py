"""Acts on the answer that has the focus: what each letter does, and how a draft comes back after it."""

from __future__ import annotations

from textual import on

from palaver_tui import slash
from palaver_tui.asking import Question
from palaver_tui.clipboard import copy_text
from palaver_tui.conversation import OpenSession
from palaver_tui.screens.orders import OrderScreen
from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.footer import Hint

READING = (
    Hint("r", "reference", 2, "answer.reference"),
    Hint("g", "again", 3, "answer.again"),
    Hint("e", "edit", 4, "answer.edit"),
    Hint("c", "compare", 7, "answer.compare"),
    Hint("1–5", "rate", 6),
    Hint("y", "copy", 1, "answer.copy"),
    Hint("enter", "details", 8, "answer.details"),
    Hint("esc", "back", 9),
    Hint("F1", "help", 5),
)
ONE_OF_SEVERAL = (Hint("← →", "other answers", 2), *READING)


class TurnScreen(OrderScreen):
    """The part of the Chat screen that a focused answer's keys lead to."""

    def __init__(self, open_session: OpenSession) -> None:
        super().__init__(open_session)
        self.editing: int | None = None
        """The turn whose question is being edited: what is sent next takes its place."""

    def say(self, text: str) -> None:
        """Say something in the row above the prompt."""

    @on(Exchange.Wanted)
    def act(self, event: Exchange.Wanted) -> None:
        """Do what a key on an answer asks for."""
        exchange, (what, _, rest) = event.exchange, event.what.partition(" ")
        turn_id = exchange.turn_id
        is_running = self.running is not None and self.running.exchange is exchange
        if what == "copy":
            self._copy(exchange)
        elif what == "details":
            self.show_details(exchange)
        elif turn_id is None:
            self.say(slash.WAIT_TO_REFER if is_running else "there is no answer here to score")
        elif what in ("before", "after", "again", "edit") and self.conversation.is_busy:
            self.say("still writing; esc stops it")
        elif what == "before":
            self.step_aside(exchange, -1)
        elif what == "after":
            self.step_aside(exchange, 1)
        elif what == "scores":
            self.show_details(exchange, "scores")
        elif what == "again":
            self.repeat(turn_id)
        elif what == "edit":
            self._edit(exchange, turn_id)
        elif what == "compare" and what not in slash.PLACE_NAMES:
            self.say("there is no screen to compare on")
        elif what == "rate":
            self.take(f"/rate #{turn_id} {rest}")
        else:
            self._begin_line(what, turn_id)

    def _copy(self, exchange: Exchange) -> None:
        again = f"palaver history show {exchange.turn_id}" if exchange.turn_id else ""
        copy_text(self.app, exchange.output, again)

    def _begin_line(self, what: str, turn_id: int) -> None:
        """Put the beginning of a command about the turn into the prompt; the draft comes back after it."""
        name = {"reference": "ref"}.get(what, what)
        rest = ""
        if what == "note" and self.session is not None:
            rest = self.session.store.turn(turn_id).note
        self.prompt.focus()
        self.prompt.lend(f"/{name} #{turn_id} {rest}")

    def _edit(self, exchange: Exchange, turn_id: int) -> None:
        self.prompt.focus()
        self.prompt.lend(exchange.said)
        self.editing = turn_id if turn_id in self.path else None
        self.refresh_hints()

    def end_edit(self) -> None:
        """The question stays as it was; the draft comes back."""
        self.editing = None
        self.prompt.take_back()

    def pose_typed(self, line: str) -> None:
        """Ask a question that was typed: in the place of another one, if that was edited."""
        there, self.editing = self.editing, None
        self.pose(Question(line, instead_of=there))
