"""One turn in full: what was asked, what came out, what it shares with the references and what that scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content, Span

from palaver import metric
from palaver.terminal import safe_text
from palaver_tui.widgets.text import Text, styled

LONGEST = 20_000
"""Characters of one text that are laid out; the whole of it is one command away."""

MARKS: dict[metric.Overlap, str] = {"fourgram": "bold underline", "ngram": "underline", "unigram": "", "none": "dim"}
"""Typography, not colour: it survives NO_COLOR, paper and colour blindness."""


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """A score as it is printed."""

    title: str
    value: str
    signature: str


@dataclass(frozen=True, slots=True)
class Detail:
    """What is shown of a turn."""

    id: int
    head: str
    """`translate en→de  opus-mt-en-de · 2026-01-23 14:02:11 · 0.84 s · seed 42`"""
    input: str = ""
    output: str = ""
    marks: tuple[metric.Span, ...] = ()
    """What the output shares with the references, by its characters."""
    references: tuple[str, ...] = ()
    scores: tuple[ScoreLine, ...] = ()
    problem: str = ""
    """Why there is no answer, or not a whole one."""
    is_failed: bool = False
    rating: str = ""
    note: str = ""
    tags: str = ""


class Field(Horizontal):
    """A label and a text that hangs beside it."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, classes="detail-field")
        self._label = Text(id=f"{id}-label", classes="detail-label")
        self._body = Text(id=f"{id}-body", classes="detail-body")

    def compose(self) -> ComposeResult:
        yield self._label
        yield self._body

    def show(self, label: str, body: Content) -> None:
        """Label and text; without text the field takes no room."""
        self.display = bool(body.plain)
        self._label.show(label)
        self._body.show(body)


class TurnDetail(VerticalScroll):
    """A turn's details, a field below the other; scrolls when they are long."""

    DEFAULT_CSS = """
    TurnDetail {
        scrollbar-size-vertical: 1;
        scrollbar-color: $hairline;
        scrollbar-color-hover: $muted;
        scrollbar-color-active: $muted;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        .detail-field { height: auto; }
        .detail-label { width: 9; color: $muted; }
        .detail-body { width: 1fr; max-width: 92; height: auto; }
        #detail-head { .detail-label { color: $accent; } .detail-body { max-width: 100%; } }
        #detail-input, #detail-scores, #detail-problem { margin: 1 0 0 0; }
    }
    """
    FIELDS = ("head", "input", "output", "problem", "ref", "scores", "rating", "note", "tags")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.detail: Detail | None = None
        self._fields = {name: Field(id=f"detail-{name}") for name in self.FIELDS}

    def compose(self) -> ComposeResult:
        yield from self._fields.values()

    def show(self, detail: Detail | None) -> None:
        """Show a turn, or nothing."""
        if detail is None or self.detail is None or detail.id != self.detail.id:
            self.scroll_home(animate=False)
        self.detail = detail
        for field in self._fields.values():
            field.display = False
        if detail is None:
            return
        put = self._fields
        put["head"].show(f"#{detail.id}", _text(detail.head))
        put["input"].show("input", _text(detail.input, detail.id))
        put["output"].show("output", marked(detail.output, detail.marks, detail.id))
        put["problem"].show("", styled((detail.problem, "$error" if detail.is_failed else "$muted")))
        put["ref"].show("ref" if len(detail.references) < 2 else "refs", _references(detail.references, detail.id))
        put["scores"].show("", _scores(detail.scores))
        put["rating"].show("rating", _text(detail.rating))
        put["note"].show("note", _text(detail.note, detail.id))
        put["tags"].show("tags", _text(detail.tags))


def marked(output: str, marks: Sequence[metric.Span], turn: int = 0) -> Content:
    """`output` with what it shares with the references set in type; cut if it is very long."""
    shown = output[:LONGEST]
    spans: list[Span] = []
    pieces: list[str] = []
    at = length = 0

    def take(end: int, style: str) -> None:
        # Making a text safe may change its length, so it is done piece by piece and the places follow.
        nonlocal at, length
        piece = safe_text(shown[at:end])
        if style and piece:
            spans.append(Span(length, length + len(piece), style))
        pieces.append(piece)
        at, length = max(at, end), length + len(piece)

    for mark in marks:
        if mark.start >= len(shown):
            break
        take(mark.start, "")
        take(min(mark.end, len(shown)), MARKS[mark.overlap])
    take(len(shown), "")
    return Content("".join(pieces), spans) + _rest(output, turn)


def _text(text: str, turn: int = 0) -> Content:
    return styled(text[:LONGEST]) + _rest(text, turn)


def _rest(text: str, turn: int) -> Content:
    if len(text) <= LONGEST:
        return Content("")
    return styled((f"\n… {len(text) - LONGEST:,} more characters: palaver history show {turn}", "$muted"))


def _references(references: Sequence[str], turn: int) -> Content:
    if len(references) == 1:
        return _text(references[0], turn)
    return Content("\n").join(_text(f"{index}  {text}", turn) for index, text in enumerate(references, 1))


def _scores(scores: Sequence[ScoreLine]) -> Content:
    """All numbers on one line, then the signature of each, without which no number may be compared."""
    if not scores:
        return Content("")
    numbers = [styled((score.title, "bold"), f" {score.value}") for score in scores]
    signatures = [styled((score.signature, "$muted")) for score in scores if score.signature]
    return Content("\n").join([Content("   ").join(numbers), *signatures])
