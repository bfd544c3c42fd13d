"""Longest common subsequences of tokens, with one big integer as the row of the table.

Hyyrö 2004, "Bit-parallel LCS-length computation revisited": the lengths of the table at a fraction of its time and
memory. Bit j of a row is 0 where the length for j + 1 tokens is 1 more than for j. Several lists share one row as
fields with an empty place between them, which takes the carry of an addition.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

_BITS = tuple(1 << place for place in range(1024))


@dataclass(frozen=True, slots=True)
class Fields:
    """Lists of tokens side by side in one row, prepared once for all that they are compared with."""

    masks: dict[Hashable, int]
    """For each token, the integer whose bits are the places where it stands."""
    fields: tuple[int, ...]
    """For each list, the bits of its places."""
    full: int
    """The bits of all places."""

    def common(self, tokens: Sequence[Hashable]) -> int:
        """The length of the longest subsequence that `tokens` and all the lists in a row have in common."""
        full = row = (1 << self.full.bit_length()) - 1  # an empty place matches nothing
        for match in filter(None, map(self.masks.get, tokens)):
            both = match & row
            row = ((row + both) | (row - both)) & full
        return full.bit_length() - row.bit_count()

    def neighbours(self, tokens: Sequence[Hashable]) -> int:
        """How many pairs of neighbours `tokens` share with the lists in a row; a pair counts as often as both have it.

        No list may be empty.
        """
        gaps = self.full ^ ((1 << self.full.bit_length()) - 1)
        found: list[int] = []
        before = 0
        for here in map(self.masks.get, tokens):
            if here is None:
                before = 0
                continue
            if before:
                after = before << 1
                if gap := after & gaps:
                    after |= gap << 1
                if both := after & here:  # the places of this pair and of no other
                    found.append(both)
            before = here
        counts = dict.fromkeys(found, 0)
        if len(counts) == len(found):
            return len(found)
        for pair in found:
            counts[pair] += 1
        return sum([min(count, pair.bit_count()) for pair, count in counts.items()])

    def traced(self, tokens: Sequence[Hashable]) -> int:
        """The bits of all places that belong to a subsequence with `tokens`, in each field of the one that rouge-score
        finds: going back from the end it takes equal tokens, else goes where the length stays, in `tokens` first.
        """
        full = row = self.full
        get = self.masks.get
        matches, steps, step = [0], [0], 0
        for token in tokens:
            match = get(token, 0)
            if match:
                both = match & row
                row = ((row + both) | (row - both)) & full
                step = full ^ row
            matches.append(match)
            steps.append(step)
        union = 0
        last = len(tokens)
        for low in self.fields:
            at = last
            while step := steps[at] & low:
                # Above the highest step and the highest match nothing is gained: the way leads down to it.
                bit = 1 << ((step | (matches[at] & low)).bit_length() - 1)
                while not matches[at] & bit:
                    at -= 1
                union |= bit
                low &= bit - 1
                at -= 1
        return union


def fields_of(lists: Sequence[Sequence[Hashable]]) -> Fields:
    """The lists side by side."""
    masks: dict[Hashable, int] = {}
    fields: list[int] = []
    start = 0
    for tokens in lists:
        end = start + len(tokens)
        if end < len(_BITS):
            bits = _BITS[start:end]
            here = dict(zip(tokens, bits, strict=True))
            if len(here) < len(tokens):  # the last place of each, to which the others come
                for token, bit in zip(tokens, bits, strict=True):
                    here[token] |= bit
        else:
            here = {token: places << start for token, places in _places(tokens).items()}
        if masks:
            for token in masks.keys() & here.keys():
                here[token] |= masks[token]
            masks.update(here)
        else:
            masks = here
        fields.append(((1 << len(tokens)) - 1) << start)
        start = end + 1
    return Fields(masks, tuple(fields), sum(fields))


def lcs_length(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """How many tokens the longest common subsequence of two lists has."""
    if len(first) < len(second):  # fewer and wider rows are quicker
        first, second = second, first
    return fields_of([first]).common(second)


def _places(tokens: Sequence[Hashable]) -> dict[Hashable, int]:
    """As bytes first: a wide integer for each occurrence would make this quadratic."""
    places: dict[Hashable, list[int]] = {}
    for index, token in enumerate(tokens):
        places.setdefault(token, []).append(index)
    masks: dict[Hashable, int] = {}
    for token, found in places.items():
        bits = bytearray(found[-1] // 8 + 1)
        for index in found:
            bits[index >> 3] |= 1 << (index & 7)
        masks[token] = int.from_bytes(bits, "little")
    return masks
