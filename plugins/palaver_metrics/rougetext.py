"""Texts as ROUGE sees them: tokenized once, counted once, whichever of its scores are asked for.

References in Latin script are tokenized as rouge-score does (`tok:rouge-score`); those mainly in another script into
Unicode words, or characters where the script sets no spaces (`tok:unicode`); those without any letter or digit into
their characters (`tok:char`). The signature says which. All texts are normalised to NFC first, which changes nothing in
composed text.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, KeysView, Sequence
from functools import cached_property
from itertools import chain
from threading import Lock

from palaver.overlap import word_pattern
from palaver_metrics.porter import Stemmer
from palaver_metrics.script import nfc, script_of
from palaver_metrics.subsequence import Fields, fields_of

Tokens = list[Hashable]
Tokenize = Callable[[str], list[Tokens]]
"""The tokens of each line of a text that has any character."""

_BLOCK = 512
"""Places of a row from which on more lines do not share it: a wide integer costs by its width."""

_KEPT_CHARACTERS = 4_000_000
"""Of references whose tokens are kept for the next system that is scored against them."""

_LATIN_ANY = re.compile("[a-z0-9]")

# As str.lower() and the pattern [a-z0-9]+ do it; the newline stays.
_LATIN = bytes(
    code if chr(code) in "\n0123456789abcdefghijklmnopqrstuvwxyz" else code + 32 if 65 <= code <= 90 else 32
    for code in range(256)
)


class Text:
    """A text in tokens, with what is counted of it on demand."""

    def __init__(self, lines: list[Tokens], *, is_blank: bool = False) -> None:
        self.is_blank = is_blank
        self.lines = list(filter(None, lines))
        """Without the empty ones. A newline ends a sentence, and nothing else does, as in rouge-score."""
        self.tokens: Tokens = lines[0] if len(lines) == 1 else list(chain.from_iterable(lines))
        self._is_short = len(self.tokens) < _BLOCK
        """Its places fit into one row, in which more than subsequences can be counted."""
        self._common: tuple[Text | None, int] = (None, 0)

    def common_with(self, gold: Text) -> int:
        """The length of the longest subsequence in common; computed once for both scores that ask for it."""
        known = self._common
        if known[0] is not gold:
            known = self._common = (gold, gold.whole.common(self.tokens))
        return known[1]

    @cached_property
    def counts(self) -> Counter[Hashable]:
        """How often each token occurs."""
        return Counter(self.tokens)

    @property
    def vocabulary(self) -> KeysView[Hashable]:
        """Each token once."""
        return self.whole.masks.keys() if self._is_short else self.counts.keys()

    @cached_property
    def repeated(self) -> dict[Hashable, int]:
        """The tokens that occur more than once, and how often."""
        if self._is_short:
            return {token: mask.bit_count() for token, mask in self.whole.masks.items() if mask & (mask - 1)}
        return {token: count for token, count in self.counts.items() if count > 1}

    def pairs_with(self, gold: Text) -> int:
        """How many pairs of neighbours they share."""
        if gold._is_short:
            return gold.whole.neighbours(self.tokens)
        counts = [Counter(zip(one.tokens, one.tokens[1:], strict=False)) for one in (self, gold)]
        return sum(min(count, counts[1].get(pair, 0)) for pair, count in counts[0].items())

    @cached_property
    def whole(self) -> Fields:
        """For subsequences of the whole text."""
        blocks = self.blocks
        return blocks[0] if len(blocks) == 1 else fields_of([self.tokens])

    @cached_property
    def blocks(self) -> list[Fields]:
        """For subsequences of its lines, some lines in each."""
        groups: list[list[Tokens]] = [] if self.lines else [[]]
        width = _BLOCK
        for line in self.lines:
            if width >= _BLOCK:
                groups.append([])
                width = 0
            groups[-1].append(line)
            width += len(line)
        return [fields_of(group) for group in groups]


class Texts:
    """What the scores of one family share: the texts that were tokenized last."""

    def __init__(self, *, is_stemmed: bool = False) -> None:
        self.is_stemmed = is_stemmed
        self._stems = Stemmer()
        self._references: OrderedDict[tuple[str, str], Text] = OrderedDict()
        self._characters = 0
        self._output: tuple[str, str, Text] = ("", "", Text([]))
        self._chosen: tuple[tuple[str, ...], str, tuple[Tokenize, str, tuple[Text, ...]]] | None = None
        self._lock = Lock()

    def read(self, output: str, references: Sequence[str], language: str) -> tuple[Text, tuple[Text, ...], str]:
        """The output and the references in tokens, and the part of the signature that says how they were made."""
        golds = tuple(references)
        chosen = self._chosen
        if chosen is None or chosen[0] != golds or chosen[1] != language:
            chosen = self._chosen = (golds, language, self._read_references(golds, language))
        tokenize, signature, texts = chosen[2]
        known = self._output
        if known[0] != output or known[1] != signature:
            known = self._output = (output, signature, Text(tokenize(nfc(output))))
        return known[2], texts, signature

    def _read_references(self, golds: tuple[str, ...], language: str) -> tuple[Tokenize, str, tuple[Text, ...]]:
        composed = [nfc(gold) for gold in golds]
        tokenize, signature = self._tokenizer("\n".join(composed), language)
        return tokenize, signature, tuple(self._reference(gold, tokenize, signature) for gold in composed)

    def _reference(self, gold: str, tokenize: Tokenize, signature: str) -> Text:
        key = (signature, gold)
        with self._lock:
            if (found := self._references.get(key)) is not None:
                self._references.move_to_end(key)
                return found
        found = Text(tokenize(gold), is_blank=not gold.strip())
        with self._lock:
            if key not in self._references:
                self._references[key] = found
                self._characters += len(gold)
            while self._characters > _KEPT_CHARACTERS:
                (_, oldest), _ = self._references.popitem(last=False)
                self._characters -= len(oldest)
        return found

    def _tokenizer(self, references: str, language: str) -> tuple[Tokenize, str]:
        if script_of(references, language) in ("latin", "none") and _LATIN_ANY.search(references.lower()):
            tokenize, stem = (self._stemmed, "porter") if self.is_stemmed else (_latin, "no")
            return tokenize, f"tok:rouge-score|stem:{stem}|agg:max-f|unicode:nfc|v:0.1.2"
        # Porter's stems are those of English: other scripts stay as they are, and the signature says so.
        name, found = ("unicode", _words) if word_pattern(references).search(references) else ("char", _characters)
        return found, f"tok:{name}|stem:no|agg:max-f|unicode:nfc|v:1"

    def _stemmed(self, text: str) -> list[Tokens]:
        return [list(map(self._stems.__getitem__, line)) for line in _latin_bytes(text)]


def _latin_bytes(text: str) -> list[list[bytes]]:
    if not text.isascii():
        text = text.lower()  # the sign of Kelvin becomes a k
    return [line.split() for line in text.encode("ascii", "replace").translate(_LATIN).split(b"\n") if line]


def _latin(text: str) -> list[Tokens]:
    return _latin_bytes(text)  # type: ignore[return-value]


def _words(text: str) -> list[Tokens]:
    find = word_pattern().findall
    return [find(line.casefold()) for line in text.split("\n") if line]


def _characters(text: str) -> list[Tokens]:
    return [list("".join(line.split())) for line in text.split("\n") if line]
