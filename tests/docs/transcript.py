"""Read the `console` blocks of a Markdown page, and compare what a command printed with what the page says.

In a block, `$ ` begins a command and `> ` continues it; all else is its output, stdout and stderr. There `…` stands for
anything on the line, and a line `...` for any number of lines. How long something took and when it was may differ.

In a `console model` block the answer is a model's: it must be there, its words and numbers may be others, since near
ties of greedy decoding turn with the processor. What is said beside it must be the same but for its numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL)
_TIMED = re.compile(r"\d+(?:\.\d+)?(?= m?s\b)|\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?)?|\b\d\d:\d\d\b")
_NUMBER = re.compile(r"\d+(?:[.,:-]\d+)+|\d\d+|\d(?= tokens)")
"""Else not a single digit: the `3` of `lead-3` is part of a name."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a page, and what it is said to print."""

    line: int
    """Line of the page, from 1."""
    text: str
    expected: tuple[str, ...]
    needs_model: bool


def commands(page: str) -> Iterator[Command]:
    """The commands of a page's `console` blocks, in order."""
    for fence in _FENCE.finditer(page):
        words = fence["info"].split()
        if not words or words[0] != "console":
            continue
        first = page.count("\n", 0, fence.start("body")) + 1
        body = [line.removeprefix(fence["indent"]) for line in fence["body"].splitlines()]
        yield from _split(body, first, needs_model="model" in words[1:])


def _split(body: list[str], first: int, *, needs_model: bool) -> Iterator[Command]:
    starts = [index for index, line in enumerate(body) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(body)], strict=True):
        typed = [body[start][2:]]
        output = start + 1
        while output < end and body[output].startswith("> "):
            typed.append(body[output][2:])
            output += 1
        expected = tuple(line.rstrip() for line in body[output:end])
        yield Command(first + start, "\n".join(typed), expected, needs_model)


def matches(expected: Sequence[str], printed: Sequence[str], *, varying: re.Pattern[str] = _TIMED) -> bool:
    """Whether the page tells the truth about what was printed; what `varying` finds may be any number."""
    return _match(_trimmed(expected), _trimmed(printed), varying)


def matches_answer(expected: Sequence[str], answer: Sequence[str], talk: Sequence[str]) -> bool:
    """Whether there is an answer where the page has one, and beside it the talk that the page has."""
    return any(map(str.strip, answer)) and any(
        matches(expected[lines:], talk, varying=_NUMBER) for lines in range(1, len(expected) + 1)
    )


def _trimmed(lines: Sequence[str]) -> list[str]:
    kept = [line.rstrip() for line in lines]
    while kept and not kept[-1]:
        kept.pop()
    while kept and not kept[0]:
        del kept[0]
    return kept


def _match(expected: list[str], printed: list[str], varying: re.Pattern[str]) -> bool:
    if not expected:
        return not printed
    if expected[0] == "...":
        return any(_match(expected[1:], printed[skipped:], varying) for skipped in range(len(printed) + 1))
    return bool(printed) and _same(expected[0], printed[0], varying) and _match(expected[1:], printed[1:], varying)


def _same(expected: str, printed: str, varying: re.Pattern[str]) -> bool:
    pattern = "".join(".*" if piece == "…" else _tolerant(piece, varying) for piece in re.split("(…)", expected))
    return re.fullmatch(pattern, printed) is not None


def _tolerant(text: str, varying: re.Pattern[str]) -> str:
    """A pattern for `text` in which what varies is any number, and runs of spaces any runs: columns move."""
    made, at = "", 0
    for number in varying.finditer(text):
        made += _spaced(text[at : number.start()]) + r"\d+(?:[.,: -]?\d+)*"
        at = number.end()
    return made + _spaced(text[at:])


def _spaced(text: str) -> str:
    return "".join(" {2,}" if run.startswith("  ") else re.escape(run) for run in re.split(r"( {2,})", text))
