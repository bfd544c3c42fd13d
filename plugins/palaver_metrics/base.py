"""What all metrics here share: what is refused before anything is measured, and how numbers become a Score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from palaver.example import Example
from palaver.metric import Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEAN = "|corpus:mean"
"""Ends the signature of a corpus score that is the mean of its examples' scores."""


class CannotScore(Exception):
    """This output has no score, for the reason that the message gives."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a metric found for one output."""

    value: float
    signature: str
    stats: tuple[float, ...]
    corpus_signature: str


class TextMetric:
    """A metric of texts; a subclass says how it measures."""

    name = ""
    title = ""
    family = ""
    """Name of the group that a task may ask for instead: `rouge` for the four ROUGE scores."""
    maximum = 1.0
    higher_is_better = True
    needs_references = True
    longest = 1_000_000
    """Characters of one text beyond which nothing is measured, so that a score takes no more than seconds."""

    def score(self, output: str, example: Example) -> Score:
        """The score of one output; without a value, and with the reason, where it cannot be scored."""
        references = example.references if self.needs_references else ()
        try:
            self._refuse(output, references)
            found = self.measure(output, references, example.language)
        except CannotScore as reason:
            return self._unscored(str(reason))
        return Score(
            self.name,
            self.title,
            found.value,
            found.signature,
            stats=found.stats,
            corpus_signature=found.corpus_signature,
        )

    def measure(self, output: str, references: Sequence[str], language: str) -> Measured:
        """The number and its statistics; `references` has at least one unless the metric needs none.

        Raises:
            CannotScore: these texts have no score.
        """
        raise NotImplementedError(f"{type(self).__name__} has no measure()")

    def corpus(self, stats: Sequence[float], n: int, signature: str) -> Score:
        """The mean over `n` outputs, for metrics whose one statistic is their value."""
        if not n:
            return self._unscored("no scored outputs")
        return Score(
            self.name, self.title, stats[0] / n, signature, n=n, stats=tuple(stats), corpus_signature=signature
        )

    def corpus_values(self, stats: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        """The values (T,) that `corpus` gives for each of T sums of statistics (T, K) over `n` outputs."""
        return stats[:, 0] / n

    def _refuse(self, output: str, references: Sequence[str]) -> None:
        if self.needs_references and not references:
            raise CannotScore("no reference")
        sizes = [len(output), *map(len, references)]
        # Two texts of full length set the cost that was measured; many long references together may not exceed it.
        if max(sizes) > self.longest or sum(sizes) > 2 * self.longest:
            raise CannotScore(f"skipped: longer than {self.longest:,} characters")

    def _unscored(self, reason: str) -> Score:
        return Score(self.name, self.title, None, self.title, n=0 if reason == "no scored outputs" else 1, error=reason)


def mean_of(value: float, signature: str) -> Measured:
    """A measurement whose corpus score is the mean."""
    return Measured(value, signature, (value,), signature + MEAN)
