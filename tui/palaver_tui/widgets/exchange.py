"""One turn in the transcript: what was said, what was answered, what it scored, and the keys that act on it."""

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
from palaver_tui.widgets.facts import Facts
from palaver_tui.widgets.scores import score_line
from palaver_tui.widgets.text import Text, styled
from palaver_tui.widgets.turn_detail import marked

LONGEST_SAID = 2_000
"""Characters of a question that are shown; the model reads all of them."""
LEGEND = "bold underlined: 4 words or more in a row are in the reference · underlined: 2–3 · plain: 1 · dim: none"
"""What the marks mean; the same without colour."""
PARTS = ("trouble", "scores", "legend", "note", "judged")
"""What may stand below an answer, from top to bottom; each is made when there is something to show."""


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
        ("r", "give a reference, which scores it; /ref #N does the same"),
        ("s", "how its scores were computed, or not"),
        ("g", "generate another answer, with the next seed; both stay"),
        ("e", "edit the question: the conversation forks, both ways stay"),
        ("← →", "where there are several, the answer before or after: [2/3]"),
        ("c", "compare it with another turn or model"),
        ("1–5, 0", "rate it, and take the rating back"),
        ("a or n", "note"),
        ("t", "tag"),
        ("+", "keep it as an example of a data set"),
        ("y", "copy it"),
        ("enter or p", "where it came from, or not"),
        ("ctrl+t", "copy the command line that asks the same"),
        ("other letters", "go to the prompt"),
    )
    BINDINGS: ClassVar = [
        Binding("r", "want('reference')", "reference", show=False, id="answer.reference"),
        Binding("s", "want('scores')", "scores", show=False, id="answer.scores"),
        Binding("g", "want('again')", "again", show=False, id="answer.again"),
        Binding("e", "want('edit')", "edit", show=False, id="answer.edit"),
        Binding("left", "want('before')", "answer before", show=False, id="answer.before"),
        Binding("right", "want('after')", "answer after", show=False, id="answer.after"),
        Binding("c", "want('compare')", "compare", show=False, id="answer.compare"),
        *[Binding(str(n), f"want('rate {n}')", f"rate {n}", show=False, id=f"answer.rate{n}") for n in range(6)],
        Binding("a,n", "want('note')", "note", show=False, id="answer.note"),
        Binding("t", "want('tag')", "tag", show=False, id="answer.tag"),
        Binding("plus", "want('keep')", "keep", show=False, id="answer.keep"),
        Binding("y", "want('copy')", "copy", show=False, id="answer.copy"),
        Binding("enter,p", "want('details')", "details", show=False, id="answer.details"),
    ]

    @dataclass
    class Wanted(Message):
        """A key that acts on an answer."""

        exchange: Exchange
        what: str
        """`reference`, `rate 4`, ..."""

    @dataclass
    class Typed(Message):
        """A letter meant for the prompt."""

        text: str

    def __init__(self, said: str, *, when: str = "", who: str = "") -> None:
        super().__init__(classes="exchange")
        self.said = said
        self.turn_id: int | None = None
        self.alternatives: Sequence[int] = ()
        """The turns in its place, itself among them, in the order they were made."""
        self.traceback = ""
        """Of a failure that is a mistake in a program."""
        self.is_frozen = False
        self._when, self._who = when, who
        self._spans: Sequence[Span] = ()
        self._scored: tuple[Sequence[Score], tuple[str, Sequence[Score]] | None] = ((), None)
        self._output = ""
        self._is_fresh = self._is_preview = False
        self._answer = Answer()
        self._speaker = Text(safe_line(who), classes="who")
        self._speed = Text(classes="when")
        self._body = Vertical(classes="body")
        self._parts: dict[str, Text] = {}
        self._facts: tuple[str, Facts] | None = None
        self._is_composed = False

    def compose(self) -> ComposeResult:
        said = self.said if len(self.said) <= LONGEST_SAID else self.said[:LONGEST_SAID] + " …"
        if said:
            with Horizontal(classes="row"):
                yield Text("you", classes="who you")
                yield Text(said, classes="said")
                yield Text(self._when, classes="when")
        with Horizontal(classes="row answered"):
            yield self._speaker
            with self._body:
                yield self._answer
            yield self._speed

    def on_mount(self) -> None:
        self._is_composed = True
        for name in PARTS:
            self._place(name)

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
        self._who = who
        self.stands_among(self.alternatives)

    def stands_among(self, alternatives: Sequence[int]) -> None:
        """Say which of several answers in the same place this is: `[2/3]` below the model's name."""
        self.alternatives = alternatives
        place = ""
        if len(alternatives) > 1 and self.turn_id in alternatives:
            place = f"\n[{alternatives.index(self.turn_id) + 1}/{len(alternatives)}]"
        self._speaker.show(styled(safe_line(self._who), (place, "$accent")))

    def feed(self, piece: str) -> None:
        """Append to the answer."""
        self._answer.feed(piece)

    def note(self, text: str) -> None:
        """What goes on, or went wrong a little: one muted line; empty removes it."""
        self._put("note", text)

    def judged(self, text: str) -> None:
        """What people said of it: rating, note, tags; one muted line."""
        self._put("judged", text)

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
        self._put("trouble", styled(*lines))

    def score(
        self, scores: Sequence[Score], spans: Sequence[Span], baseline: tuple[str, Sequence[Score]] | None, *,
        is_fresh: bool = True,
    ) -> None:  # fmt: skip
        """Write the numbers under the answer, and mark what it shares with the references."""
        self._spans, self._scored = spans, (scores, baseline)
        self._is_preview = False
        self._put("scores", score_line(scores, self.turn_id or 0, baseline) if scores else "")
        if spans:
            self._is_fresh = is_fresh
            if is_fresh or self.has_focus:
                self._mark(self._spans)

    def preview(self, scores: Sequence[Score], spans: Sequence[Span]) -> None:
        """Numbers and marks against a reference that is still being typed."""
        self._is_preview = True
        typed = styled(("   while you type", "$muted"))
        self._put("scores", score_line(scores, self.turn_id or 0) + typed)
        self._mark(spans)

    def end_preview(self) -> None:
        """The reference was given, or not: the numbers in history are shown again."""
        if self._is_preview:
            scores, baseline = self._scored
            self._unmark()
            self.score(scores, self._spans, baseline, is_fresh=self._is_fresh)

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

    def show_facts(self, kind: str, facts: Sequence[tuple[str, str]]) -> None:
        """Show labels and texts below the answer; what is shown already goes."""
        shown, self._facts = self._facts, None
        if shown is not None:
            shown[1].remove()
        if facts and (shown is None or shown[0] != kind):
            self._facts = (kind, Facts(facts))
            self._body.mount(self._facts[1])

    def action_want(self, what: str) -> None:
        """Hand up what is to be done with this turn."""
        self.post_message(self.Wanted(self, what))

    def on_focus(self) -> None:
        if self._spans and not self._is_preview:
            self._mark(self._spans)

    def on_blur(self) -> None:
        self._put("legend", "")
        if self._spans and not self._is_fresh and not self._is_preview:
            self._unmark()

    def on_key(self, event: events.Key) -> None:
        found = self.screen.active_bindings.get(event.key)
        is_ours = found is not None and found.enabled
        if event.is_printable and event.character and not is_ours:
            event.stop()
            self.post_message(self.Typed(event.character))

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self.post_message(self.Typed(event.text))

    def _mark(self, spans: Sequence[Span]) -> None:
        self._answer.show(marked(self._output, spans, self.turn_id or 0))
        self._put("legend", LEGEND if self.has_focus else "")

    def _unmark(self) -> None:
        self._put("legend", "")
        if self.is_frozen:
            self._answer.freeze()
        else:
            self._answer.restore()

    def _put(self, name: str, text: str | Content) -> None:
        """Show a part below the answer; empty takes it away."""
        part = self._parts.get(name)
        is_empty = not (text if isinstance(text, str) else text.plain)
        if part is None:
            if is_empty:
                return
            part = self._parts[name] = Text(classes=name)
            self._place(name)
        part.display = not is_empty
        part.show(text)

    def _place(self, name: str) -> None:
        """Mount a part where it belongs, once there is a place for it."""
        part = self._parts.get(name)
        if part is None or part.parent is not None or not self._is_composed:
            return
        below = [self._parts[one] for one in PARTS[PARTS.index(name) + 1 :] if one in self._parts]
        below = [one for one in below if one.parent is not None]
        if below or self._facts is not None:
            self._body.mount(part, before=below[0] if below else self._facts[1])  # type: ignore[index]
        else:
            self._body.mount(part)
