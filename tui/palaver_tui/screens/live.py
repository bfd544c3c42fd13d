"""Shows what the conversation's threads tell: an answer that grows, its scores, a download, an error in its place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on
from textual.screen import Screen
from textual.timer import Timer

from palaver_tui import messages, slash
from palaver_tui.conversation import Conversation, OpenSession
from palaver_tui.widgets.exchange import LEGEND, Exchange
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.prompt import Prompt
from palaver_tui.widgets.start import Start
from palaver_tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from palaver.errors import PalaverError
    from palaver.metric import Span
    from palaver.model import ModelInfo
    from palaver.store import Turn

FLUSH_SECONDS = 0.1
"""Between two drawings of a growing answer."""
NOTE_SECONDS = 0.5
"""Between two times said: each lays the screen out anew."""
NOTHING_LOADED = "○ no model loaded"


@dataclass(slots=True)
class Running:
    """The answer that is being written."""

    exchange: Exchange
    began: float
    model: ModelInfo | None = None
    is_loading: bool = False
    is_stopping: bool = False
    noted: float = 0.0
    """Seconds after the beginning when the time was last said."""


class LiveScreen(Screen[None]):
    """The half of the Chat screen that listens."""

    def __init__(self, open_session: OpenSession) -> None:
        super().__init__()
        self.conversation = Conversation(open_session, self.post_message)
        self.running: Running | None = None
        self.pulling = ""
        """Name of the model that is being downloaded."""
        self.fix = ""
        """What tab puts into the prompt after a failure."""
        self.returned = ""
        """A line that came back refused: no menu opens over it, so that enter sends it again."""
        self.early = ""
        """A line that was sent before the session was open; it is taken when it is."""
        self.start: Start | None = None
        """What an empty chat offers, while it does."""
        self._asked: dict[int, Exchange] = {}
        self._turns: dict[int, Exchange] = {}
        self._waiting = ""
        """A question that a download must come before; it returns to the prompt when that is done."""
        self._state = NOTHING_LOADED
        self._flushing: Timer | None = None

    def on_mount(self) -> None:
        self._flushing = self.set_interval(FLUSH_SECONDS, self._flush, pause=True)
        self.call_after_refresh(self.conversation.open)

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

    def ask(self, line: str, exchange: Exchange) -> None:
        """Put the question to the model; what comes of it appears in `exchange`."""
        number = id(exchange)
        self._asked[number] = exchange
        self.running = Running(exchange, time.monotonic())
        self.transcript.add(exchange)
        self.conversation.ask(line, number)
        if self._flushing is not None:
            self._flushing.resume()

    def stop(self) -> None:
        """End the running answer; what it has written stays."""
        if self.running is not None:
            self.running.is_stopping = True
            self.running.exchange.note("stopping…")
            self.conversation.stop()

    def clear(self) -> None:
        """Forget the turns on the screen; history has them."""
        self.transcript.clear()
        self.start = None
        self._turns.clear()

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

        session = self.conversation.session
        if session is None:
            return
        if choices := first_choices(session.registry):
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

    @on(messages.Began)
    def _begin(self, event: messages.Began) -> None:
        from palaver_tui.screens.provenance import model_state

        running = self.running
        if running is None or running.exchange is not self._asked.get(event.entry):
            return
        running.model = event.model
        running.is_loading = not self.conversation.is_ready(event.model)
        running.exchange.answered_by(event.model.name)
        self.show_state(model_state(event.model, "◐" if running.is_loading else "●"))
        if event.notice:
            self.transcript.say(f"The text is longer than {event.model.name}'s window: {event.notice}.")
        elif event.forgotten:
            self.transcript.say(
                f"The {event.forgotten} oldest messages no longer fit into {event.model.name}'s window."
            )

    def _flush(self) -> None:
        """Draw what was written since the last time, and how long it has taken."""
        from palaver_tui.screens.provenance import model_state

        running = self.running
        if running is None:
            return
        seconds = time.monotonic() - running.began
        if piece := self.conversation.take():
            running.exchange.feed(piece)
        if running.is_loading and running.model is not None and self.conversation.is_ready(running.model):
            running.is_loading = False
            running.noted = 0.0
            self.show_state(model_state(running.model, "●"))
        if running.is_stopping or seconds - running.noted < NOTE_SECONDS:
            return
        running.noted = seconds
        words = running.exchange.words
        if running.is_loading and running.model is not None:
            self.show_state(model_state(running.model, "◐", f"loading {seconds:.1f} s"))
            running.exchange.note(f"loading {running.model.name}… {seconds:.1f} s · esc stops")
        elif not words:
            running.exchange.note(f"reading… {seconds:.1f} s · esc stops")
        else:
            running.exchange.note(f"writing… {words} words · {seconds:.1f} s · esc stops and keeps the text")

    @on(messages.Ended)
    def _end(self, event: messages.Ended) -> None:
        from palaver_tui.screens.provenance import ending, speed, trouble

        exchange = self._asked.pop(event.entry, None)
        if exchange is None:
            return
        self._settle(exchange, is_failed=event.error is not None)
        turn = event.turn
        if turn is not None:
            self._turns[turn.id] = exchange
            exchange.answered_by(turn.model)
        if event.error is not None:
            output = turn.output if turn is not None else exchange.output
            exchange.fail(trouble(event.error), output=output, turn_id=turn.id if turn else None)
            self.offer_again(exchange.said, event.error)
        elif turn is not None:
            exchange.finish(turn.output, turn_id=turn.id, speed=speed(turn))
            exchange.note(ending(turn))
            exchange.score(turn.scores, event.spans, event.baseline)
        self.refresh_hints()

    def _settle(self, exchange: Exchange, *, is_failed: bool) -> None:
        """The answer is over: nothing runs."""
        from palaver_tui.screens.provenance import model_state

        if rest := self.conversation.take():
            exchange.feed(rest)
        exchange.note("")
        self.conversation.done()
        running, self.running = self.running, None
        if self._flushing is not None:
            self._flushing.pause()
        if running is None or running.model is None:
            return
        if self.conversation.is_ready(running.model) or not (is_failed or running.is_stopping):
            self.show_state(model_state(running.model, "●"))
        elif is_failed:
            self.show_state(NOTHING_LOADED)
        else:  # stopped while it loaded: loading goes on in its process, and says when it is done
            self.show_state(model_state(running.model, "◐", "loading"))
            self.conversation.load(running.model.name)

    @on(messages.Referenced)
    def _referenced(self, event: messages.Referenced) -> None:
        from palaver.present import format_scores

        exchange = self._turns.get(event.turn.id)
        if exchange is not None and exchange.is_attached:
            exchange.score(event.turn.scores, event.spans, event.baseline)
        else:
            self.transcript.say(f"#{event.turn.id}  {format_scores(event.turn.scores)}")
        self.refresh_hints()

    @on(messages.DemoReady)
    async def _demo_ready(self, event: messages.DemoReady) -> None:
        for turn, spans in event.turns:
            await self._show_scored(turn, spans)
        self.transcript.say(f"{LEGEND}\n\n/ref TEXT scores any answer like this.")

    async def _show_scored(self, turn: Turn, spans: Sequence[Span]) -> None:
        exchange = Exchange(turn.input_text, who=turn.model)
        self._turns[turn.id] = exchange
        await self.transcript.add(exchange, settle=False)
        exchange.finish(turn.output, turn_id=turn.id)
        exchange.score(turn.scores, spans, None)

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
