"""ROUGE-1, 2, L and Lsum (Lin 2004), equal to the rouge-score package, and right in scripts that it cannot read.

rouge-score keeps only `a-z0-9`, so that identical Russian, Hindi or Chinese texts score 0. References in Latin script
are tokenized as it does (`tok:rouge-score`, equal to it to the last bit, without stemming); those mainly in another
script into Unicode words, or characters where the script sets no spaces (`tok:unicode`); those without any letter or
digit into their characters (`tok:char`). The signature says which. All texts are normalised to NFC first, which changes
nothing in composed text.

The longest common subsequence is found with one big integer as the row of the table (Hyyrö 2004, "Bit-parallel
LCS-length computation revisited"): the same lengths at a fraction of the time and memory.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from palaver.overlap import word_pattern
from palaver_metrics.base import CannotScore, Measured, TextMetric, mean_of
from palaver_metrics.script import nfc, script_of

LCS_CELLS = 20_000_000_000
"""Cells of the largest table that is passed through for a length, which takes a second or two."""
LSUM_CELLS = 800_000_000
"""Cells of the largest table that ROUGE-Lsum may keep to trace a subsequence in: one bit each, 100 MB."""
LSUM_ROWS = 4_000_000
"""Rows, over all pairs of lines, that ROUGE-Lsum may compute: some seconds."""

_LATIN_WORD = re.compile("[a-z0-9]+")


class Rouge(TextMetric):
    """A ROUGE F1, 0-1; the best over the references."""

    family = "rouge"
    kind = ""
    """As in the signature: `ROUGE-1`, `ROUGE-L`."""

    def measure(self, output: str, references: Sequence[str], language: str) -> Measured:
        golds = [nfc(reference) for reference in references]
        tokenize, signature = _tokenizer("\n".join(golds), language)
        if not any(text.strip() for text in golds):
            raise CannotScore("empty reference")
        output = nfc(output)
        value = max(self.f_measure(gold, output, tokenize) for gold in golds)
        return mean_of(value, f"{self.kind}|{signature}")

    def f_measure(self, gold: str, output: str, tokenize: Callable[[str], list[str]]) -> float:
        """F1 of the output against one reference."""
        return self.compare(tokenize(gold), tokenize(output))

    def compare(self, gold: list[str], output: list[str]) -> float:
        """F1 of two lists of tokens."""
        raise NotImplementedError


class RougeN(Rouge):
    """F1 of the n-grams that output and reference share."""

    def __init__(self, order: int) -> None:
        self.order = order
        self.name, self.title, self.kind = f"rouge{order}", f"R-{order}", f"ROUGE-{order}"

    def compare(self, gold: list[str], output: list[str]) -> float:
        have = Counter(_ngrams(output, self.order))
        want = Counter(_ngrams(gold, self.order))
        hits = sum(min(count, have[gram]) for gram, count in want.items() if gram in have)
        return _f1(hits, len(gold) - self.order + 1, len(output) - self.order + 1)


class RougeL(Rouge):
    """F1 of the longest common subsequence."""

    name, title, kind = "rougeL", "R-L", "ROUGE-L"

    def compare(self, gold: list[str], output: list[str]) -> float:
        return _f1(_bounded_lcs(gold, output), len(gold), len(output))


class RougeLsum(Rouge):
    """ROUGE-L of a summary: for each line of the reference, the union of its subsequences with the lines of the output.

    As in rouge-score, a newline ends a sentence; nothing else does.
    """

    name, title, kind = "rougeLsum", "R-Lsum", "ROUGE-Lsum"

    def f_measure(self, gold: str, output: str, tokenize: Callable[[str], list[str]]) -> float:
        want, have = ([tokenize(line) for line in text.split("\n") if line] for text in (gold, output))
        size_want, size_have = (sum(map(len, lines)) for lines in (want, have))
        if len(want) == len(have) == 1:  # nothing to unite, so the length is enough
            return _f1(_bounded_lcs(want[0], have[0]), size_want, size_have)
        largest = max(map(len, want), default=0) * max(map(len, have), default=0)
        if largest > LSUM_CELLS or size_want * len(have) > LSUM_ROWS:
            raise CannotScore("skipped: too long for ROUGE-Lsum")
        left_want = Counter(token for line in want for token in line)
        left_have = Counter(token for line in have for token in line)
        masks = [_positions(line) for line in have]
        hits = 0
        for line in want:
            union = {
                index for other, mask in zip(have, masks, strict=True) for index in _lcs_indices(line, other, mask)
            }
            for index in sorted(union):
                token = line[index]
                if left_want[token] > 0 and left_have[token] > 0:  # ROUGE-1.5.5 counts no token twice
                    hits += 1
                    left_want[token] -= 1
                    left_have[token] -= 1
        return _f1(hits, size_want, size_have)


def lcs_length(first: Sequence[str], second: Sequence[str]) -> int:
    """How many tokens the longest common subsequence of two lists has."""
    if not first or not second:
        return 0
    if len(first) < len(second):  # fewer and wider rows are quicker
        first, second = second, first
    positions = _positions(first)
    full = row = (1 << len(first)) - 1
    for token in second:
        match = row & positions.get(token, 0)
        if match:
            row = ((row + match) | (row - match)) & full
    return len(first) - row.bit_count()


def _bounded_lcs(gold: Sequence[str], output: Sequence[str]) -> int:
    if len(gold) * len(output) > LCS_CELLS:
        raise CannotScore("skipped: too long for a common subsequence")
    return lcs_length(gold, output)


def _lcs_indices(gold: Sequence[str], output: Sequence[str], positions: dict[str, int]) -> list[int]:
    """The places in `gold` of the one longest common subsequence that rouge-score's backtracking finds.

    Row i holds the table's steps: bit j is 0 where the length for i gold and j + 1 output tokens is 1 more than for j.
    """
    full = row = (1 << len(output)) - 1
    rows = [row]
    for token in gold:
        match = row & positions.get(token, 0)
        row = ((row + match) | (row - match)) & full if match else row
        rows.append(row)
    found: list[int] = []
    i, j = len(gold), len(output)
    here = _prefix(rows[i], j)  # the table at (i, j), and above it
    above = _prefix(rows[i - 1], j) if i else 0
    while here:  # where it is 0 no token is left to find
        if gold[i - 1] == output[j - 1]:
            found.append(i - 1)
            i, j = i - 1, j - 1
            here = here - 1
            above = _prefix(rows[i - 1], j) if i else 0
            continue
        left = here - 1 + (rows[i] >> (j - 1) & 1)
        if left > above:
            j -= 1
            here, above = left, above - 1 + (rows[i - 1] >> j & 1)
        else:
            i -= 1
            here = above
            above = _prefix(rows[i - 1], j) if i else 0
    return found


def _prefix(row: int, length: int) -> int:
    """The table's value after `length` tokens: the steps, which are zeros, among the lowest bits."""
    return length - (row & ((1 << length) - 1)).bit_count()


