"""SQuAD's own scorer: the functions of evaluate-v2.0.py (Rajpurkar et al. 2018), which v1.1's agree with on answers."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence


def normalize_answer(text: str) -> str:
    """Lower text without punctuation, articles and extra white space."""
    kept = "".join(one for one in text.lower() if one not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def compute_exact(gold: str, answer: str) -> int:
    """1 where both are normalised to the same."""
    return int(normalize_answer(gold) == normalize_answer(answer))


def compute_f1(gold: str, answer: str) -> float:
    """F1 of the words, 0-1."""
    wanted, given = normalize_answer(gold).split(), normalize_answer(answer).split()
    same = sum((Counter(wanted) & Counter(given)).values())
    if not wanted or not given:
        return int(wanted == given)
    if same == 0:
        return 0
    precision, recall = 1.0 * same / len(given), 1.0 * same / len(wanted)
    return (2 * precision * recall) / (precision + recall)


def raw_scores(golds: Sequence[str], answer: str) -> tuple[int, float]:
    """Exact match and F1 of one question, as `get_raw_scores` has them."""
    usable = [one for one in golds if normalize_answer(one)] or [""]
    return max(compute_exact(one, answer) for one in usable), max(compute_f1(one, answer) for one in usable)
