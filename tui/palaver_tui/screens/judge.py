"""Answers that are drawn while they grow, and judged before anyone is told whose they are."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message

from palaver.errors import PalaverError
from palaver_tui.comparing import Comparing, Side
from palaver_tui.screens import compare_words as words
from palaver_tui.screens.history_words import in_full
from palaver_tui.screens.place import PlaceScreen
from palaver_tui.widgets.filter_box import FilterBox
from palaver_tui.widgets.footer import Footer, Hint
from palaver_tui.widgets.header import Header
from palaver_tui.widgets.sides import Sides
from palaver_tui.widgets.text import Text, styled

if TYPE_CHECKING:
    from palaver.session import Session
    from palaver.store import Turn

LOOK_SECONDS = 0.1
"""Between two drawings of growing answers."""
NOTHING_YET = (
    "Type below what the models are asked; m chooses the models.\n\nTheir names, scores and times stay hidden, and "
    "their order is shuffled, until you vote (v) or look (n). Two evaluations are compared as whole sets: mark them in "
    "Evaluate and press c, or type /compare RUN RUN in the chat."
)


class AskLine(FilterBox):
    """The prompt: tab completes, and where there is nothing to complete it asks for the models."""

    class ModelsWanted(Message):
        """Tab on an empty line."""

    async def action_complete(self) -> None:
        """Take the offered word; on an empty line, choose the models."""
        if self.value:
            await super().action_complete()
        else:
            self.post_message(self.ModelsWanted())


class JudgeScreen(PlaceScreen):
    """The half of the Compare screen that shows answers and takes votes."""

    CSS_PATH = "compare.tcss"
    HELP_KEYS = words.KEYS
    BINDINGS: ClassVar = [
        Binding("v", "vote", "vote", id="compare.vote"),
        Binding("n", "names", "names", id="compare.names"),
        Binding("h", "highlight", "highlight", id="compare.highlight"),
        Binding("w", "swap", "swap", id="compare.swap"),
        Binding("y", "copy", "copy", show=False, id="compare.copy"),
        Binding("ctrl+t", "copy_command", "copy command", show=False, id="compare.copy_command"),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session
        self._models: list[str] = []
        self._comparing: Comparing | None = None
        self._question: Turn | None = None
        """A turn of history that is asked of others too."""
        self._typed = ""
        self._is_blind = True
        self._is_marked = True
        self._is_voting = False
        self._was_seen = False
        """The names were shown before a vote on these answers."""
        self._asking: words.Asking = "prompt"
        self._verdict: list[str] = []
        self._drawn = ""

    def compose(self) -> ComposeResult:
        yield Header("Compare")
        yield Text(id="asked", classes="-empty")
        yield Text(NOTHING_YET, id="empty")
        yield Sides(id="sides")
        yield Text(words.legend(), id="legend", classes="-empty")
        with Vertical(id="below"):
            yield Text(id="said", classes="-empty")
            yield Text(id="asks")
            with Horizontal(id="ask-row"):
                yield Text("❯", id="ask-label")
                yield AskLine(placeholder="Ask all of them, or / for tasks", id="ask")
            yield Text(id="command")
        yield Footer(words.PROMPT_HINTS)

    def on_mount(self) -> None:
        self.set_interval(LOOK_SECONDS, self._look)
        self._draw()

    def on_unmount(self) -> None:
        if self._comparing is not None:
            self._comparing.close()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)  # when the classes for this size are set

    @property
    def is_busy(self) -> bool:
        """A model is being asked."""
        return self._comparing is not None and self._comparing.is_running

    def halt(self) -> None:
        """Stop the models that are asked."""
        if self._comparing is not None:
            self._comparing.stop()

    # Drawing

    def _look(self) -> None:
        """Draw again while something grows, and once when it is over."""
        if self._comparing is None:
            return
        state = "".join(f"{side.state}{len(side.pieces)}" for side in self._comparing.sides)
        if self._comparing.is_running or state != self._drawn:
            self._drawn = state
            self._draw()

    @property
    def _sides(self) -> list[Side]:
        return self._comparing.sides if self._comparing is not None else []

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        sides = self._sides
        self.set_class(bool(sides), "-asked")
        turn = self._question or next((one.turn for one in sides if one.turn is not None), None)
        asked = self.query_one("#asked", Text)
        asked.set_class(not sides, "-empty")
        asked.show(words.asked(turn, self._typed, self.size.width, rows=2 if self.has_class("-tall") else 1))
        is_marked = self._is_marked and not self._is_blind
        self.query_one("#legend", Text).set_class(not (is_marked and any(side.spans for side in sides)), "-empty")
        verdicts = self._verdict or [""] * len(sides)
        self.query_one(Sides).show(
            [
                words.drawn(side, letter, is_blind=self._is_blind, is_marked=is_marked, verdict=verdict)
                for side, letter, verdict in zip(sides, words.LETTERS, verdicts, strict=False)
            ]
        )
        self.query_one("#asks", Text).show(styled((words.will_ask(self._asking, self._models), "$muted")))
        shown = "names hidden" if self._is_blind and sides else " · ".join(self._models)
        self.query_one(Header).state = shown
        self.query_one("#command", Text).show(styled(("$ " + self.command, "$muted")))
        self._hint()

    def _hint(self) -> None:
        hints: Sequence[Hint] = words.READY_HINTS
        if self.query_one(FilterBox).has_focus:
            hints = words.PROMPT_HINTS
        elif self._is_voting:
            letters = words.LETTERS[: len(self._sides)]
            hints = [Hint(one.lower(), f"{one} is better", 1) for one in letters]
            hints = [*hints, Hint("t", "a tie", 2), Hint("esc", "no vote", 3)]
        elif self.is_busy:
            hints = words.RUNNING_HINTS
        self.query_one(Footer).hints = tuple(hints)

    def _say(self, text: str, style: str = "$muted") -> None:
        said = self.query_one("#said", Text)
        said.set_class(not text, "-empty")
        said.show(styled((text, style)))

    @property
    def command(self) -> str:
        """The command line that lists the answers."""
        if self._comparing is not None and self._comparing.run_id is not None:
            return f"palaver history list run:{self._comparing.run_id}"
        turns = [side.turn.id for side in self._sides if side.turn is not None]
        return f"palaver history show {turns[0]}" if turns else "palaver models list"

    # Judging

    def on_descendant_focus(self) -> None:
        self._hint()

    def on_descendant_blur(self) -> None:
        self._hint()

    def on_key(self, event: events.Key) -> None:
        if not self._is_voting or self.query_one(FilterBox).has_focus:
            return
        letters = words.LETTERS[: len(self._sides)].lower()
        if event.key in letters or event.key == "t":
            event.stop()
            event.prevent_default()
            self._vote(None if event.key == "t" else letters.index(event.key))

    def action_vote(self) -> None:
        """Say which answer is the better one."""
        if len(self._sides) < 2 or any(side.state != "done" for side in self._sides):
            self._say("a vote needs two answers or more, all of them whole")
        elif self._verdict:
            self._say("there is a vote on these answers; p asks something else")
        else:
            self._is_voting = True
            self._say("which one is better?")
            self._hint()

    @work(group="vote")
    async def _vote(self, winner: int | None) -> None:
        turns = [side.turn.id for side in self._sides if side.turn is not None]
        first = turns[winner or 0]
        others = [turn for turn in turns if turn != first]
        self._is_voting = False
        try:
            await asyncio.to_thread(
                self._session.store.vote, first, others, is_tie=winner is None, is_blind=not self._was_seen
            )
            votes = await asyncio.to_thread(self._session.store.votes, [side.model for side in self._sides])
        except PalaverError as error:
            self._say(in_full(error), "$error")
            return
        self._verdict = [("a tie" if winner is None else "▲ your vote" * (at == winner)) for at in range(len(turns))]
        self._is_blind, self._was_seen = False, True
        self._say(words.votes_line(votes, distinct([side.model for side in self._sides])))
        self._draw()

    def action_names(self) -> None:
        """Show whose answers these are, or hide it and shuffle them."""
        self._is_blind = not self._is_blind
        if not self._is_blind:
            self._was_seen = self._was_seen or bool(self._sides)
        elif self._comparing is not None and not self.is_busy and not self._verdict:
            self._comparing.sides = random.sample(self._comparing.sides, len(self._comparing.sides))
        self._draw()

    def action_highlight(self) -> None:
        """Marks of what is in the reference, on and off."""
        self._is_marked = not self._is_marked
        self._draw()

    def action_swap(self) -> None:
        """The last side comes first."""
        if self._comparing is not None and not self.is_busy:
            self._comparing.sides = self._comparing.sides[::-1]
            self._verdict = self._verdict[::-1]
            self._draw()

    def action_copy(self) -> None:
        """Copy the answers, each below its letter or name."""
        texts = [
            f"{letter if self._is_blind else side.model}\n{side.text}"
            for letter, side in zip(words.LETTERS, self._sides, strict=False)
        ]
        if texts:
            self.app.copy_to_clipboard("\n\n".join(texts))
            self._say(f"copied {len(texts)} answers")

    def action_copy_command(self) -> None:
        """Copy the command line that lists the answers."""
        self.app.copy_to_clipboard(self.command)
        self._say("copied the command line")


def distinct(names: Sequence[str]) -> list[str]:
    """Each name once, empty ones not at all."""
    return list(dict.fromkeys(name for name in names if name))
