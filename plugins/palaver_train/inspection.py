"""Look through the parts of a corpus before anything is trained on it, and say what was found in lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palaver import BadInput
from palaver.lines import BadRecord, kind_of, read_lines
from palaver.records import read_records
from palaver_train.kneser_ney import NgramModel
from palaver_train.quality import (
    Copies,
    Overlap,
    PairFaults,
    Side,
    Words,
    copies,
    overlap,
    pair_faults,
    side,
    word_use,
)
from palaver_train.text import Cleaning
from palaver_train.tokens import EOS, UNKNOWN, Sort, TextTokenizer, learn_tokenizer

NAMES = ("source", "target")
_ORDERS = {"char": 7, "word": 3, "bpe": 5, "unigram": 5}
"""Length of the n-grams of the model to beat; longer ones gain next to nothing."""
_TENTH = 10
"""Where nothing is kept back, the last of so many parts is what the n-grams are asked about."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where a part of the corpus is: a file of texts, two that go together, or a table with two columns."""

    source: str
    target: str = ""
    columns: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """A part of the corpus as it was read."""

    lines: tuple[int, ...]
    sides: tuple[tuple[str, ...], ...]
    """Texts, or sources and targets."""
    bad: tuple[str, ...]
    """What could not be read, with its place."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a tokenizer makes of a part."""

    tokens_per_word: float
    unknown: float
    """Share of tokens, 0 to 1."""


@dataclass(frozen=True, slots=True)
class ToBeat:
    """What a Kneser-Ney model of the same tokens reaches: a network that stays above it has learnt less than counts."""

    side: str
    order: int
    held_out: str
    """Which part it was asked about."""
    loss: float
    """Nats a token."""
    bits_per_character: float
    """The same for every tokenizer."""


@dataclass(frozen=True, slots=True)
class Part:
    """What was found in a part. `records` = texts or pairs + `bad`."""

    name: str
    records: int
    bad: tuple[str, ...]
    sides: tuple[Side, ...]
    words: tuple[Words, ...]
    copies: Copies
    """Of whole texts, or of whole pairs."""
    pairs: PairFaults | None
    overlap: tuple[Overlap, ...]
    """With the training part, a side each; empty for that part itself."""
    pieces: Pieces | None


@dataclass(frozen=True, slots=True)
class Inspection:
    """All parts, the training part first."""

    parts: tuple[Part, ...]
    tokenizer: str
    vocabulary: int
    """Tokens that were learnt."""
    to_beat: tuple[ToBeat, ...] = ()
    """A side each; none for a corpus of one text."""

    @property
    def has_bad(self) -> bool:
        """Some record could not be read."""
        return any(part.bad for part in self.parts)


def inspect(parts: Sequence[tuple[str, Files]], cleaning: Cleaning, tokenizer: Sort, vocabulary: int) -> Inspection:
    """Look through parts, of which the first is for training; the tokenizer is learnt from that one.

    Raises:
        BadInput: a file cannot be read, is empty, or is no text; two sides differ in length; a column is missing.
    """
    read = [(name, _read(files)) for name, files in parts]
    train = read[0][1]
    learnt = learn_tokenizer(tokenizer, [text for texts in train.sides for text in texts], vocabulary, cleaning)

    def pieces(corpus: Corpus) -> Pieces:
        texts = [text for one in corpus.sides for text in one]
        tokens = [token for row in learnt.encode_all(texts) for token in row]
        words = sum(len(text.split()) for text in texts)
        return Pieces(len(tokens) / (words or 1), sum(token == UNKNOWN for token in tokens) / (len(tokens) or 1))

    found = []
    for name, corpus in read:
        sides = tuple(side(texts, corpus.lines) for texts in corpus.sides)
        shared = () if corpus is train else tuple(zip(train.sides, corpus.sides, strict=True))
        found.append(
            Part(
                name,
                len(corpus.lines) + len(corpus.bad),
                corpus.bad,
                sides,
                tuple(word_use(texts, one.language) for texts, one in zip(corpus.sides, sides, strict=True)),
                copies(["\t".join(row) for row in zip(*corpus.sides, strict=True)], corpus.lines),
                pair_faults(list(zip(*corpus.sides, strict=True)), corpus.lines) if len(corpus.sides) == 2 else None,
                tuple(overlap(known, held_out, corpus.lines) for known, held_out in shared),
                pieces(corpus),
            )
        )
    return Inspection(tuple(found), tokenizer, learnt.size, tuple(_to_beat(read, learnt, tokenizer)))


