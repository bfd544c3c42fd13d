"""Keep a part of the data back, so that nothing that is learnt from is also asked about."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from palaver import BadInput

T = TypeVar("T")

_SPACES = re.compile(r"\s+")
_LONG = 80
"""Characters from which on a paragraph that stands in two places is a copy and no coincidence."""


@dataclass(frozen=True, slots=True)
class Split(Generic[T]):
    """Three parts that share nothing."""

    train: T
    valid: T
    test: T
    duplicates: int = 0
    """What stood in two parts and was taken out of one."""


def key(text: str) -> str:
    """What two texts have in common that differ in case and space only."""
    return _SPACES.sub(" ", text).strip().casefold()


def split_items(
    items: Sequence[T], keys: Callable[[T], Sequence[str]], valid_share: float, test_share: float, seed: int
) -> Split[list[T]]:
    """The items in three parts by a hash, so that what shares a key - a source with two targets - stays together."""
    groups = _Groups(len(items))
    owner: dict[str, int] = {}
    for index, item in enumerate(items):
        for one in keys(item):
            groups.join(index, owner.setdefault(one, index))
    parts: tuple[list[T], list[T], list[T]] = ([], [], [])
    for index, item in enumerate(items):
        first = keys(items[groups.root(index)])[0]
        mark = hashlib.sha256(f"{seed}\0{first}".encode()).digest()
        place = int.from_bytes(mark[:8], "big") / 2**64
        parts[1 if place < valid_share else 2 if place < valid_share + test_share else 0].append(item)
    if not parts[0] or (valid_share > 0 and not parts[1]):
        together = len({groups.root(index) for index in range(len(items))})
        told = "" if together > len(items) // 2 else f", {together} once those that share a text are put together,"
        raise BadInput(
            f"{len(items)} texts{told} are too few to keep {valid_share:.0%} of them back for validation.",
            fix="Give more text, or a larger --valid-share.",
            code="too_little_text",
        )
    return Split(*parts)


def without(train: Sequence[T], kept: Sequence[T], keys: Callable[[T], Sequence[str]]) -> tuple[list[T], int]:
    """The training items that share no key with what is kept back, and how many did."""
    taken = {one for item in kept for one in keys(item)}
    left = [item for item in train if taken.isdisjoint(keys(item))]
    return left, len(train) - len(left)


def split_text(text: str, valid_share: float, test_share: float) -> Split[str]:
    """The beginning, the part after it, the end; long paragraphs that stood in the beginning are cut from the others.

    A running text is cut in two places and not shuffled: neighbouring lines know too much of each other.
    """
    first = int(len(text) * (1 - valid_share - test_share))
    second = int(len(text) * (1 - test_share))
    train, valid, test = text[:first], text[first:second], text[second:]
    known = {key(one) for one in _paragraphs(train) if len(one) >= _LONG}
    valid, again = _cut(valid, known)
    known |= {key(one) for one in _paragraphs(valid) if len(one) >= _LONG}
    test, more = _cut(test, known)
    return Split(train, valid, test, again + more)


def _paragraphs(text: str) -> list[str]:
    return re.split(r"(?<=\n)\s*\n", text)


def _cut(text: str, known: set[str]) -> tuple[str, int]:
    found = re.split(r"((?<=\n)\s*\n)", text)  # paragraphs at even places, what is between them at odd ones
    again = [index for index in range(0, len(found), 2) if len(found[index]) >= _LONG and key(found[index]) in known]
    for index in again:
        found[index] = ""
    return "".join(found), len(again)


class _Groups:
    """Sets that are joined, each with its first member as its name (Tarjan 1975)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.root(one), self.root(other)))
        self._parent[second] = first
