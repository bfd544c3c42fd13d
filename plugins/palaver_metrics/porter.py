"""The Porter stemmer as rouge-score applies it: `relational` and `relate` both become `relat`.

Porter 1980, "An algorithm for suffix stripping", with the departures of NLTK, whose stemmer rouge-score calls: a short
list of irregular words, `y` turned to `i` after a consonant only, and some rules more. The stems are equal to NLTK's.
"""

from __future__ import annotations

import re

_IRREGULAR = {
    "skies": "sky", "sky": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news", "inning": "inning",
    "innings": "inning", "outing": "outing", "outings": "outing", "canning": "canning", "cannings": "canning",
    "howe": "howe", "proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}  # fmt: skip

# Rules by the ending, the longer before the shorter where one ends the other: only the first that fits is tried.
_STEP_2 = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"),
    ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"),
    ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"),
    ("iviti", "ive"), ("biliti", "ble"), ("fulli", "ful"),
)  # fmt: skip
_STEP_3 = (
    ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""),
)  # fmt: skip
_STEP_4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
)  # fmt: skip

_LONGEST_TABLE = 200_000
"""Stems that are kept; a language's words come again and again, and long numbers do not."""


class Stemmer(dict[bytes, bytes]):
    """Gives the stem of a word of ASCII letters and digits by `stemmer[word]`, and computes each but once."""

    def __missing__(self, word: bytes) -> bytes:
        found = stem(word.decode()).encode()
        if len(self) < _LONGEST_TABLE:
            self[word] = found
        return found


def stem(word: str) -> str:
    """The stem of a lower-case word; words of up to three letters are their own, as rouge-score has it."""
    if len(word) < 4:
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    word = _plural(word)
    word = _past(word)
    if word.endswith("y") and len(word) > 2 and _shape(word[:-1])[-1] == "c":
        word = word[:-1] + "i"
    word = _step_2(word)
    word = _replaced(word, _STEP_3)
    word = _step_4(word)
    return _tidy(word)


def _shape(word: str) -> str:
    """`c` for each consonant and `v` for each vowel: a y after a consonant is a vowel, any other a consonant."""
    found: list[str] = []
    for letter in word:
        is_vowel = letter in "aeiou" or (letter == "y" and bool(found) and found[-1] == "c")
        found.append("v" if is_vowel else "c")
    return "".join(found)


def _measure(word: str) -> int:
    """Porter's m: how often consonants follow vowels."""
    return _shape(word).count("vc")


def _ends_short(word: str) -> bool:
    """Porter's *o, a short syllable at the end; a vowel and a consonant alone are one too."""
    shape = _shape(word)
    return (shape.endswith("cvc") and word[-1] not in "wxy") or shape == "vc"


def _plural(word: str) -> str:
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word if word.endswith("ss") or not word.endswith("s") else word[:-1]


def _past(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    ending = re.search("(ed|ing)$", word)
    if ending is None or "v" not in _shape(word[: ending.start()]):
        return word
    word = word[: ending.start()]
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if len(word) > 1 and word[-1] == word[-2] and _shape(word)[-1] == "c":
        return word if word[-1] in "lsz" else word[:-1]
    return word + "e" if _measure(word) == 1 and _ends_short(word) else word


def _replaced(word: str, rules: tuple[tuple[str, str], ...]) -> str:
    for ending, instead in rules:
        if word.endswith(ending):
            left = word[: -len(ending)]
            return left + instead if _measure(left) > 0 else word
    return word


def _step_2(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]) > 0:
        return _step_2(word[:-2])
    if word.endswith("logi"):  # the l counts as part of what is left: geology as well as philology
        return word[:-1] if _measure(word[:-3]) > 0 else word
    return _replaced(word, _STEP_2)


def _step_4(word: str) -> str:
    for ending in _STEP_4:
        if word.endswith(ending):
            left = word[: -len(ending)]
            return left if _measure(left) > 1 and (ending != "ion" or left[-1] in "st") else word
    return word


def _tidy(word: str) -> str:
    if word.endswith("e"):
        left = word[:-1]
        measure = _measure(left)
        if measure > 1 or (measure == 1 and not _ends_short(left)):
            word = left
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
