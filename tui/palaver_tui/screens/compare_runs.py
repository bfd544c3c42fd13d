"""Two evaluations, segment by segment and as whole sets."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content

from palaver.errors import PalaverError
from palaver_tui.comparing import Side, answered
from palaver_tui.entries import PaletteCommand
from palaver_tui.screens import compare_words as words
from palaver_tui.screens import whole_set
from palaver_tui.screens.history_words import in_full
from palaver_tui.screens.judged import JudgeForm, command_of, judged_text, turned
from palaver_tui.screens.place import PlaceScreen
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.sides import Sides
from palaver_tui.widgets.text import Text, styled

if TYPE_CHECKING:
    from palaver.comparison import Comparison
    from palaver.judge import Judgement
    from palaver.paired import Segment
    from palaver.runs import Report
    from palaver.session import Session


LOOK_SECONDS = 0.2
"""Between two looks at how far the judge is."""


class CompareRunsScreen(PlaceScreen):
    """The segments of two runs, those that differ most first, above the tests over all of them."""

    CSS_PATH = "compare_runs.tcss"
    HELP_KEYS = whole_set.KEYS
    BINDINGS: ClassVar = [
        Binding("j,down", "move(1)", "next segment", id="compare_runs.next"),
        Binding("k,up", "move(-1)", "previous segment", id="compare_runs.previous"),
        Binding("g,home", "first", "first segment", show=False, id="compare_runs.first"),
        Binding("G,end", "last", "last segment", show=False, id="compare_runs.last"),
        Binding("o", "order", "order", id="compare_runs.order"),
        Binding("t", "metric", "metric", id="compare_runs.metric"),
        Binding("h", "highlight", "highlight", id="compare_runs.highlight"),
        Binding("w", "swap", "swap", id="compare_runs.swap"),
        Binding("n", "names", "names", id="compare_runs.names"),
        Binding("v", "vote", "vote", id="compare_runs.vote"),
        Binding("J", "judge", "judge", id="compare_runs.judge"),
        Binding("y", "copy", "copy", show=False, id="compare_runs.copy"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id="compare_runs.copy_command"),
        Binding("escape", "back", "back", id="compare_runs.back"),
    ]

    def __init__(self, session: Session, runs: tuple[int, int]) -> None:
        super().__init__(session)
        self._session = session
        self._runs = runs
        self._found: Comparison | None = None
        self._reports: Sequence[Report] = ()
        self._all: Sequence[Segment] = ()
        self._segments: Sequence[Segment] = ()
        self._at = self._order = self._metric = 0
        self._sides: list[Side] = []
        """Of the segment in view: of the first run and of the second."""
        self._is_marked, self._is_blind, self._is_voting = True, False, False
        self._salt = random.SystemRandom().random()
        self._known: set[str] = set()
        """Segments that were seen with names: a vote on them is not blind."""
        self._verdicts: dict[str, int | None] = {}
        """Votes cast here, by segment: the side that won, None for a tie."""
        self._judged: Judgement | None = None
        self._judging: threading.Event | None = None
        """Stops the judge that is being asked."""
        self._judge_values: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield Header("Compare")
        yield Text("reading the two runs…", id="place")
        yield Text(id="asked")
        yield Sides(id="sides")
        with Vertical(id="whole-set"):
            yield Text(words.legend(), id="legend")
            yield Text(id="whole")
        with Vertical(id="below"):
            yield Text(id="said", classes="-empty")
            yield Text(styled(("$ " + self.command, "$muted")), id="command")
        yield Footer(whole_set.NAMED)

    def on_mount(self) -> None:
        self._read()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)  # when the classes for this size are set

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        """The comparison and the segments of the two runs, as they are ordered now."""
        from palaver import paired

        registry, store = self._session.registry, self._session.store
        try:
            self._reports, self._found = await asyncio.to_thread(paired.compare_runs, registry, store, self._runs)
            self._all = await asyncio.to_thread(paired.segments, store, *self._runs)
        except PalaverError as error:
            self.query_one("#place", Text).show("")
            self._say(in_full(error), "$error")
            return
        except Exception as error:  # a metric plugin may raise anything at all
            self._say(f"! {type(error).__name__}: {error}", "$error")
            return
        self._sort()

    def _sort(self) -> None:
        if self._found is None or not self._found.metrics:
            self._draw()
            return
        chosen = self._found.metrics[self._metric]
        self._segments = whole_set.ordered(
            self._all, chosen.metric, self._order, higher_is_better=chosen.higher_is_better
        )
        self._at = 0
        self._show()

    @work(exclusive=True, group="show")
    async def _show(self) -> None:
        """Read the two answers of the segment in view."""
        if not self._segments:
            self._draw()
            return
        segment = self._segments[self._at]
        try:
            turns = [await asyncio.to_thread(self._session.store.turn, one) for one in segment.turns]
        except PalaverError as error:  # deleted meanwhile
            self._say(in_full(error), "$error")
            return
        self._sides = [await asyncio.to_thread(answered, turn) for turn in turns]
        self._draw()

    # Drawing

    @property
    def _key(self) -> str:
        return self._segments[self._at].example_id if self._segments else ""

    @property
    def _is_hidden(self) -> bool:
        """Names, scores and times of this segment are not shown."""
        return self._is_blind and self._key not in self._verdicts

    @property
    def _places(self) -> list[int]:
        """Which run's answer is A and which is B; shuffled where the names are hidden, and so it stays after a vote."""
        is_turned = self._is_blind and random.Random(f"{self._salt}{self._key}").random() < 0.5
        return [1, 0] if is_turned else [0, 1]

    def _draw(self) -> None:
        if not self.is_mounted or self._found is None:
            return
        found, width = self._found, self.size.width - 1
        names = " · ".join(found.systems)
        data = self._reports[0].plan.name
        self.query_one(Header).state = f"{data} · {found.n:,} examples" + ("" if self._is_blind else f" · {names}")
        place, whole = self.query_one("#place", Text), self.query_one("#whole", Text)
        if not self._segments:
            place.show("No example was answered completely by both against the same references.")
        else:
            chosen = found.metrics[self._metric]
            place.show(whole_set.place_line(self._at, len(self._segments), self._order, chosen.title))
            self._draw_segment(width)
        room = 9 if self.has_class("-tall") else 1 if self.has_class("-short") else 4
        metric = found.metrics[self._metric].metric if found.metrics else ""
        whole.show(
            styled(("totals are hidden while the names are; n shows them", "$muted"))
            if self._is_blind
            else self._whole(found, metric, width, room)
        )
        self.query_one(Footer).hints = self._hints()

    def _whole(self, found: Comparison, metric: str, width: int, room: int) -> Content:
        whole = whole_set.whole_text(found, self._reports, metric, width, room=room)
        return whole if self._judged is None else Content("\n").join([whole, judged_text(self._judged, width)])

    def _draw_segment(self, width: int) -> None:
        if len(self._sides) < 2:
            return
        if not self._is_hidden:
            self._known.add(self._key)
        turn, rows = self._sides[0].turn, 2 if self.has_class("-tall") else 1
        self.query_one("#asked", Text).show(words.asked(turn, "", width, rows=rows, is_task_shown=False))
        won = self._verdicts.get(self._key, -1)
        shown = []
        for letter, index in zip("AB", self._places, strict=True):
            verdict = "" if won == -1 else "a tie" if won is None else "▲ your vote" * (won == index)
            side = self._sides[index]
            shown.append(
                words.drawn(side, letter, is_blind=self._is_hidden, is_marked=self._is_marked, verdict=verdict)
            )
        self.query_one(Sides).show(shown)

    def _hints(self) -> tuple[Hint, ...]:
        if self._is_voting:
            return whole_set.VOTING
        return whole_set.HIDDEN if self._is_blind else whole_set.NAMED

    def _show_command(self) -> None:
        self.query_one("#command", Text).show(styled(("$ " + self.command, "$muted")))

    def _say(self, text: str, style: str = "$muted") -> None:
        said = self.query_one("#said", Text)
        said.set_class(not text, "-empty")
        said.show(styled((text, style)))

    @property
    def command(self) -> str:
        """The command line that compares the same runs."""
        return command_of(self._runs, self._judged.model if self._judged is not None else "")

    def palette_commands(self) -> Iterable[PaletteCommand]:
        """What can be done here beside looking."""
        yield PaletteCommand("compare: judge", "ask a model which answers are better", self.action_judge)

    # A model as the judge

    def action_judge(self) -> None:
        """Ask a model which answers are better."""
        if self._segments and self._judging is None:
            self.app.push_screen(JudgeForm(self._session, self._runs, self._judge_values), self._asked_to_judge)

    def _asked_to_judge(self, model: str | None) -> None:
        if model is not None:
            self._judge_by(model)

    @work(exclusive=True, group="judge")
    async def _judge_by(self, model: str) -> None:
        from palaver.judge import Judge

        assert self._found is not None
        stop, told = threading.Event(), [0, 0]

        def heard(done: int, total: int) -> None:
            told[:] = done, total

        def judge() -> Judgement | None:
            registry, store = self._session.registry, self._session.store
            return Judge(registry, store, model).compare(reports, settings, stop, heard)

        reports, settings, runs = self._reports, self._found.settings, self._runs
        self._judging = stop
        try:
            asked = asyncio.create_task(asyncio.to_thread(judge))
            while not asked.done():
                self._say(f"{model} judges: {told[0]:,} of {told[1]:,} verdicts · esc stops")
                await asyncio.wait({asked}, timeout=LOOK_SECONDS)
            found = asked.result()
        except PalaverError as error:
            self._say(in_full(error), "$error")
            return
        finally:
            stop.set()
            self._judging = None
        if found is None:
            self._say("the judge was stopped; what it has said is kept, and is not asked again")
            return
        self._judged = found if runs == self._runs else turned(found)
        self._say(f"{found.model} has judged" + (": n shows what it says" if self._is_blind else ""))
        self._show_command()
        self._draw()

    # Keys

    def action_move(self, step: int) -> None:
        """Another segment."""
        self._go(self._at + step)

    def action_first(self) -> None:
        """The first segment."""
        self._go(0)

    def action_last(self) -> None:
        """The last segment."""
        self._go(len(self._segments) - 1)

    def _go(self, at: int) -> None:
        wanted = min(max(at, 0), max(0, len(self._segments) - 1))
        if wanted != self._at:
            self._at, self._is_voting = wanted, False
            self._say("")
            self._show()

    def action_order(self) -> None:
        """The next way to sort the segments."""
        self._order = (self._order + 1) % len(whole_set.ORDERS)
        self._sort()

    def action_metric(self) -> None:
        """Sort by the next metric."""
        if self._found is not None and self._found.metrics:
            self._metric = (self._metric + 1) % len(self._found.metrics)
            self._sort()

    def action_highlight(self) -> None:
        """Marks of what is in the reference, on and off."""
        self._is_marked = not self._is_marked
        self._draw()

    def action_swap(self) -> None:
        """A becomes B."""
        if not self._is_blind:
            self._runs = (self._runs[1], self._runs[0])
            self._verdicts = {key: None if won is None else 1 - won for key, won in self._verdicts.items()}
            self._judged = turned(self._judged) if self._judged is not None else None
            self._show_command()
            self._read()

    def action_names(self) -> None:
        """Hide the names and all that tells them, or show them again."""
        self._is_blind, self._is_voting = not self._is_blind, False
        self._say("names are hidden, and each segment is shuffled: v votes" if self._is_blind else "")
        self._draw()

    def action_vote(self) -> None:
        """Vote on the segment in view."""
        if len(self._sides) < 2:
            return
        if self._key in self._verdicts:
            self._say("there is a vote on this segment; j goes to the next")
        else:
            self._is_voting = True
            self._say("which one is better?" + ("" if self._is_hidden else " n hides the names first"))
            self.query_one(Footer).hints = self._hints()

    def on_key(self, event: events.Key) -> None:
        if self._is_voting and event.key in ("a", "b", "t"):
            event.stop()
            event.prevent_default()
            self._vote(None if event.key == "t" else self._places["ab".index(event.key)])

    @work(group="vote")
    async def _vote(self, winner: int | None) -> None:
        turns = [side.turn.id for side in self._sides if side.turn is not None]
        models = [side.model for side in self._sides]
        key, is_blind = self._key, self._is_hidden and self._key not in self._known
        first, store = turns[winner or 0], self._session.store
        self._is_voting = False
        try:
            others = [turn for turn in turns if turn != first]
            await asyncio.to_thread(store.vote, first, others, is_tie=winner is None, is_blind=is_blind)
            votes = await asyncio.to_thread(store.votes, models)
        except PalaverError as error:
            self._say(in_full(error), "$error")
            return
        self._verdicts[key] = winner
        self._say(words.votes_line(votes, list(dict.fromkeys(models))))
        self._draw()

    def action_copy(self) -> None:
        """Copy both answers."""
        if len(self._sides) == 2:
            texts = [
                f"{letter if self._is_hidden else self._sides[index].model}\n{self._sides[index].text}"
                for letter, index in zip("AB", self._places, strict=True)
            ]
            self.app.copy_to_clipboard("\n\n".join(texts))
            self._say("copied both answers")

    def action_copy_command(self) -> None:
        """Copy the command line that compares the same runs."""
        self.app.copy_to_clipboard(self.command)
        self._say("copied the command line")

    def action_back(self) -> None:
        """Leave the vote, stop the judge, then leave the screen."""
        if self._judging is not None:
            self._judging.set()
        elif self._is_voting:
            self._is_voting = False
            self._say("")
            self._draw()
        else:
            self.app.pop_screen()
