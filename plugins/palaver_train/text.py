"""Read what is to be learnt from: running text, texts by line, pairs. Files are checked before anything is computed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from palaver import BadInput
from palaver.lines import BadRecord, kind_of, read_lines
from palaver.records import read_records

Form = Literal["nfc", "nfkc", "none"]
Pair = tuple[str, str]
"""A source and its target."""

_FORMS: dict[str, Literal["NFC", "NFKC"]] = {"nfc": "NFC", "nfkc": "NFKC"}


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What is done to text before anything looks at it."""

    form: Form = "nfc"
    lowercase: bool = False

    def clean(self, text: str) -> str:
        """The text in one Unicode form, so that equal words are equal."""
        if self.form != "none":
            text = unicodedata.normalize(_FORMS[self.form], text)
        return text.lower() if self.lowercase else text


def read_text(path: str, cleaning: Cleaning) -> str:
    """A file as one running text.

    Raises:
        BadInput: it is not there, is no text, or is empty.
    """
    text = "".join(f"{line}\n" for line in _lines(path))
    if not text.strip():
        raise BadInput(f"{path} is empty: there is nothing to learn from.", code="empty_corpus")
    return cleaning.clean(text)


def read_texts(path: str, cleaning: Cleaning) -> list[str]:
    """The lines of a file that are not empty.

    Raises:
        BadInput: it is not there, is no text, or has no line that is not empty.
    """
    found = [cleaning.clean(line.strip()) for line in _lines(path) if line.strip()]
    if not found:
        raise BadInput(f"{path} is empty: there is nothing to learn from.", code="empty_corpus")
    return found


def read_pairs(source: str, target: str, columns: tuple[str, str], cleaning: Cleaning) -> list[Pair]:
    """Sources and targets: of two files line by line, or of the columns of a table.

    Pairs with an empty side are left out.

    Raises:
        BadInput: a file cannot be read, the sides differ in length, or no pair is whole.
    """
    if target:
        sides = [_lines(source), _lines(target)]
        if len(sides[0]) != len(sides[1]):
            raise BadInput(
                f"{source} has {len(sides[0]):,} lines and {target} has {len(sides[1]):,}: they are no pairs.",
                fix="Give files that go together line by line.",
                code="misaligned",
            )
        rows: Iterable[Pair] = zip(*sides, strict=True)
    else:
        rows = _columns(source, columns)
    found = [(cleaning.clean(one.strip()), cleaning.clean(other.strip())) for one, other in rows]
    found = [(one, other) for one, other in found if one and other]
    if not found:
        raise BadInput(f"{source} has no pair of which both sides have text.", code="empty_corpus")
    return found


def _columns(path: str, columns: tuple[str, str]) -> list[Pair]:
    if kind_of(Path(path)) == "lines":
        raise BadInput(f"{path} has no columns, so it needs --target beside it.", fix="give --target FILE")
    found: list[Pair] = []
    try:
        for record in read_records(Path(path)):
            if isinstance(record, BadRecord):
                raise BadInput(f"{record.place}: {record.reason}.", code="bad_record")
            missing = [name for name in columns if name not in record.values]
            if missing:
                raise BadInput(
                    f"{record.place} has no column '{missing[0]}'; it has: {', '.join(record.values)}.",
                    fix="give --source-column and --target-column",
                    code="no_column",
                )
            source, target = (_joined(record.values[name]) for name in columns)
            found.append((source, target))
    except OSError as error:
        raise _unreadable(path, error) from error
    return found


def _joined(value: object) -> str:
    """A list of sentences is a text; of several targets the first counts."""
    if isinstance(value, list):
        return " ".join(str(one) for one in value)
    return str(value)


def _lines(path: str) -> list[str]:
    found: list[str] = []
    try:
        for number, line in read_lines(Path(path).expanduser()):
            if isinstance(line, BadRecord):
                raise BadInput(
                    f"{path} is not a text file: line {number} is {line.reason}.",
                    fix="Give UTF-8 text.",
                    code="binary_corpus",
                )
            found.append(line)
    except OSError as error:
        raise _unreadable(path, error) from error
    return found


def _unreadable(path: str, error: OSError) -> BadInput:
    return BadInput(f"{path} cannot be read: {error.strerror or error}.", fix="Check the path.", code="unreadable")


def read_asked(path: str) -> list[str]:
    """What was asked, of turns as `palaver history export` writes them; of other tables their column `text`.

    Raises:
        BadInput: the file cannot be read, or no record has a text.
    """
    found: list[str] = []
    try:
        for record in read_records(Path(path).expanduser()):
            if isinstance(record, BadRecord):
                raise BadInput(f"{record.place}: {record.reason}.", code="bad_record")
            inputs = record.values.get("inputs")
            values = inputs if isinstance(inputs, dict) else record.values
            if isinstance(text := values.get("text"), str) and text.strip():
                found.append(" ".join(text.split()))
    except OSError as error:
        raise _unreadable(path, error) from error
    if not found:
        raise BadInput(f"{path} has no record with a text.", code="empty_corpus")
    return found
