"""The n-gram language model that a network must beat: interpolated Kneser-Ney, in arrays.

Kneser and Ney 1995; Chen and Goodman 1999, 2.7. Letters: T tokens, V vocabulary, n the order.

The id of an n-gram is its rank among the pairs (id of its first n-1 tokens, last token), so that keys stay below T * V
whatever the order. Its context ends one token earlier, and what it backs off to ends at the same token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
_NOWHERE = -(2**62)
"""A key that no n-gram has."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What is known of the n-grams of one length."""

    keys: Ids
    """Context's id * V + last token, ascending; the rank is the id."""
    counts: NDArray[np.float64]
    """Of the longest n-grams how often they were seen, of shorter ones how many tokens stood before them."""
    totals: NDArray[np.float64]
    """Sum of the counts, by context."""
    kinds: NDArray[np.float64]
    """How many different tokens followed, by context."""
    discount: float


class NgramModel:
    """The probability of each token after the ones before it."""

    def __init__(self, tokens: Ids, vocabulary: int, order: int = 5) -> None:
        """Count `tokens` (T), numbers below `vocabulary`."""
        self._vocabulary = vocabulary
        self._orders: list[_Order] = []
        ids, keys = [np.zeros(len(tokens) + 1, dtype=np.int64)], []
        for _ in range(order):  # ids[n][t + 1]: of the n-gram that ends at t
            found, ranks = np.unique(ids[-1][:-1] * vocabulary + tokens, return_inverse=True)
            keys.append(found)
            ids.append(np.concatenate([[-1], ranks]))
            # Where a text begins an n-gram is shorter; its id is one of its own, since nothing else has that context.
        contexts = [1, *map(len, keys)]
        for n in range(1, order + 1):
            counts = np.bincount(ids[n][1:], minlength=len(keys[n - 1])).astype(np.float64)
            if n < order:
                _, first = np.unique(ids[n + 1][1:], return_index=True)
                counts = np.bincount(ids[n][1:][first], minlength=len(keys[n - 1])).astype(np.float64)
            owners = keys[n - 1] // vocabulary
            once, twice = (int((counts[owners >= 0] == times).sum()) for times in (1, 2))
            self._orders.append(
                _Order(
                    keys[n - 1],
                    counts,
                    _sums(owners, counts, contexts[n - 1]),
                    _sums(owners, (counts > 0).astype(np.float64), contexts[n - 1]),
                    once / (once + 2 * twice) if once else 0.5,  # Ney, Essen and Kneser 1994
                )
            )

    def probabilities(self, tokens: Ids) -> NDArray[np.float64]:
        """Of each token (T) after those before it, in (0, 1)."""
        found = np.full(len(tokens), 1 / self._vocabulary)
        context = np.zeros(len(tokens), dtype=np.int64)
        for one in self._orders:
            wanted = np.where(context >= 0, context * self._vocabulary + tokens, _NOWHERE)
            place = np.minimum(np.searchsorted(one.keys, wanted), len(one.keys) - 1)
            ids = np.where(one.keys[place] == wanted, place, -1)
            totals = np.where(context >= 0, one.totals[context], 0.0)
            counts = np.where(ids >= 0, one.counts[ids], 0.0)
            seen = totals > 0
            safe = np.where(seen, totals, 1.0)
            higher = np.maximum(counts - one.discount, 0) / safe + one.discount * one.kinds[context] / safe * found
            found = np.where(seen, higher, found)
            context = np.concatenate([[-1], ids[:-1]])
        return found

    def loss(self, tokens: Ids) -> float:
        """Nats a token, as cross-entropy."""
        return float(-np.log(self.probabilities(tokens)).mean())


def _sums(owners: Ids, values: NDArray[np.float64], size: int) -> Any:
    keep = owners >= 0
    return np.bincount(owners[keep], weights=values[keep], minlength=size)