def _to_beat(read: Sequence[tuple[str, Corpus]], learnt: TextTokenizer, sort: Sort) -> Iterator[ToBeat]:
    for index, texts in enumerate(read[0][1].sides):
        train, name, held_out = texts, "", tuple[str, ...]()
        if len(read) > 1:
            name, held_out = read[1][0], read[1][1].sides[index]
        else:
            train, held_out = texts[: -len(texts) // _TENTH], texts[-len(texts) // _TENTH :]
            name = "the last tenth"
        characters = sum(len(text) + 1 for text in held_out)
        if train and held_out:
            model = NgramModel(_numbers(learnt, train), learnt.size, _ORDERS[sort])
            asked = _numbers(learnt, held_out)
            loss = model.loss(asked)
            bits = loss * len(asked) / characters / math.log(2)
            yield ToBeat(NAMES[index] if len(read[0][1].sides) > 1 else "", _ORDERS[sort], name, loss, bits)


def _numbers(learnt: TextTokenizer, texts: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The tokens of all texts, each with an end mark."""
    return np.array([token for row in learnt.encode_all(list(texts)) for token in (*row, EOS)], dtype=np.int64)


def _read(files: Files) -> Corpus:
    path = Path(files.source).expanduser()
    if files.columns and kind_of(path) != "lines":
        return _table(path, files.columns)
    sides = [_lines(Path(one).expanduser()) for one in (files.source, files.target) if one]
    if len({len(one) for one in sides}) > 1:
        raise BadInput(
            f"{files.source} has {len(sides[0]):,} lines and {files.target} has {len(sides[1]):,}: they are no pairs.",
            fix="Give files that go together line by line.",
            code="misaligned",
        )
    bad = [one for row in zip(*sides, strict=True) for one in row if isinstance(one, BadRecord)]
    rows = [
        (number, [one for one in row if isinstance(one, str)])
        for number, row in enumerate(zip(*sides, strict=True), start=1)
        if not any(isinstance(one, BadRecord) for one in row)
    ]
    return _corpus(files.source, rows, bad)


def _table(path: Path, columns: tuple[str, str]) -> Corpus:
    rows: list[tuple[int, list[str]]] = []
    bad: list[BadRecord] = []
    for record in read_records(path):
        if isinstance(record, BadRecord):
            bad.append(record)
            continue
        missing = [name for name in columns if name not in record.values]
        if missing:
            bad.append(BadRecord(record.place, f"has no column '{missing[0]}', but: {', '.join(record.values)}"))
            continue
        values = (record.values[name] for name in columns)
        rows.append((record.number, [" ".join(map(str, one)) if isinstance(one, list) else str(one) for one in values]))
    return _corpus(str(path), rows, bad)


def _corpus(name: str, rows: list[tuple[int, list[str]]], bad: Sequence[BadRecord]) -> Corpus:
    if not any(text.strip() for _, row in rows for text in row):
        told = f" ({bad[0].place}: {bad[0].reason})" if bad else ""
        raise BadInput(
            f"{name} has no text that can be learnt from{told}.", fix="Give UTF-8 text.", code="empty_corpus"
        )
    sides = tuple(zip(*(row for _, row in rows), strict=True))  # as it stands there: the tokenizer does the cleaning
    return Corpus(tuple(number for number, _ in rows), sides, tuple(f"{one.place}: {one.reason}" for one in bad))


def _lines(path: Path) -> list[str | BadRecord]:
    try:
        return [line for _, line in read_lines(path)]
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror or error}.", fix="Check the path.", code="unreadable"
        ) from error
