"""An answer as it is written: finished blocks as Markdown, the open one as plain text, nothing drawn twice."""

from __future__ import annotations

import re
import time

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import AwaitMount

from palaver_tui.widgets.tail import Tail
from palaver_tui.widgets.text import Text

CUT = 600
"""Characters of a long block from which on it is cut between two lines, or words."""
PLAIN = 20_000
"""Characters of an open block, or of a whole answer, that are still laid out as Markdown."""
ROWS = 60
"""Lines of one block, list items or rows of a table, that are laid out as Markdown: each is some widgets."""
BLOCKS = 200
"""Lines of a whole answer that are."""

_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)


class Answer(Vertical):
    """Grows by `feed`, ends with `finish`; marked text may stand in the place of its Markdown."""

    DEFAULT_CSS = "Answer { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self.words = 0
        """About how many words were fed."""
        self._text = ""
        self._open = ""
        self._arriving = ""
        """Finished text whose Markdown is still being made: the tail shows it until then, so that nothing blinks."""
        self._is_plain = False
        self._is_writing = False
        self._holds_tail = False
        """The tail shows the end of the answer, and not marked text."""
        self._tail = Tail()
        self._tail.display = False
        self._marked = Text(classes="marked")
        self._marked.display = False
        self._rest_until = 0.0
        self._is_composed = False
        """Blocks have a place. Textual's `is_mounted` is false for as long as `on_mount` itself runs."""
        self._whole: str | None = None
        """The finished text that came before this was on the screen."""

    def compose(self) -> ComposeResult:
        yield self._tail
        yield self._marked

    def on_mount(self) -> None:
        self._is_composed = True
        if self._whole is not None:
            self.finish(self._whole)
        elif self._open:
            self.feed("")

    @property
    def text(self) -> str:
        """All that was fed or finished with."""
        return self._text

    def feed(self, piece: str) -> None:
        """Append what arrived since the last time; called some ten times a second, not once a token."""
        self._text += piece
        self.words += len(piece.split())
        self._open += piece
        if not self._is_composed or time.monotonic() < self._rest_until:
            return
        began = time.monotonic()
        cut = last_break(self._open) if self._is_plain else cut_at(self._open)
        if cut:
            done, self._open = self._open[:cut], self._open[cut:]
            # What is too long for Markdown has lost its beginning to plain text: so is the rest of it.
            self._is_plain = self._is_plain or is_long(done) or len(self._text) > PLAIN
            self._settle(done)
        self._is_writing = self._holds_tail = True
        self._draw_tail()
        # A block that is costly to lay out is laid out less often: keys come first.
        self._rest_until = time.monotonic() + 4 * (time.monotonic() - began)

    def finish(self, text: str) -> None:
        """Show the whole answer, the open block as Markdown too; `text` may differ from what was fed."""
        if not self._is_composed:
            self._whole = text
            return
        if text.strip() == self._text.strip():
            if self._open.strip():
                self._settle(self._open)
            self._open = ""
        else:
            self._show_anew(text)
        self._text = text
        self._is_writing, self._holds_tail = False, True
        self._draw_tail()

    def show(self, content: Content) -> None:
        """Show marked text instead of the Markdown."""
        if self._whole is not None:
            self._text, self._open, self._whole = self._whole, "", None
        self.remove_children(".block")
        self._is_writing = self._holds_tail = False
        self._tail.display = False
        self._marked.show(content)
        self._marked.display = True

    def restore(self) -> None:
        """Show the Markdown again."""
        self._holds_tail = True
        self._show_anew(self._text)
        self._draw_tail()

    def _draw_tail(self) -> None:
        rest = (self._arriving + self._open).lstrip("\n")
        self._marked.display = False
        self._tail.display = self._is_writing or bool(rest.strip())
        self._tail.show(rest if self._is_writing else rest.rstrip(), is_writing=self._is_writing)

    def _show_anew(self, text: str) -> None:
        self.remove_children(".block")
        self._open, self._arriving, self._is_plain = "", "", is_long(text)
        if text.strip():
            self._settle(text)

    def _settle(self, done: str) -> None:
        """Put a finished stretch above the open block."""
        if not done.strip():
            return
        if self._is_plain or is_long(done):
            self.mount(Text(done.strip("\n"), classes="block"), before=self._tail)
        else:
            from palaver_tui.widgets.document import Document  # a Markdown parser: paid by the first answer

            self._arriving += done
            made = self.mount(Document(done, classes="block"), before=self._tail)
            self.call_later(self._arrived, made, done)

    async def _arrived(self, made: AwaitMount, done: str) -> None:
        """The Markdown is laid out: the tail lets go of its text."""
        await made
        self._arriving = self._arriving.removeprefix(done)
        if self._holds_tail:
            self._draw_tail()


def is_long(text: str) -> bool:
    """Whether laying this out as Markdown would stop the screen."""
    return len(text) > PLAIN or text.count("\n") > BLOCKS or max(map(_rows, text.split("\n\n"))) > ROWS


def _rows(block: str) -> int:
    """Lines of a block that each become widgets: not those of code, which is one."""
    return 0 if _FENCE.match(block) else block.count("\n")


def cut_at(text: str) -> int:
    """Where the finished part of a growing text ends: 0 while nothing is finished.

    At the last blank line outside a fence; of a block that is too long for Markdown anywhere between two lines, or
    words.
    """
    outside = text
    fences = list(_FENCE.finditer(text))
    if len(fences) % 2:
        outside = text[: fences[-1].start()]
    inner = [(fences[index].start(), fences[index + 1].end()) for index in range(0, len(fences) - 1, 2)]
    cut = outside.rfind("\n\n")
    while cut > 0 and any(start <= cut < end for start, end in inner):
        cut = outside.rfind("\n\n", 0, cut)
    if cut > 0:
        return cut + 2
    return last_break(text) if is_long(text) else 0


def last_break(text: str) -> int:
    """Behind the last line end, or else the last space, of a text that is long enough to be cut; else 0."""
    return 0 if len(text) < CUT else max(text.rfind("\n"), 0 if "\n" in text else text.rfind(" ")) + 1
