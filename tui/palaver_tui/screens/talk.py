"""The ground of the Chat screen: prompt, transcript, what is loaded, what is downloaded, and errors in their place."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from textual import on
from textual.screen import Screen

from palaver_tui import messages, slash
from palaver_tui.conversation import Conversation, OpenSession
from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.prompt import Prompt
from palaver_tui.widgets.start import Start
from palaver_tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from palaver.errors import PalaverError
    from palaver.session import Session

NOTHING_LOADED = "○ no model loaded"


class TalkScreen(Screen[None]):
    """What is there before anything is asked."""

    def __init__(self, open_session: OpenSession) -> None:
        super().__init__()
        self.conversation = Conversation(open_session, self.post_message)
        self.pulling = ""
        """Name of the model that is being downloaded."""
        self.timing = ""
        """Name of the model whose engines are being measured."""
        self.fix = ""
        """What tab puts into the prompt after a failure."""
        self.returned = ""
        """A line that came back refused: no menu opens over it, so that enter sends it again."""
        self.early = ""
        """A line that was sent before the session was open; it is taken when it is."""
        self.start: Start | None = None
        """What an empty chat offers, while it does."""
        self._waiting = ""
        """A question that a download must come before; it returns to the prompt when that is done."""
        self._state = NOTHING_LOADED

    def on_mount(self) -> None:
        self.call_after_refresh(self.conversation.open)

    @property
    def session(self) -> Session | None:
        """None until the history is open."""
        return self.conversation.session

    @property
    def prompt(self) -> Prompt:
        """Where the user types."""
        return self.query_one(Prompt)

    @property
    def transcript(self) -> Transcript:
        """Where the answers are."""
        return self.query_one(Transcript)

    def refresh_hints(self) -> None:
        """Say anew what Enter does and which keys there are."""

    def take(self, line: str) -> None:
        """Do what a line that was sent says."""

    def show_state(self, state: str = "") -> None:
        """What is loaded, at the right of the first row; a download stands before it."""
        self._state = state or self._state
        self.query_one(Header).state = self._state

    def show_error(self, typed: str, error: PalaverError) -> None:
        """An error as an entry of its own, the text back in the prompt."""
        from palaver_tui.screens.provenance import trouble

        exchange = Exchange(typed, who="palaver")
        self.transcript.add(exchange)
        exchange.fail(trouble(error), output="", turn_id=None)
        exchange.traceback = traceback_of(error)
        self.offer_again(typed, error)

    def offer_again(self, typed: str, error: PalaverError) -> None:
        """After a failure: tab brings what helps, and the text is in the prompt again unless a new one is there."""
        self.fix = slash.slash_fix(error.fix)
        if typed and not self.prompt.text:
            self.returned = typed
            self.prompt.put(typed)
        if self.fix.startswith("/pull ") and not typed.startswith(("/pull", "/model")):
            self._waiting = typed

    def offer_start(self) -> None:
        """What can be done at once, where no model with weights is on this machine."""
        from palaver_tui.screens.words import first_choices, room_line

        if self.session is None:
            return
        if choices := first_choices(self.session.registry):
            self.start = Start(choices, room_line())
            self.transcript.put(self.start)
        else:
            self.transcript.say("Ask anything. / shows the tasks, F1 the keys.")

    def end_start(self) -> None:
        """Take away what an empty chat offers."""
        if self.start is not None:
            self.start.remove()
            self.start = None

    # What the threads tell

    @on(messages.Opened)
    def _opened(self) -> None:
        self.offer_start()
        self.refresh_hints()
        if self.early:
            line, self.early = self.early, ""
            self.take(line)

    @on(messages.NotOpened)
    def _not_opened(self, event: messages.NotOpened) -> None:
        line, self.early = self.early, ""
        self.show_error(line, event.error)
        self.refresh_hints()

    @on(messages.Loaded)
    def _loaded(self, event: messages.Loaded) -> None:
        from palaver_tui.screens.provenance import model_state

        self.show_state(model_state(event.model, "●"))

    @on(messages.Failed)
    def _failed(self, event: messages.Failed) -> None:
        if event.typed.startswith("/model"):
            self.show_state(NOTHING_LOADED)
        self.show_error(event.typed, event.error)

    @on(messages.Pulled)
    def _pulled(self, event: messages.Pulled) -> None:
        from palaver_tui.screens.words import pull_state

        self.query_one(Header).state = pull_state(event.name, event.progress)

    @on(messages.Timed)
    def _timed(self, event: messages.Timed) -> None:
        self.timing = event.name if event.step else ""
        if event.step:
            self.query_one(Header).state = f"measuring engines: {event.step}"
        else:
            self.show_state()
        if event.verdict:
            self.transcript.say(f"{event.name} is streamed by {event.verdict}")
        self.refresh_hints()

    @on(messages.PullEnded)
    def _pull_ended(self, event: messages.PullEnded) -> None:
        self.pulling = ""
        self.show_state()
        if event.error is not None:
            self.show_error(f"/pull {event.name}", event.error)
        else:
            self.end_start()
            self.transcript.say(f"{event.name} is on this machine: just ask.")
            if self._waiting and not self.prompt.text:
                self.prompt.put(self._waiting)
            self._waiting = self.fix = ""
        self.refresh_hints()


def traceback_of(error: PalaverError) -> str:
    """Where in a program a failure comes from, if it is a program's mistake; without the values of variables."""
    cause = error.__cause__
    return "" if cause is None else "".join(traceback.format_exception(cause)).rstrip()
