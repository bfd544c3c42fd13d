"""The ways through a conversation: an earlier one gone on with, and the answers before and after in the same place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual import on

from palaver_tui import messages
from palaver_tui.branch import READ, Branch, Shown, follow_branch, newest_turn, read_turns
from palaver_tui.screens.live import LiveScreen
from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from palaver.session import Session


class BranchScreen(LiveScreen):
    """The part of the Chat screen that moves among the turns of conversations."""

    resume_first: int | None = None
    """The turn whose conversation is gone on with when the session is open; negative: the last one."""

    @on(messages.Opened)
    def _resume_first(self) -> None:
        if self.resume_first is not None:
            self.resume(self.resume_first if self.resume_first >= 0 else None)

    def resume(self, turn_id: int | None = None) -> None:
        """Go on with the conversation that a turn is of; None: with the last one before this."""
        line = f"/resume #{turn_id}" if turn_id is not None else "/resume"
        self.conversation.do(partial(_opened, turn_id), typed=line)

    def step_aside(self, exchange: Exchange, step: int) -> None:
        """Show the answer before or after in the same place, and what followed it."""
        there = exchange.turn_id
        if there is None or there not in exchange.alternatives:
            return
        at = list(exchange.alternatives).index(there) + step
        if 0 <= at < len(exchange.alternatives):
            self.conversation.do(partial(_aside, there, exchange.alternatives[at]))

    @on(messages.BranchOpened)
    def _branch_opened(self, event: messages.BranchOpened) -> None:
        branch, there = event.branch, self._turns.get(event.instead_of or 0)
        is_whole = there is None or not there.is_attached or branch.shown[0].turn.id != event.shown
        if is_whole:
            self.clear()
        elif there is not None:
            for one in self.transcript.hide_from(there):
                one.remove()
        self.path = list(branch.path)
        self.transcript.add_all([self._exchange(shown) for shown in branch.shown])
        if is_whole:
            self.transcript.show_earlier(len(branch.path) > len(branch.shown))
        if event.shown is not None and (exchange := self._turns.get(event.shown)) is not None:
            exchange.focus()
        self.show_context(None)
        self.refresh_hints()

    @on(Transcript.EarlierWanted)
    def _earlier_wanted(self) -> None:
        first = next((one.turn_id for one in self.transcript.exchanges if one.turn_id in self.path), None)
        before = self.path.index(first) if first is not None else len(self.path)
        self._read(self.path[max(0, before - READ) : before], is_earlier=True)

    @on(Transcript.LaterWanted)
    def _later_wanted(self) -> None:
        last = next((one.turn_id for one in self.transcript.exchanges[::-1] if one.turn_id in self.path), None)
        after = self.path.index(last) + 1 if last is not None else len(self.path)
        self._read(self.path[after : after + READ], is_earlier=False)

    def _read(self, ids: Sequence[int], *, is_earlier: bool) -> None:
        self.conversation.do(lambda session: messages.TurnsRead(read_turns(session, ids), is_earlier))

    @on(messages.TurnsRead)
    def _turns_read(self, event: messages.TurnsRead) -> None:
        known = {one.turn_id for one in self.transcript.exchanges}
        fresh = [one for one in event.shown if one.turn.id in self.path and one.turn.id not in known]
        exchanges = [self._exchange(one) for one in fresh]
        if event.is_earlier:
            self.transcript.put_above(exchanges)
            first = fresh[0].turn.id if fresh else None
            self.transcript.show_earlier(first is not None and self.path.index(first) > 0)
        else:
            self.transcript.put_below(exchanges)
            self.transcript.is_cut = bool(fresh) and fresh[-1].turn.id != self.path[-1]

    def _exchange(self, shown: Shown) -> Exchange:
        from palaver_tui.screens.provenance import ending, judged, moment, speed

        turn = shown.turn
        exchange = Exchange(turn.input_text, when=moment(turn.created), who=turn.model)
        exchange.finish(turn.output, turn_id=turn.id, speed=speed(turn))
        exchange.stands_among(shown.siblings)
        exchange.note(ending(turn))
        exchange.judged(judged(turn))
        exchange.score(turn.scores, shown.spans, None, is_fresh=False)
        self._turns[turn.id] = exchange
        return exchange


def _opened(turn_id: int | None, session: Session) -> messages.BranchOpened:
    found = newest_turn(session) if turn_id is None else turn_id
    return messages.BranchOpened(follow_branch(session, found))


def _aside(there: int, wanted: int, session: Session) -> messages.BranchOpened:
    branch: Branch = follow_branch(session, wanted, beginning=wanted)
    return messages.BranchOpened(branch, instead_of=there, shown=wanted)
