"""Exact match and token F1 of short answers, as SQuAD's official evaluation computes them.

Answers are compared after lower-casing and without punctuation, articles and extra spaces (Rajpurkar et al. 2016); the
best of several references counts. An empty reference means that there is no answer (SQuAD 2.0): an empty output is then
right, and any other wrong. References in a script without spaces are compared by character, as MLQA and XQuAD do.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

from palaver.overlap import word_pattern
from palaver_metrics.base import Measured, TextMetric, mean_of
from palaver_metrics.script import nfc, script_of

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


class AnswerMetric(TextMetric):
    """A comparison of two answers by their tokens, the best over the references."""

    family = "qa"
    maximum = 100.0

    def measure(self, output: str, references: Sequence[str], language: str) -> Measured:
        unspaced = script_of("\n".join(references), language) in ("han", "kana", "unspaced")
        tokens = _characters if unspaced else squad_tokens
        answer = tokens(nfc(output))
        # As SQuAD 2.0: a reference of which nothing is left counts only if it was empty to begin with, or is alone.
        golds = [gold for one in references if (gold := tokens(nfc(one))) or not one.strip()] or [[]]
        value = 100 * max(self.compare(answer, gold) for gold in golds)
        rule = "norm:mlqa|tok:char" if unspaced else "norm:squad|tok:space"
        return mean_of(value, f"{self.title}|{rule}|agg:max|unicode:nfc|v:2.0")

    def compare(self, answer: Sequence[str], gold: Sequence[str]) -> float:
        """The agreement of two answers, 0-1."""
        raise NotImplementedError


class ExactMatch(AnswerMetric):
    """Whether the answer is one of the references, 0 or 100."""

    name = "em"
    title = "EM"

    def compare(self, answer: Sequence[str], gold: Sequence[str]) -> float:
        return float(answer == gold)


class TokenF1(AnswerMetric):
    """F1 of the words that answer and reference share, 0-100."""

    name = "f1"
    title = "F1"

    def compare(self, answer: Sequence[str], gold: Sequence[str]) -> float:
        if not answer or not gold:
            return float(answer == gold)
        same = sum((Counter(answer) & Counter(gold)).values())
        if not same:
            return 0.0
        precision, recall = same / len(answer), same / len(gold)
        return 2 * precision * recall / (precision + recall)


def squad_tokens(text: str) -> list[str]:
    """The words of an answer as SQuAD's `normalize_answer` leaves them."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _characters(text: str) -> list[str]:
    """Characters of unspaced scripts and words of others, without any script's punctuation."""
    kept = "".join(one for one in text.lower() if unicodedata.category(one)[0] != "P")
    words = _ARTICLES.sub(" ", kept)
    return word_pattern(words).findall(words)
