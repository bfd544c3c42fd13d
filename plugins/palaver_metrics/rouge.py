"""ROUGE-1, 2, L and Lsum (Lin 2004), equal to the rouge-score package, and right in scripts that it cannot read.

rouge-score keeps only `a-z0-9`, so that identical Russian, Hindi or Chinese texts score 0. What is tokenized as it does
(see `palaver_metrics.rougetext`) is equal to it to the last bit, with its stemmer and without.
"""

from __future__ import annotations

from palaver.example import Example
from palaver.metric import Score
from palaver_metrics.base import MEAN, CannotScore, TextMetric
from palaver_metrics.rougetext import Text, Texts

LCS_CELLS = 20_000_000_000
"""Cells of the largest table that is passed through for a length, which takes a second or two."""
LSUM_CELLS = 800_000_000
"""Cells of the largest table that ROUGE-Lsum may keep to trace a subsequence in: one bit each, 100 MB."""
LSUM_STEPS = 8_000_000
"""Steps, over all pairs of lines, that ROUGE-Lsum may take: some seconds."""


class Rouge(TextMetric):
    """A ROUGE F1, 0-1; the best over the references. Those that are given the same `texts` read them once for all."""

    kind = ""
    """As in the signature: `ROUGE-1`, `ROUGE-L`."""

    def __init__(self, texts: Texts | None = None) -> None:
        self._texts = texts or Texts()
        self.family = "rouge-stem" if self._texts.is_stemmed else "rouge"
        if self._texts.is_stemmed:
            self.name, self.title = f"{self.name}-stem", f"{self.title} stem"
        self._signatures: dict[str, tuple[str, str]] = {}

    def score(self, output: str, example: Example) -> Score:
        """The score of one output; without a value, and with the reason, where it cannot be scored."""
        try:
            self._refuse(output, example.references)
            have, golds, how = self._texts.read(output, example.references, example.language)
            if all(gold.is_blank for gold in golds):
                raise CannotScore("empty reference")
            value = max([self.f_measure(gold, have) for gold in golds])
        except CannotScore as reason:
            return self._unscored(str(reason))
        if how not in self._signatures:
            self._signatures[how] = f"{self.kind}|{how}", f"{self.kind}|{how}{MEAN}"
        single, corpus = self._signatures[how]
        return Score(self.name, self.title, value, single, 1, (value,), corpus)

    def f_measure(self, gold: Text, have: Text) -> float:
        """F1 of the output against one reference.

        Raises:
            CannotScore: they are too long.
        """
        raise NotImplementedError


class Rouge1(Rouge):
    """F1 of the words that output and reference share."""

    name, title, kind = "rouge1", "R-1", "ROUGE-1"

    def f_measure(self, gold: Text, have: Text) -> float:
        counts = have.counts
        hits = len(gold.vocabulary & counts.keys())
        for token, count in gold.repeated.items():
            if (found := counts.get(token, 0)) > 1:
                hits += (found if found < count else count) - 1
        return _f1(hits, len(gold.tokens), len(have.tokens))


class Rouge2(Rouge):
    """F1 of the pairs of neighbouring words that output and reference share."""

    name, title, kind = "rouge2", "R-2", "ROUGE-2"

    def f_measure(self, gold: Text, have: Text) -> float:
        return _f1(have.pairs_with(gold), len(gold.tokens) - 1, len(have.tokens) - 1)


class RougeL(Rouge):
    """F1 of the longest common subsequence."""

    name, title, kind = "rougeL", "R-L", "ROUGE-L"

    def f_measure(self, gold: Text, have: Text) -> float:
        if len(gold.tokens) * len(have.tokens) > LCS_CELLS:
            raise CannotScore("skipped: too long for a common subsequence")
        return _f1(have.common_with(gold), len(gold.tokens), len(have.tokens))


class RougeLsum(Rouge):
    """ROUGE-L of a summary: for each line of the reference, the union of its subsequences with the lines of the output.

    As in rouge-score, a newline ends a sentence; nothing else does.
    """

    name, title, kind = "rougeLsum", "R-Lsum", "ROUGE-Lsum"

    def f_measure(self, gold: Text, have: Text) -> float:
        size_gold, size_have = len(gold.tokens), len(have.tokens)
        if len(gold.lines) == len(have.lines) == 1:  # nothing to unite, so the length is enough
            if size_gold * size_have > LCS_CELLS:
                raise CannotScore("skipped: too long for a common subsequence")
            return _f1(have.common_with(gold), size_gold, size_have)
        largest = max(map(len, gold.lines), default=0) * max(map(len, have.lines), default=0)
        found = min(size_gold * len(have.lines), size_have * len(gold.lines))
        if largest > LSUM_CELLS or found + size_have * len(gold.blocks) > LSUM_STEPS:
            raise CannotScore("skipped: too long for ROUGE-Lsum")
        unions = [0] * len(gold.blocks)
        for index, block in enumerate(gold.blocks):
            for line in have.lines:
                unions[index] |= block.traced(line)
        hits = sum([union.bit_count() for union in unions])
        for token, count in gold.repeated.items():
            there = have.counts.get(token, 0)
            if 0 < there < count:  # ROUGE-1.5.5 counts no token of the output twice
                blocks = zip(gold.blocks, unions, strict=True)
                used = sum([(union & block.masks.get(token, 0)).bit_count() for block, union in blocks])
                hits -= max(0, used - there)
        return _f1(hits, size_gold, size_have)


def _f1(hits: int, gold: int, output: int) -> float:
    # rouge-score's order of operations, so that the last bit agrees
    precision, recall = hits / max(output, 1), hits / max(gold, 1)
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