def _positions(tokens: Sequence[str]) -> dict[str, int]:
    """For each token, the integer whose bits are the places where it stands."""
    masks: dict[str, int] = {}
    if len(tokens) < 1024:
        bit = 1
        for token in tokens:
            masks[token] = masks.get(token, 0) | bit
            bit <<= 1
        return masks
    places: dict[str, list[int]] = {}
    for index, token in enumerate(tokens):
        places.setdefault(token, []).append(index)
    for token, found in places.items():  # in bytes: a wide integer per occurrence would make this quadratic
        bits = bytearray(found[-1] // 8 + 1)
        for index in found:
            bits[index >> 3] |= 1 << (index & 7)
        masks[token] = int.from_bytes(bits, "little")
    return masks


def _f1(hits: int, gold: int, output: int) -> float:
    # rouge-score's order of operations, so that the last bit agrees
    precision, recall = hits / max(output, 1), hits / max(gold, 1)
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _ngrams(tokens: list[str], order: int) -> Sequence[str] | zip[tuple[str, ...]]:
    return tokens if order == 1 else zip(*(tokens[start:] for start in range(order)), strict=False)


def _tokenizer(references: str, language: str) -> tuple[Callable[[str], list[str]], str]:
    """How to tokenize, and the part of the signature that says so."""
    if script_of(references, language) in ("latin", "none") and _latin(references):
        return _latin, "tok:rouge-score|stem:no|agg:max-f|unicode:nfc|v:0.1.2"
    name, tokenize = ("unicode", _words) if word_pattern().search(references) else ("char", _characters)
    return tokenize, f"tok:{name}|stem:no|agg:max-f|unicode:nfc|v:1"


def _latin(text: str) -> list[str]:
    return _LATIN_WORD.findall(text.lower())


def _words(text: str) -> list[str]:
    return word_pattern().findall(text.casefold())


def _characters(text: str) -> list[str]:
    return list("".join(text.split()))
