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
from textual.widget import AwaitMount, Widget

from palaver.metric import Score, Span
from palaver.terminal import safe_line
from palaver_tui.places import Keys
from palaver_tui.widgets.answer import Answer
from palaver_tui.widgets.facts import Facts
from palaver_tui.widgets.scores import score_line
from palaver_tui.widgets.still import Picture, Still
from palaver_tui.widgets.text import Text, plain, styled
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
        self._when, self._who, self._place, self._pace = when, who, "", ""
        self._spans: Sequence[Span] = ()
        self._scored: tuple[Sequence[Score], tuple[str, Sequence[Score]] | None] = ((), None)
        self._output = self._judged = ""
        self._is_fresh = self._is_preview = False
        self._texts: dict[str, Content] = {}
        self._facts: tuple[str, Facts] | None = None
        self._build()

    def _build(self) -> None:
        """Make the widgets anew from what is known: a widget that was taken away cannot come back."""
        self._answer = Answer()
        if self._output:
            self._answer.finish(self._output)
        self._speaker = Text(self._in_gutter, classes="who")
        self._speed = Text(self._pace, classes="when")
        self._parts = {name: Text(self._texts[name], classes=name) for name in PARTS if name in self._texts}
        for name, part in self._parts.items():
            part.display = bool(self._texts[name].plain)
        self._body = Vertical(self._answer, *self._parts.values(), classes="body")
        self._facts = None
        self._is_composed = False

    def _rows(self) -> list[Widget]:
        answered = Horizontal(self._speaker, self._body, self._speed, classes="row answered")
        if not self.said:
            return [answered]
        you, when = Text("you", classes="who you"), Text(self._when, classes="when")
        return [Horizontal(you, Text(self._shown, classes="said"), when, classes="row"), answered]

    @property
    def _shown(self) -> str:
        return self.said if len(self.said) <= LONGEST_SAID else self.said[:LONGEST_SAID] + " …"

    @property
    def _in_gutter(self) -> Content:
        """The model, and below it the place among several answers."""
        return styled(safe_line(self._who), (f"\n{self._place}" if self._place else "", "$accent"))

    def compose(self) -> ComposeResult:
        if self.is_frozen:
            yield self._still()
        else:
            yield from self._rows()

    def on_mount(self) -> None:
        self._is_composed = not self.is_frozen
        for name in self._parts if self._is_composed else ():
            self._place_part(name)

    def _still(self) -> Still:
        below = [self._texts[name] for name in PARTS if name != "legend" and name in self._texts]
        shown = [one for one in below if one.plain]
        return Still(Picture(self._shown, self._when, self._who, self._place, self.output, self._pace, shown))

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
        self.alternatives, self._place = alternatives, ""
        if len(alternatives) > 1 and self.turn_id in alternatives:
            self._place = f"[{alternatives.index(self.turn_id) + 1}/{len(alternatives)}]"
        self._speaker.show(self._in_gutter)

    def feed(self, piece: str) -> None:
        """Append to the answer."""
        self._answer.feed(piece)

    def note(self, text: str) -> None:
        """What goes on, or went wrong a little: one muted line; empty removes it."""
        self._put("note", text)

    def judged(self, text: str) -> bool:
        """What people said of it: rating, note, tags; one muted line. Whether that is news."""
        before, self._judged = self._judged, text
        self._put("judged", text)
        return text != before

    def finish(self, output: str, *, turn_id: int | None, speed: str = "") -> None:
        """The whole answer is there."""
        self.turn_id, self._output = turn_id, output
        self._pace = speed
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
        """Far up: one widget draws it all, which costs next to nothing to keep."""
        if self.is_frozen or self.has_focus:
            return
        self.is_frozen = True
        if self.is_attached:
            self._is_composed, self._is_fresh = False, False
            self.remove_children()
            self.mount(self._still())

    def thaw(self) -> None:
        """Near again: as widgets, the answer as Markdown."""
        if self.is_frozen:
            self.is_frozen = False
            self._build()
            self.remove_children()
            self.call_later(self._thawed, self.mount(*self._rows()))

    async def _thawed(self, mounted: AwaitMount) -> None:
        await mounted
        self.on_mount()

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
        self.thaw()
        if self._spans and not self._is_preview:
            self._mark(self._spans)
            self._put("legend", LEGEND)  # Textual says that the focus is here only after this

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
        self._answer.restore()

    def _put(self, name: str, text: str | Content) -> None:
        """Show a part below the answer; empty takes it away."""
        content = plain(text) if isinstance(text, str) else text
        part = self._parts.get(name)
        if part is None and not content.plain:
            return
        self._texts[name] = content
        if part is None:
            part = self._parts[name] = Text(classes=name)
            self._place_part(name)
        part.display = bool(content.plain)
        part.show(content)

    def _place_part(self, name: str) -> None:
        """Mount a part where it belongs, once there is a place for it."""
        part = self._parts[name]
        if part.parent is not None or not self._is_composed:
            return
        below = [self._parts[one] for one in PARTS[PARTS.index(name) + 1 :] if one in self._parts]
        before: list[Widget] = [one for one in below if one.parent is not None]
        before += [self._facts[1]] if self._facts is not None else []
        if before:
            self._body.mount(part, before=before[0])
        else:
            self._body.mount(part)
