"""One turn in the transcript: what was said, what was answered, what it scored, and where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message

from palaver.metric import Score, Span
from palaver.terminal import safe_line
from palaver_tui.places import Keys
from palaver_tui.widgets.answer import Answer
from palaver_tui.widgets.scores import score_line
from palaver_tui.widgets.text import Text, styled
from palaver_tui.widgets.turn_detail import marked

LONGEST_SAID = 2_000
"""Characters of a question that are shown; the model reads all of them."""
LEGEND = "bold underlined: 4 words or more in a row are in the reference · underlined: 2–3 · plain: 1 · dim: none"
"""What the marks mean; the same without colour."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error at the place of the answer, in three lines."""

    what: str
    do: str
    """`tab: /pull smollm2`, or a sentence; may be empty."""
    where: str


class Exchange(Vertical, can_focus=True):
    """A question and its answer."""

    HELP_TITLE = "Answer"
    HELP_KEYS: ClassVar[Keys] = (
        ("y", "copy it"),
        ("r", "give a reference, which scores it"),
        ("enter", "where it came from, or not"),
        ("other letters", "go to the prompt"),
    )
    BINDINGS: ClassVar = [
        Binding("y", "copy", "copy", show=False, id="answer.copy"),
        Binding("r", "refer", "reference", show=False, id="answer.reference"),
        Binding("enter", "details", "details", show=False, id="answer.details"),
    ]

    @dataclass
    class Copied(Message):
        """`y`: the answer is wanted elsewhere."""

        exchange: Exchange

    @dataclass
    class ReferenceWanted(Message):
        """`r`: a reference is about to be given."""

        exchange: Exchange

    @dataclass
    class Typed(Message):
        """A letter meant for the prompt."""

        text: str

    def __init__(self, said: str, *, when: str = "", who: str = "") -> None:
        super().__init__(classes="exchange")
        self.said = said
        self.turn_id: int | None = None
        self.is_frozen = False
        self._when = when
        self._spans: Sequence[Span] = ()
        self._output = ""
        self._is_fresh = False
        self._answer = Answer()
        self._speaker = Text(safe_line(who), classes="who")
        self._speed = Text(classes="when")
        self._note = Text(classes="note")
        self._scores = Text(classes="scores")
        self._legend = Text(LEGEND, classes="legend")
        self._trouble = Text(classes="trouble")
        self._details = Text(classes="details")
        for part in (self._note, self._scores, self._legend, self._trouble, self._details):
            part.display = False

    def compose(self) -> ComposeResult:
        said = self.said if len(self.said) <= LONGEST_SAID else self.said[:LONGEST_SAID] + " …"
        if said:
            with Horizontal(classes="row"):
                yield Text("you", classes="who you")
                yield Text(said, classes="said")
                yield Text(self._when, classes="when")
        with Horizontal(classes="row answered"):
            yield self._speaker
            with Vertical(classes="body"):
                yield self._answer
                yield self._trouble
                yield self._scores
                yield self._legend
                yield self._note
                yield self._details
            yield self._speed

    @property
    def output(self) -> str:
        """The answer so far."""
        return self._output or self._answer.text

    @property
    def words(self) -> int:
        """How many words were written so far."""
        return self._answer.words

    def answered_by(self, who: str) -> None:
        """Name the model in the gutter."""
        self._speaker.show(safe_line(who))

    def feed(self, piece: str) -> None:
        """Append to the answer."""
        self._answer.feed(piece)

    def note(self, text: str) -> None:
        """What goes on, or went wrong a little: one muted line; empty removes it."""
        self._note.display = bool(text)
        self._note.show(text)

    def finish(self, output: str, *, turn_id: int | None, speed: str = "") -> None:
        """The whole answer is there."""
        self.turn_id, self._output = turn_id, output
        self._answer.finish(output)
        self._speed.show(speed)

    def fail(self, trouble: Trouble, *, output: str, turn_id: int | None) -> None:
        """Show what went wrong; the text so far stays."""
        self.turn_id, self._output = turn_id, output
        self._answer.finish(output)
        lines: list[str | tuple[str, str]] = [("! ", "bold $error"), (trouble.what, "$error")]
        lines += [f"\n  {trouble.do}"] if trouble.do else []
        lines += [(f"\n  {trouble.where}", "$muted")] if trouble.where else []
        self._trouble.show(styled(*lines))
        self._trouble.display = True

    def score(
        self, scores: Sequence[Score], spans: Sequence[Span], baseline: tuple[str, Sequence[Score]] | None
    ) -> None:
        """Write the numbers under the answer, and mark what it shares with the references."""
        self._spans = spans
        self._scores.show(score_line(scores, self.turn_id or 0, baseline))
        self._scores.display = bool(scores)
        if spans:
            self._is_fresh = True
            self._mark()

    def settle(self) -> None:
        """The next turn begins: marks are shown only on focus from now on."""
        if self._is_fresh:
            self._is_fresh = False
            self._unmark()

    def freeze(self) -> None:
        """Far up: the answer as plain text."""
        if not self.is_frozen:
            self.is_frozen = True
            self._answer.freeze()

    def show_details(self, details: Sequence[tuple[str, str]]) -> None:
        """Show where the answer came from, or hide it again."""
        if self._details.display:
            self._details.display = False
            return
        width = max((len(label) for label, _ in details), default=0) + 2
        lines = [styled((label.ljust(width), "$muted"), text) for label, text in details]
        self._details.show(Content("\n").join(lines))
        self._details.display = True

    @dataclass
    class DetailsWanted(Message):
        """Enter: where did this answer come from?"""

        exchange: Exchange

    def action_copy(self) -> None:
        """Hand the answer to the clipboard."""
        self.post_message(self.Copied(self))

    def action_refer(self) -> None:
        """Begin to give a reference."""
        self.post_message(self.ReferenceWanted(self))

    def action_details(self) -> None:
        """Ask for the details."""
        self.post_message(self.DetailsWanted(self))

    def on_focus(self) -> None:
        if self._spans:
            self._mark()

    def on_blur(self) -> None:
        self._legend.display = False
        if self._spans and not self._is_fresh:
            self._unmark()

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character and event.key not in ("y", "r", "question_mark"):
            event.stop()
            self.post_message(self.Typed(event.character))

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self.post_message(self.Typed(event.text))

    def _mark(self) -> None:
        self._answer.show(marked(self._output, self._spans, self.turn_id or 0))
        self._legend.display = self.has_focus

    def _unmark(self) -> None:
        self._legend.display = False
        if self.is_frozen:
            self._answer.freeze()
        else:
            self._answer.restore()
