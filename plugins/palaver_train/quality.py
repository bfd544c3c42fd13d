"""What is wrong with a corpus, counted: gaps, copies, odd lengths, foreign lines, broken characters; and its words.

A corpus is its texts in order, or its pairs; nothing here reads files or prints.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from palaver import guess_language, stop_words
from palaver_train.split import key

_WORD = re.compile(r"\w+")
_STEPS = (100, 1_000, 5_000, 10_000, 20_000, 50_000)
"""Sizes of vocabulary whose coverage is told."""
_RATIO = 2.0
"""Standard deviations, of the logarithm, from which on the lengths of a pair are odd."""
_SHARED = 8
"""Words in a row that two texts do not share by chance; GPT-3 used 13 on much longer ones (Brown et al. 2020, C)."""


@dataclass(frozen=True, slots=True)
class Found:
    """How often something was found, and where first."""

    count: int = 0
    first: int | None = None
    """Line, from 1."""

    @staticmethod
    def at(lines: Iterable[int]) -> Found:
        """The lines where something is, in order."""
        found = list(lines)
        return Found(len(found), found[0] if found else None)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Words of the texts that are not empty."""

    least: int
    median: int
    most_of_all: int
    """19 of 20 are no longer."""
    most: int


@dataclass(frozen=True, slots=True)
class Side:
    """One language of a corpus."""

    language: str
    """Guessed, as ISO 639-1; empty where nothing speaks for one."""
    characters: int
    lengths: Lengths | None
    empty: Found
    foreign: Found
    """Lines that seem to be in another language than most."""
    broken: Found
    """Lines with U+FFFD, which stands for bytes that once could not be read."""
    control: Found
    """Lines with control characters other than tab."""
    unnormalized: Found
    """Lines that NFC changes: equal words that are written in two ways."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Texts that stand there more than once."""

    exact: Found
    near: Found
    """The same but for case and spaces, the exact ones not counted."""


@dataclass(frozen=True, slots=True)
class PairFaults:
    """What only pairs can have."""

    copied: Found
    """Source and target are the same text."""
    one_sided: Found
    """One side is empty, the other is not."""
    odd_ratio: Found
    """One side is far longer than the other, compared with the rest of the corpus."""
    ratio: float
    """Words of a target for a word of its source, the geometric mean."""
    ambiguous: Found
    """A source that stood there before with another target."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a side and how they are used."""

    running: int
    kinds: int
    once: int
    """Kinds that stand there a single time."""
    without_stop_words: int
    """Running words that are no stop words of the language."""
    subjects: tuple[str, ...]
    """The commonest words that are no stop words: what the corpus is about."""
    coverage: tuple[tuple[int, float], ...]
    """For sizes of vocabulary, the share of running words that are in it, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a held-out part shares with the training part."""

    same: Found
    """Texts that are there, case and spaces aside."""
    near: Found
    """Texts of eight words or more that share a run of eight with the training part, the same ones not counted."""
    unknown_words: float
    """Share of running words that the training part does not have, 0 to 1."""
    unknown_kinds: float


