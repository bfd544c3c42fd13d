"""Shows what the conversation's threads tell: an answer that grows, its scores, the conversation's other ways."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textual import on
from textual.timer import Timer
from textual.widget import Widget

from palaver_tui import messages
from palaver_tui.asking import Question
from palaver_tui.collector import collect_now
from palaver_tui.conversation import OpenSession
from palaver_tui.screens.talk import NOTHING_LOADED, TalkScreen, traceback_of
from palaver_tui.widgets.exchange import LEGEND, Exchange
from palaver_tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from palaver.metric import Span
    from palaver.model import ModelInfo
    from palaver.store import Turn
    from palaver.window import ContextUse

FLUSH_SECONDS = 0.1
"""Between two drawings of a growing answer."""
REST_SECONDS = 0.5
"""After an answer, before what it left is cleared away."""
NOTE_SECONDS = 0.5
"""Between two times said: each lays the screen out anew."""


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
    hidden: Sequence[Widget] = field(default_factory=tuple)
    """What it takes the place of, if it comes to something."""


class LiveScreen(TalkScreen):
    """The part of the Chat screen that asks and listens."""

    def __init__(self, open_session: OpenSession) -> None:
        super().__init__(open_session)
        self.running: Running | None = None
        self.path: list[int] = []
        """The turns of the conversation, first to last; the transcript shows the last of them."""
        self._asked: dict[int, Exchange] = {}
        self._turns: dict[int, Exchange] = {}
        self._flushing: Timer | None = None
        self._resting: Timer | None = None

    def on_mount(self) -> None:
        self._flushing = self.set_interval(FLUSH_SECONDS, self._flush, pause=True)

    @on(messages.Opened)
    def _rest_before_the_first(self) -> None:
        self.rest_soon()

    def show_context(self, use: ContextUse | None) -> None:
        """How full the window is."""

    def ask(self, question: Question, exchange: Exchange) -> None:
        """Put the question to the model; what comes of it appears in `exchange`."""
        number = id(exchange)
        self._asked[number] = exchange
        self.running = Running(exchange, time.monotonic(), hidden=self._make_way(question))
        self.transcript.add(exchange)
        self.conversation.ask(question, number)
        if self._flushing is not None:
            self._flushing.resume()

    def _make_way(self, question: Question) -> Sequence[Widget]:
        """Hide what another answer is to stand in the place of."""
        if self.transcript.is_cut:  # the end is not on the screen: the new turn stands alone, the others are above
            self.transcript.clear()
            self.transcript.show_earlier(True)
        if question.instead_of is None:
            return ()
        there = self._turns.get(question.instead_of)
        if there is None or not there.is_attached:
            there = next(iter(self.transcript.exchanges), None)
        return self.transcript.hide_from(there) if there is not None else ()

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
        self.path.clear()
        self._turns.clear()
        self.show_context(None)

    # What the threads tell

    def on_screen_resume(self) -> None:
        """Another screen may have brought a model to this machine, loaded one, or freed it."""
        from palaver_tui.screens.provenance import model_state
        from palaver_tui.screens.words import first_choices

        if self.session is None or self.running is not None or self.pulling:
            return
        registry = self.session.registry
        if self.start is not None and not first_choices(registry):
            self.end_start()
            self.refresh_hints()
        ready = [one.info for one in registry.running() if not one.info.is_baseline and registry.is_ready(one.info)]
        if ready and not any(f"● {info.name} " in self._state for info in ready):
            self.show_state(model_state(ready[-1], "●"))
        elif not ready and self._state.startswith("●") and "no weights" not in self._state:
            self.show_state(NOTHING_LOADED)

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
            exchange.traceback = traceback_of(event.error)
            self.offer_again(exchange.said, event.error)
        elif turn is not None:
            exchange.finish(turn.output, turn_id=turn.id, speed=speed(turn))
            exchange.stands_among(event.siblings)
            exchange.note(ending(turn))
            exchange.score(turn.scores, event.spans, event.baseline)
            self._go_on(turn)
            self.show_context(event.context)
        self.refresh_hints()
        self.rest_soon()

    @on(Transcript.Settled)
    def rest_soon(self) -> None:
        """Collect garbage when nothing has been written, by the model or by the user, for a while."""
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(REST_SECONDS, self._rest)

    def put_off_rest(self) -> None:
        """Somebody types."""
        if self._resting is not None:
            self._resting.reset()

    def _rest(self) -> None:
        self._resting = None
        if self.running is None:
            collect_now()

    def _go_on(self, turn: Turn) -> None:
        """The conversation's path leads to this turn now."""
        before = self.path.index(turn.parent_id) + 1 if turn.parent_id in self.path else 0
        self.path[before:] = [turn.id]

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
        if running is None:
            return
        for one in running.hidden:  # a question that failed takes nobody's place
            if is_failed:
                one.display = True
            else:
                one.remove()
        if running.model is None:
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
