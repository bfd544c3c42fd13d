"""Which stretches of an output a reference shares, in n-grams, for marking them in colour."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

from palaver.metric import Overlap, Span

UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Tibetan, Myanmar, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
"""Inside of a regular expression's class: scripts written without spaces between words."""


_FIRST_MARK = 0x300
_HAS_MARKS = re.compile(f"[{chr(_FIRST_MARK)}-\U0010ffff]")
_PLAIN = re.compile(r"[^\W_]+")


def word_pattern(text: str | None = None) -> re.Pattern[str]:
    """Matches one word: a run of letters, marks and digits, or one character of a script that sets no spaces.

    The pattern that fits `text`: of Latin letters alone, the same words are found by a pattern that costs nothing to
    make. Without a text, the pattern for all.
    """
    return _PLAIN if text is not None and not _HAS_MARKS.search(text) else _whole_pattern()


@cache
def _whole_pattern() -> re.Pattern[str]:
    """Python's `\\w` has no combining marks, so it would break Hindi at every vowel sign; they are listed here, which
    takes some 30 ms once."""
    marks = _ranges("M")
    tail = f"[{marks}\u200c\u200d]*"  # with the joiners that Persian and Indic words hold inside
    return re.compile(f"(?=[^\\W_])[{UNSPACED}]{tail}|(?:[^\\W_{UNSPACED}]{tail})+")


def mark(output: str, references: Sequence[str]) -> list[Span]:
    """Spans over the words of `output`, in order, each as long as the overlap stays the same.

    A word is "fourgram" if it lies in four or more words in a row that some reference has too, "ngram" for two or
    three, "unigram" if only the word itself occurs, else "none". What stands between two words of one span belongs to
    it; what stands between two spans belongs to none. Case does not count. Without references there are no spans.
    """
    if not references:
        return []
    places, words = _words(output)
    found: list[Overlap] = ["none"] * len(words)
    against = [_words(reference)[1] for reference in references]
    # A match of five contains matches of four, and one of three matches of two: three sizes tell all classes apart.
    sizes: tuple[tuple[int, Overlap], ...] = ((1, "unigram"), (2, "ngram"), (4, "fourgram"))
    for size, overlap in sizes:
        shared = {gram for other in against for gram in _ngrams(other, size)}
        reach = 0
        for start, gram in enumerate(_ngrams(words, size)):
            if gram in shared:
                for index in range(max(start, reach), start + size):
                    found[index] = overlap
                reach = start + size
    return _merge(places, found)


def _merge(places: Sequence[tuple[int, int]], found: Sequence[Overlap]) -> list[Span]:
    spans: list[Span] = []
    first = 0
    for index, overlap in enumerate(found):
        if index + 1 == len(found) or found[index + 1] != overlap:
            spans.append(Span(places[first][0], places[index][1], overlap))
            first = index + 1
    return spans


def _words(text: str) -> tuple[list[tuple[int, int]], list[str]]:
    """Where the words stand, and the words as they are compared."""
    places: list[tuple[int, int]] = []
    words: list[str] = []
    for match in word_pattern(text).finditer(text):
        places.append(match.span())
        word = match.group()
        words.append(word.lower() if word.isascii() else unicodedata.normalize("NFC", word.casefold()))
    return places, words


def _ngrams(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(size)), strict=False)


def _ranges(category: str) -> str:
    """The characters of a Unicode category as ranges for a regular expression, up to the last script in use."""
    ranges: list[list[int]] = []
    for code in range(_FIRST_MARK, 0x1F000):
        if unicodedata.category(chr(code))[0] == category:
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
