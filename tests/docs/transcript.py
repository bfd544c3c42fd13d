"""Read the `console` blocks of a Markdown page, and compare what a command printed with what the page says.

In a block, `$ ` begins a command and `> ` continues it; all else is its output. In the output `…` stands for anything
on the line, and a line `...` for any number of lines. A number need not be the same one, a word must.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_LEAST = 2
"""Digits of a number that may differ: the `3` of `lead-3` is part of a name."""


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


def matches(expected: tuple[str, ...], printed: list[str]) -> bool:
    """Whether the page tells the truth about what was printed."""
    lines = [line.rstrip() for line in printed]
    return _match(_trimmed(list(expected)), _trimmed(lines))


def _trimmed(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    while lines and not lines[0]:
        lines = lines[1:]
    return lines


def _match(expected: list[str], printed: list[str]) -> bool:
    if not expected:
        return not printed
    if expected[0] == "...":
        return any(_match(expected[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    return bool(printed) and _same(expected[0], printed[0]) and _match(expected[1:], printed[1:])


def _same(expected: str, printed: str) -> bool:
    pattern = "".join(".*" if piece == "…" else _tolerant(piece) for piece in re.split("(…)", expected))
    return re.fullmatch(pattern, printed) is not None


def _tolerant(text: str) -> str:
    """A pattern for `text` in which longer numbers are any numbers, and runs of spaces any runs: columns move."""
    made, at = "", 0
    for number in _NUMBER.finditer(text):
        if len(number.group()) < _LEAST:
            continue
        made += _spaced(text[at : number.start()]) + r"\d+(?:[.,]\d+)*"
        at = number.end()
    return made + _spaced(text[at:])


def _spaced(text: str) -> str:
    return "".join(" +" if run.startswith("  ") else re.escape(run) for run in re.split(r"( {2,})", text))
