"""Numbers for free generation, which need no reference: length, distinct words, repetition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from palaver.example import Example
from palaver.metric import LOGPROB, MODEL, SCORED_TOKENS, Score
from palaver.overlap import word_pattern
from palaver_metrics.base import CannotScore, Measured, TextMetric, mean_of
from palaver_metrics.script import nfc

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


class Perplexity(FreeMetric):
    """How surprised the model was by its own answer: exp of the mean negative log-probability of its tokens.

    It tells a sure answer from a groping one, not a good one from a bad one, and compares within one model only.
    """

    name = family = "perplexity"
    title = "PPL"
    higher_is_better = False
    needs_logprobs = True
    """Left out where the model gives none."""

    def score(self, output: str, example: Example) -> Score:
        """The score of one output, whose statistics are the sum of its log-probabilities and their number."""
        told = example.metadata
        try:
            logprob, tokens = float(told[LOGPROB]), int(told[SCORED_TOKENS])
            value = math.exp(-logprob / tokens)
        except (KeyError, ValueError, ZeroDivisionError, OverflowError):
            return self._unscored("the model gives no log-probabilities")
        signature = f"ppl|of:own-output|base:e|model:{told.get(MODEL, '')[:12]}|v:1"
        stats = (logprob, float(tokens))
        return Score(self.name, self.title, value, signature, stats=stats, corpus_signature=f"{signature}|corpus:sum")

    def corpus(self, stats: Sequence[float], n: int, signature: str) -> Score:
        """The perplexity of all tokens of `n` outputs together."""
        if not n or not stats[1]:
            return self._unscored("no scored outputs")
        value = math.exp(-stats[0] / stats[1])
        return Score(self.name, self.title, value, signature, n=n, stats=tuple(stats), corpus_signature=signature)

    def corpus_values(self, stats: NDArray[np.float64], n: int) -> NDArray[np.float64]:
        """The same for each of T sums of statistics (T, 2)."""
        import numpy as np

        found: NDArray[np.float64] = np.exp(-stats[:, 0] / stats[:, 1])
        return found


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
