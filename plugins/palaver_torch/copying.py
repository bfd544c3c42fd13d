"""Guess the next tokens from what was read and written: answers copy from their texts (prompt lookup, Saxena 2023).

The guesses cost time where they are wrong, so they stop where too few of them came true. Nothing here knows models.
"""

from __future__ import annotations

from collections.abc import Sequence

_LENGTHS: tuple[int, ...] = (4, 3, 2)
"""Tokens that must have stood together before; the longest that is found counts."""
_HOPE = 1.2
"""Tokens that a guess is expected to bring before one was tried."""
_WORTH = 0.55
"""Tokens a guess must bring on average: a pass over four tokens takes about half as long again as one over one."""
_MEMORY = 0.15
"""Weight of the newest guess in that average."""
_RETRY = 24
"""Guesses that are left out before one is tried again."""


class Copier:
    """The tokens of one text so far, and what may follow them."""

    def __init__(self, tokens: Sequence[int], most: int) -> None:
        self._tokens: list[int] = []
        self._most = most
        self._after: dict[int, dict[tuple[int, ...], int]] = {length: {} for length in _LENGTHS}
        """Where the text went on after these tokens, the last time."""
        self._brought = dict.fromkeys(_LENGTHS, _HOPE)
        self._left_out = dict.fromkeys(_LENGTHS, 0)
        self._length = 0
        self.push(tokens)

    def push(self, tokens: Sequence[int]) -> None:
        """The text has grown by these."""
        known = self._tokens
        for token in tokens:
            end = len(known)  # what stands before `token` is followed by it
            for length, after in self._after.items():
                if end >= length:
                    after[tuple(known[end - length : end])] = end
            known.append(token)

    def guess(self, most: int) -> list[int]:
        """Up to `most` tokens that may come next; none where guessing does not pay."""
        known, most = self._tokens, min(most, self._most)
        for length in _LENGTHS if most > 0 else ():
            at = self._after[length].get(tuple(known[-length:]))
            if at is None:
                continue
            if self._brought[length] < _WORTH:
                self._left_out[length] += 1
                if self._left_out[length] % _RETRY:
                    continue
            self._length = length
            return known[at : at + most]
        return []

    def note(self, right: int) -> None:
        """So many tokens of the last guess came true."""
        self._brought[self._length] += _MEMORY * (right - self._brought[self._length])
