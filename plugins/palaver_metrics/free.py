"""Numbers for free generation, which need no reference: length, distinct words, repetition."""

from __future__ import annotations

from collections.abc import Sequence

from palaver.overlap import word_pattern
from palaver_metrics.base import CannotScore, Measured, TextMetric, mean_of
from palaver_metrics.script import nfc

_WORDS = "tok:unicode|case:lc|v:1"


class FreeMetric(TextMetric):
    """A metric of the output alone. Its corpus score is the mean over outputs, as distinct words cannot be summed."""

    needs_references = False


class Length(FreeMetric):
    """How many words the output has; characters where a script sets no spaces. There is no best: `maximum` is 0."""

    name = family = "length"
    title = "words"
    maximum = 0.0

    def measure(self, output: str, references: Sequence[str], language: str) -> Measured:
        return mean_of(float(len(_words(output))), f"words|{_WORDS}")


class Distinct(FreeMetric):
    """distinct-n (Li et al. 2016): different n-grams among all n-grams of an output, 0-1."""

    def __init__(self, order: int) -> None:
        self.order = order
        self.name = self.family = f"distinct{order}"
        self.title = f"dist-{order}"

    def measure(self, output: str, references: Sequence[str], language: str) -> Measured:
        return mean_of(_distinct(_words(output), self.order), f"distinct-{self.order}|{_WORDS}")


class Repetition(FreeMetric):
    """seq-rep-4 (Welleck et al. 2020): the share of 4-grams that stood in the output before, 0-1."""

    name = family = "repetition"
    title = "rep"
    maximum = 0.0
    higher_is_better = False

    def measure(self, output: str, references: Sequence[str], language: str) -> Measured:
        return mean_of(1 - _distinct(_words(output), 4), f"seq-rep-4|{_WORDS}")


def _words(text: str) -> list[str]:
    folded = nfc(text).casefold()
    return word_pattern(folded).findall(folded)


def _distinct(words: Sequence[str], order: int) -> float:
    total = len(words) - order + 1
    if total < 1:
        raise CannotScore("no words" if order == 1 else f"fewer than {order} words")
    return len(set(zip(*(words[start:] for start in range(order)), strict=False))) / total
