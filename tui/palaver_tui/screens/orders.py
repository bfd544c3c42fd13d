"""What a line that was sent does: a question is asked, one of the chat's own commands is done."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from textual.message import Message

from palaver_tui import slash
from palaver_tui.go import Go
from palaver_tui.screens.live import LiveScreen
from palaver_tui.widgets.exchange import Exchange

if TYPE_CHECKING:
    from palaver.session import Session


class OrderScreen(LiveScreen):
    """The part of the Chat screen that does what was typed."""

    class HelpWanted(Message):
        """`/help`."""

    class QuitWanted(Message):
        """`/quit`."""

    @property
    def session(self) -> Session | None:
        """None until the history is open."""
        return self.conversation.session

    def take(self, line: str) -> None:
        """Do what a line that was sent says: a command of the chat's own, or a question."""
        name, rest = slash.split(line)
        if name:
            self._run_command(name, rest, line)
        else:
            if not line.startswith("/"):
                self.end_start()
            self.ask(line, Exchange(line, when=f"{datetime.now():%H:%M}"))

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
        elif name == "new":
            self._begin_anew(session)
        elif name == "ref":
            self._refer(session, rest, line)
        elif name == "model":
            self._choose_model(session, rest)
        elif name == "pull":
            self._pull(session, rest, line)
        elif name == "demo":
            self.conversation.demo()

    def _begin_anew(self, session: Session) -> None:
        if self.conversation.is_busy:
            self._refuse("/new", "An answer is still being written.", "esc stops it")
        else:
            session.forget()
            self.clear()
            self.offer_start()

    def _refer(self, session: Session, rest: str, line: str) -> None:
        numbered, text = slash.referred(rest)
        turn_id = session.last_turn if numbered is None else numbered
        if turn_id is None:
            self._refuse(line, "There is no answer to score yet.", "ask something first")
        elif not text:
            self._refuse(line, "A reference is the answer you would have wanted.", "/ref TEXT, or /ref @FILE")
        else:
            self.conversation.refer(turn_id, text)

    def _choose_model(self, session: Session, name: str) -> None:
        from palaver.errors import NeedsDownload, PalaverError
        from palaver_tui.screens.provenance import model_state
        from palaver_tui.screens.words import models_text

        if not name:
            self.transcript.say(models_text(session.registry, session.model, self.conversation.loaded))
            return
        try:
            info = session.registry.info(name)
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

    def show_details(self, exchange: Exchange | None) -> None:
        """Show where an answer came from, or hide it again."""
        from palaver_tui.screens.provenance import details

        if exchange is not None and exchange.turn_id is not None and self.session is not None:
            exchange.show_details(details(self.session.store.turn(exchange.turn_id)))
