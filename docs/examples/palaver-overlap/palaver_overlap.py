"""The metric `overlap`."""

from __future__ import annotations

from collections.abc import Sequence

from palaver import Example, Metric, Score, hookimpl

ONE = "overlap|one:output|words:whitespace|version:0.1.0"
ALL = "overlap|corpus:sums|words:whitespace|version:0.1.0"
"""Numbers of different signatures are never compared."""


class Overlap:
    """Share of a reference's words that the output has, 0 to 1."""

    name: str = "overlap"
    title: str = "Overlap"
    maximum: float = 1.0
    higher_is_better: bool = True
    needs_references: bool = True

    def score(self, output: str, example: Example) -> Score:
        """Against the reference that it fits best."""
        words = set(output.split())
        wanted = [set(text.split()) for text in example.references]
        counts = [(len(words & one), len(one)) for one in wanted if one]
        if not counts:
            return Score(self.name, self.title, None, ONE, error="there is no reference with words")
        found, there = max(counts, key=lambda count: count[0] / count[1])
        return Score(self.name, self.title, found / there, ONE, 1, (found, there), ALL)

    def corpus(self, stats: Sequence[float], n: int, signature: str) -> Score:
        """Of all words of all references, the share that was found: a sum of counts, not a mean of scores."""
        found, there = stats
        return Score(self.name, self.title, found / there, signature, n, tuple(stats))


@hookimpl
def palaver_metrics() -> list[Metric]:
    return [Overlap()]
