"""Where words go: the answer to stdout, all talk to stderr, and nothing that a terminal would obey."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TextIO

from palaver.errors import PalaverError
from palaver.metric import Overlap, Span
from palaver.terminal import cells, clip, safe_line, safe_text

Color = Literal["auto", "always", "never"]

PIPE_WIDTH = 80
"""Columns of a table that nobody's terminal limits."""

_PROSE = 16

_SGR: dict[str, str] = {"bold": "1", "dim": "2", "underline": "4", "bold underline": "1;4"}

# Marks are typography, not colour: they survive NO_COLOR, paper and colour blindness.
_MARKS: dict[Overlap, str] = {"fourgram": "bold underline", "ngram": "underline", "unigram": "", "none": "dim"}


@dataclass(slots=True)
class Output:
    """The two streams of one command, and how they may be written to."""

    color: Color = "auto"
    quiet: bool = False
    """Say nothing beside the answer but errors."""

    def answer(self, text: str, *, end: str = "\n") -> None:
        """Write to stdout: as it is into a pipe or a file, made safe on a terminal."""
        write(sys.stdout, (safe_text(text) if is_terminal(sys.stdout) else text) + end)

    def marked(self, text: str, spans: Sequence[Span]) -> None:
        """The answer, on a terminal with its overlap with the references as typography."""
        if spans and self.is_styled(sys.stdout):
            write(sys.stdout, self._with_marks(text, spans) + "\n")
        else:
            self.answer(text)

    def show(self, text: str) -> None:
        """Write our own text with foreign words in it to stdout, safe wherever it goes."""
        write(sys.stdout, safe_text(text) + "\n")

    def record(self, value: object) -> None:
        """One JSON document, on one line."""
        write(sys.stdout, to_json(value) + "\n")

    def talk(self, text: str) -> None:
        """Tell the user something that is not the answer."""
        if not self.quiet:
            write(sys.stderr, safe_text(text) + "\n")

    def warn(self, text: str) -> None:
        """Tell the user something that they should know about the answer."""
        self.talk(f"warning: {text}")

    def style(self, text: str, style: str) -> str:
        """`text`, safe, with the style if stdout can show one."""
        return _sgr(safe_text(text), style if self.is_styled(sys.stdout) else "")

    def is_styled(self, stream: TextIO | None) -> bool:
        """Whether bold and underline may be used: a terminal that can, or the user's word."""
        if self.color != "auto":
            return self.color == "always"
        return is_capable(stream)

    def _with_marks(self, text: str, spans: Sequence[Span]) -> str:
        pieces, at = [], 0
        for span in spans:
            inside = _sgr(safe_text(text[span.start : span.end]), _MARKS[span.overlap])
            pieces += [safe_text(text[at : span.start]), inside]
            at = span.end
        return "".join(pieces) + safe_text(text[at:])


class Progress:
    """One line on stderr that is rewritten, where stderr is a terminal that can; else nothing."""

    def __init__(self, output: Output) -> None:
        self.is_shown = not output.quiet and is_capable(sys.stderr)
        self._written = 0

    def show(self, text: str) -> None:
        """Replace the line."""
        if self.is_shown:
            line = safe_line(text, max(shutil.get_terminal_size().columns - 1, 10))
            write(sys.stderr, "\r" + line + " " * (self._written - cells(line)))
            self._written = cells(line)

    def clear(self) -> None:
        """Remove the line."""
        if self._written:
            write(sys.stderr, "\r" + " " * self._written + "\r")
            self._written = 0


def prepare_streams() -> None:
    """Text that the encoding of a stream cannot say becomes `?`; it never stops a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def write(stream: TextIO | None, text: str) -> None:
    """Write and flush. What goes to a stderr that nobody reads is dropped.

    Raises:
        BrokenPipeError: the reader of stdout has gone.
    """
    if stream is None:  # closed by the shell: `>&-`
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        if stream is not sys.stderr:
            raise


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads the stream as it is written."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def is_capable(stream: TextIO | None) -> bool:
    """Whether the stream is a terminal that knows more than printing lines."""
    return is_terminal(stream) and os.environ.get("TERM", "dumb" if os.name != "nt" else "") != "dumb"


def width() -> int:
    """Columns that stdout has."""
    return shutil.get_terminal_size((PIPE_WIDTH, 24)).columns if is_terminal(sys.stdout) else PIPE_WIDTH


def to_json(value: object) -> str:
    """JSON on one line with the user's letters as they are, and an escape for each that a terminal would obey."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if safe_text(text) == text:
        return text
    return "".join(char if safe_text(char) == char else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]


def report(error: PalaverError, *, as_json: bool) -> None:
    """Say on stderr what went wrong and what helps."""
    if as_json:
        told = {"schema": "palaver.error/1", "code": error.code, "message": error.message, "fix": error.fix}
        write(sys.stderr, to_json(told) + "\n")
        return
    write(sys.stderr, f"palaver: {safe_text(error.message)}\n")
    if error.fix:
        write(sys.stderr, f"fix: {safe_text(error.fix)}\n")


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = (), whole: Collection[int] = ()
) -> str:
    """Rows under their headings, aligned by terminal cells; cut where a row would not fit the line.

    What stands in the columns `whole` is never cut: half a number would be another one.
    """
    safe = [[safe_line(cell) for cell in row] for row in (head, *rows)]
    widths = [max(cells(row[index]) for row in safe) for index in range(len(head))]
    least = [max((cells(row[at]) for row in safe[1:]), default=0) if at in whole else 4 for at in range(len(head))]
    _narrow(widths, least, width())
    lines = []
    for row in safe:
        fitted = [
            _fit(cell, limit, index in right) for index, (cell, limit) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(fitted).rstrip())
    return "\n".join(lines)


def _narrow(widths: list[int], least: Sequence[int], total: int) -> None:
    """Cut the last column, which is prose, down to a few words, then whichever is widest and may be cut."""
    over = sum(widths) + 2 * (len(widths) - 1) - total
    while over > 0 and (free := [at for at in range(len(widths)) if widths[at] > least[at]]):
        is_prose = free[-1] == len(widths) - 1 and widths[-1] > _PROSE
        widths[-1 if is_prose else max(free, key=widths.__getitem__)] -= 1
        over -= 1


def _fit(cell: str, limit: int, is_right: bool) -> str:
    shown = clip(cell, limit)
    gap = " " * (limit - cells(shown))
    return gap + shown if is_right else shown + gap


def _sgr(text: str, style: str) -> str:
    """`text` in a style that ends with each line, so that a pager may cut anywhere."""
    if not style:
        return text
    code = _SGR[style]
    return "\n".join(f"\x1b[{code}m{line}\x1b[0m" if line else line for line in text.split("\n"))