def side(texts: Sequence[str], lines: Sequence[int]) -> Side:
    """One language of a corpus; `lines` tells where each text stands."""
    language = guess_language(" ".join(texts[:: max(1, len(texts) // 200)]))
    lengths = sorted(len(_WORD.findall(text)) for text in texts if text.strip())
    at = list(zip(lines, texts, strict=True))
    return Side(
        language,
        sum(map(len, texts)),
        _lengths(lengths) if lengths else None,
        Found.at(line for line, text in at if not text.strip()),
        Found.at(line for line, text in at if language and _is_foreign(text, language)),
        Found.at(line for line, text in at if "\ufffd" in text),
        Found.at(line for line, text in at if any((ch < " " and ch != "\t") or "\x7f" <= ch < "\xa0" for ch in text)),
        Found.at(line for line, text in at if not unicodedata.is_normalized("NFC", text)),
    )


def copies(texts: Sequence[str], lines: Sequence[int]) -> Copies:
    """What stands there again; empty texts are no copies."""
    seen, seen_near = set[str](), set[str]()
    exact, near = [], []
    for line, text in zip(lines, texts, strict=True):
        if not text.strip():
            continue
        if text in seen:
            exact.append(line)
        elif key(text) in seen_near:
            near.append(line)
        seen.add(text)
        seen_near.add(key(text))
    return Copies(Found.at(exact), Found.at(near))


def pair_faults(pairs: Sequence[tuple[str, str]], lines: Sequence[int]) -> PairFaults:
    """Faults of pairs. A ratio is odd where its logarithm is two standard deviations from the mean, and twice it."""
    at = list(zip(lines, pairs, strict=True))
    whole = [(line, *pair) for line, pair in at if pair[0].strip() and pair[1].strip()]
    ratios = [math.log((1 + len(_WORD.findall(two))) / (1 + len(_WORD.findall(one)))) for _, one, two in whole]
    mean = sum(ratios) / len(ratios) if ratios else 0.0
    spread = math.sqrt(sum((one - mean) ** 2 for one in ratios) / len(ratios)) if ratios else 0.0
    limit = max(_RATIO * spread, math.log(2))
    targets: dict[str, str] = {}
    ambiguous = []
    for line, one, two in whole:
        if targets.setdefault(key(one), key(two)) != key(two):
            ambiguous.append(line)
    return PairFaults(
        Found.at(line for line, one, two in whole if key(one) == key(two)),
        Found.at(line for line, (one, two) in at if bool(one.strip()) != bool(two.strip())),
        Found.at(line for (line, _, _), one in zip(whole, ratios, strict=True) if abs(one - mean) > limit),
        math.exp(mean),
        Found.at(ambiguous),
    )


def word_use(texts: Sequence[str], language: str) -> Words:
    """The words of a side, in lower case."""
    counts = Counter(word for text in texts for word in _WORD.findall(text.casefold()))
    running, dropped = counts.total(), stop_words(language)
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    reached, coverage = 0, []
    for rank, (_, times) in enumerate(ranked, start=1):
        reached += times
        if rank in _STEPS and rank < len(ranked):
            coverage.append((rank, reached / running))
    subjects = [word for word, _ in ranked if word not in dropped and not word.isdigit() and len(word) > 1]
    return Words(
        running,
        len(counts),
        sum(times == 1 for times in counts.values()),
        sum(times for word, times in counts.items() if word not in dropped),
        tuple(subjects[:8]),
        tuple(coverage),
    )


def overlap(train: Sequence[str], held_out: Sequence[str], lines: Sequence[int]) -> Overlap:
    """What is known of the held-out texts before a model has learnt anything."""
    known = {key(text) for text in train if text.strip()}
    vocabulary: set[str] = set()
    runs: set[int] = set()
    for text in train:
        words = _WORD.findall(text.casefold())
        vocabulary.update(words)
        runs.update(_runs(words))
    counts = Counter(word for text in held_out for word in _WORD.findall(text.casefold()))
    unknown = {word: times for word, times in counts.items() if word not in vocabulary}
    same, near = [], []
    for line, text in zip(lines, held_out, strict=True):
        if not text.strip():
            continue
        if key(text) in known:
            same.append(line)
        elif not runs.isdisjoint(_runs(_WORD.findall(text.casefold()))):
            near.append(line)
    return Overlap(
        Found.at(same),
        Found.at(near),
        sum(unknown.values()) / (counts.total() or 1),
        len(unknown) / (len(counts) or 1),
    )


def _runs(words: Sequence[str]) -> Iterable[int]:
    """Hashes of eight words in a row: a set of them needs an eighth of the memory of the words."""
    return (hash(tuple(words[at : at + _SHARED])) for at in range(len(words) - _SHARED + 1))


def _lengths(ordered: Sequence[int]) -> Lengths:
    count = len(ordered)
    return Lengths(ordered[0], ordered[count // 2], ordered[min(count - 1, count * 19 // 20)], ordered[-1])


def _is_foreign(text: str, language: str) -> bool:
    """Another script, or thrice as many of the commonest words of another language as of this one, and two of them."""
    found = guess_language(text)
    if found in ("", language):
        return False
    words = _WORD.findall(text.casefold())
    if not stop_words(found):  # told by its script
        return True
    theirs, ours = (sum(word in stop_words(one) for word in words) for one in (found, language))
    return theirs >= max(2, 3 * ours)
