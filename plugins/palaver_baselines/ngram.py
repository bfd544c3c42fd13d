"""A word n-gram language model that learns from the text it is given and goes on with it."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator

ORDER = 3

_TOKEN = re.compile(r"\s*\S+")


class NgramModel:
    """Counts of the n-grams of a text; the next word comes from the longest context that was seen.

    Backing off without discounting is Brants et al. 2007's "stupid backoff", which suits a model this small.
    """

    def __init__(self, text: str, order: int = ORDER) -> None:
        self.tokens = _TOKEN.findall(text)
        self.order = order
        self._next: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for index, token in enumerate(self.tokens):
            for size in range(min(order - 1, index) + 1):
                self._next[tuple(self.tokens[index - size : index])][token] += 1

    def sample(self, generator: random.Random, *, temperature: float = 1.0) -> Iterator[str]:
        """Tokens that go on after the text, without end; the likeliest ones at temperature 0."""
        history = list(self.tokens)
        while self.tokens:
            token = self._draw(history, generator, temperature)
            history.append(token)
            yield token

    def _draw(self, history: list[str], generator: random.Random, temperature: float) -> str:
        for size in range(self.order - 1, -1, -1):
            counts = self._next.get(tuple(history[len(history) - size :]))
            if counts:
                break
        else:
            raise AssertionError("the empty context has seen every token")
        if temperature == 0:
            return min(counts, key=lambda token: (-counts[token], token))
        tokens = sorted(counts)
        return generator.choices(tokens, [counts[token] ** (1 / temperature) for token in tokens])[0]
