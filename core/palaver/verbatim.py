"""Which stretches of an output stand word for word in a text that a model has learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from palaver.overlap import word_pattern

Unit = Literal["words", "characters"]

LEAST = {"words": 8, "characters": 40}
"""The shortest stretch that counts as copied."""
_MOST_PLACES = 64
"""Places of one block that are tried; what stands in a text more often is a separator or a stock phrase."""


class Verbatim:
    """A text, ready to be searched for what an output has copied from it.

    Only every n-th block of the text is remembered, n being the length of a block. A stretch of LEAST units holds at
    least one whole block wherever it begins, so nothing is missed, and the index is small.
    """

    def __init__(self, text: str, unit: Unit) -> None:
        """Takes seconds for tens of millions of characters: call it in a thread."""
        self._unit: Unit = unit
        self._least = LEAST[unit]
        self._block = self._least // 2
        self._units: Sequence[str] = text if unit == "characters" else _words(text)[0]
        self._places: dict[int, list[int]] = {}
        for at in range(0, len(self._units) - self._block + 1, self._block):
            places = self._places.setdefault(hash(self._part(self._units, at)), [])
            if len(places) < _MOST_PLACES:
                places.append(at)

    def spans(self, output: str) -> list[tuple[int, int]]:
        """Start and end of each copied stretch in `output`, in order; stretches that adjoin are one.

        Words are compared without case and punctuation, characters as they are.
        """
        units, ends = (output, None) if self._unit == "characters" else _words(output)
        found: list[tuple[int, int]] = []
        for at in range(len(units) - self._block + 1):
            for place in self._places.get(hash(self._part(units, at)), ()):
                start, end = self._grow(units, at, place)
                if end - start < self._least:
                    continue
                if found and start <= found[-1][1]:
                    found[-1] = (min(found[-1][0], start), max(found[-1][1], end))
                else:
                    found.append((start, end))
        return found if ends is None else [(ends[start][0], ends[end - 1][1]) for start, end in found]

    def share(self, output: str) -> float:
        """How much of `output` is copied, from 0 to 1, of its characters."""
        return sum(end - start for start, end in self.spans(output)) / len(output) if output else 0.0

    def _part(self, units: Sequence[str], at: int) -> str | tuple[str, ...]:
        part = units[at : at + self._block]
        return part if isinstance(part, str) else tuple(part)

    def _grow(self, units: Sequence[str], at: int, place: int) -> tuple[int, int]:
        """The longest stretch around a block at `at` that the text has around `place`; empty if the block differs."""
        text, end = self._units, at
        while end < len(units) and place + end - at < len(text) and units[end] == text[place + end - at]:
            end += 1
        if end - at < self._block:
            return at, at
        start = at
        while start > 0 and place + start - at > 0 and units[start - 1] == text[place + start - at - 1]:
            start -= 1
        return start, end


def _words(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """The words without case, and where each stands."""
    found = list(word_pattern(text).finditer(text))
    return [one.group().casefold() for one in found], [one.span() for one in found]
