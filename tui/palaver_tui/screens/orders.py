"""What a line that was sent does: a question is asked, one of the chat's own commands is done."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.message import Message

from palaver_tui import messages, slash
from palaver_tui.asking import Question
from palaver_tui.go import Go
from palaver_tui.screens.branches import BranchScreen
from palaver_tui.turn_orders import TURN_ORDERS, TurnOrder, unload
from palaver_tui.widgets.exchange import Exchange

if TYPE_CHECKING:
    from palaver.session import Session


class OrderScreen(BranchScreen):
    """The part of the Chat screen that does what was typed."""

    class HelpWanted(Message):
        """`/help`."""

    class QuitWanted(Message):
        """`/quit`."""

    def take(self, line: str) -> None:
        """Do what a line that was sent says: a command of the chat's own, or a question."""
        name, rest = slash.split(line)
        if name:
            self._run_command(name, rest, line)
        else:
            if not line.startswith("/"):
                self.end_start()
            self.pose(Question(line))

    def pose(self, question: Question) -> None:
        """Put a question at the end of the transcript and ask it."""
        self.ask(question, Exchange(question.line, when=f"{datetime.now():%H:%M}"))

    def _run_command(self, name: str, rest: str, line: str) -> None:
        """Do one of the chat's own commands."""
        if name == "quit":
            self.post_message(self.QuitWanted())
        elif name == "help":
            self.post_message(self.HelpWanted())
        elif name == "details":
            self.show_details(self.transcript.last)
        elif self.session is not None:  # else it waits in `early`
            self._run_in_session(self.session, name, rest, line)

    def _run_in_session(self, session: Session, name: str, rest: str, line: str) -> None:
        if name in slash.PLACE_NAMES:
            self.post_message(Go(name, rest))
        elif name in TURN_ORDERS or name in ("ref", "again"):
            self._do_to_turn(session, name, rest, line)
        elif self.conversation.is_busy and name in ("new", "resume", "unload"):
            self._refuse(line, "An answer is still being written.", "esc stops it")
        elif name == "new":
            session.forget()
            self.clear()
            self.offer_start()
        elif name == "resume":
            self.resume(slash.referred(rest)[0])
        elif name == "model":
            self._choose_model(session, rest)
        elif name == "unload":
            self.conversation.do(lambda session: messages.Told(unload(session, rest)), typed=line)
        elif name == "pull":
            self._pull(session, rest, line)
        elif name == "demo":
            self.conversation.demo()

    def _do_to_turn(self, session: Session, name: str, rest: str, line: str) -> None:
        numbered, text = slash.referred(rest)
        turn_id = session.last_turn if numbered is None else numbered
        if turn_id is None:
            do = "score" if name == "ref" else name
            self._refuse(line, f"There is no answer to {do} yet.", "ask something first")
        elif name == "again":
            self.repeat(turn_id, line)
        elif name != "ref":
            self.conversation.do(partial(_done, TURN_ORDERS[name], turn_id, text), typed=line)
        elif not text:
            self._refuse(line, "A reference is the answer you would have wanted.", "/ref TEXT, or /ref @FILE")
        else:
            self.conversation.refer(turn_id, text)

    def repeat(self, turn_id: int, line: str = "") -> None:
        """Ask for another answer in the place of a turn's; `line` comes back to the prompt where that cannot be."""
        exchange = self._turns.get(turn_id)
        if turn_id not in self.path and (exchange is None or exchange.output or not exchange.is_attached):
            if exchange is not None and self.session and not self.session.store.turn(turn_id).backend:
                self._refuse(line, f"#{turn_id} was ready: no model was asked.", "")
            else:
                self._refuse(line, f"#{turn_id} is not of this conversation.", f"/resume #{turn_id}")
        elif exchange is not None and turn_id not in self.path:  # it failed: nothing stands in its place
            self.pose(Question(exchange.said))
        else:
            said = exchange.said if exchange is not None else f"#{turn_id}"
            self.prompt.focus()
            self.pose(Question(said, instead_of=turn_id, is_again=True))

    @on(messages.Told)
    def _told(self, event: messages.Told) -> None:
        from palaver_tui.screens.provenance import judged

        exchange = self._turns.get(event.turn.id) if event.turn is not None else None
        if event.turn is not None and exchange is not None and exchange.is_attached:
            if not exchange.judged(judged(event.turn)):  # it leaves no trace on the screen
                self.notify(event.sentence, markup=False, timeout=3)
        else:
            self.transcript.say(f"{event.sentence}.")

    def _choose_model(self, session: Session, name: str) -> None:
        from palaver.errors import NeedsDownload, PalaverError
        from palaver_tui.screens.provenance import model_state
        from palaver_tui.screens.words import models_text
        from palaver_tui.spelled import name_in

        if not name:
            self.transcript.say(
                models_text(
                    session.registry, session.model, self.conversation.loaded, width=min(92, self.size.width - 28)
                )
            )
            return
        try:
            info = session.registry.info(name_in(name))
            if not session.registry.is_installed(info):
                raise NeedsDownload(f"{info.name} is not on this machine yet.", fix=f"palaver models pull {info.name}")
        except PalaverError as error:
            self.show_error(f"/model {name}", error)
            return
        session.model = info.name
        self.transcript.say(f"{info.name} answers from now on. {info.description}")
        if not info.is_baseline and not self.conversation.is_busy:
            self.show_state(model_state(info, "◐", "loading"))
            self.conversation.load(info.name)

    def _pull(self, session: Session, name: str, line: str) -> None:
        from palaver.errors import PalaverError

        if self.pulling:
            self._refuse(line, f"{self.pulling} is being downloaded.", "one at a time; esc stops it")
            return
        try:
            session.registry.info(name)
        except PalaverError as error:
            self.show_error(line, error)
            return
        self.transcript.say(f"{slash.pull_line(session.registry, name)} · esc stops, what has arrived is kept")
        self.pulling = name
        self.conversation.pull(name)

    def _refuse(self, line: str, why: str, do: str) -> None:
        from palaver.errors import UsageError

        self.show_error(line, UsageError(why, fix=do))

    def show_details(self, exchange: Exchange | None, kind: str = "details") -> None:
        """Show where an answer came from, or how it was scored; or hide it again."""
        from palaver_tui.screens.provenance import details, score_facts

        if exchange is None or self.session is None:
            return
        facts: list[tuple[str, str]] = []
        if exchange.turn_id is not None:
            turn = self.session.store.turn(exchange.turn_id)
            facts = (
                details(turn) if kind == "details" else score_facts(turn) or [("scores", "none; r gives a reference")]
            )
        if exchange.traceback and kind == "details":
            facts.append(("traceback", exchange.traceback))
        exchange.show_facts(kind, facts)


def _done(order: TurnOrder, turn_id: int, text: str, session: Session) -> messages.Told:
    return messages.Told(order(session, turn_id, text), session.store.turn(turn_id))
