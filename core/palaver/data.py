"""Data sets as Examples: which column is which is guessed and shown, and every record that cannot be used is named.

Nothing is dropped in silence: each record of the source is an example or a bad record with its place and reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from palaver.errors import BadInput, UsageError
from palaver.example import Example
from palaver.lines import BadRecord, Record, kind_of, read_lines
from palaver.records import read_records

_NAMES: dict[str, tuple[str, ...]] = {
    "text": (
        "text", "source", "document", "article", "src", "input", "original_text", "abstract", "dialogue", "sentence",
        "body", "report", "content", "context", "prompt", "question",
    ),
    "context": ("context", "passage", "paragraph", "document", "article", "text", "story", "source"),
    "question": ("question", "query", "input"),
    "references": (
        "references", "reference", "refs", "ref", "targets", "target", "tgt", "summary", "summaries", "highlights",
        "reference_summary", "answers", "answer", "translations", "translation", "outputs", "output", "gold", "label",
    ),
    "id": ("id", "example_id", "paper_id", "uid", "guid", "qid", "idx", "index"),
}  # fmt: skip
"""Names of columns for each part of an example, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a task needs of a data set."""

    inputs: tuple[str, ...] = ("text",)
    """Names of the task's inputs."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Which column is an input, `references` or `id`, where the user said so."""
    languages: tuple[str, str] = ("", "")
    """Of the source and of the target, where known: a column may be named after it."""
    may_have_no_answer: bool = False
    """An empty list of references means "the text does not answer", as in SQuAD 2.0."""


@dataclass(frozen=True)
class Dataset:
    """A data set, read."""

    name: str
    """As shown: the name of the file, or what stands for it."""
    source: str
    """What reads it again: the path, `history:FILTER`, `dataset:NAME`."""
    examples: tuple[Example, ...]
    bad: tuple[BadRecord, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    """Which column each part of the examples is from."""
    references: tuple[str, ...] = ()
    """Files with references beside the source, one reference a line."""

    @property
    def n_in(self) -> int:
        """Records in the source: the examples and the bad ones."""
        return len(self.examples) + len(self.bad)

    @cached_property
    def digest(self) -> str:
        """A name for what is in it: the same for the same ids, inputs and references in the same order."""
        found = hashlib.sha256()
        for one in self.examples:
            row = [one.id, sorted(one.inputs.items()), list(one.references)]
            found.update(json.dumps(row, ensure_ascii=False).encode(errors="replace") + b"\n")
        return found.hexdigest()[:16]


def read_dataset(path: Path, wanted: Wanted, *, references: Sequence[Path] = ()) -> Dataset:
    """The data set in a file; with `references`, the files that go with it line by line.

    Raises:
        BadInput: a file cannot be read, has none of the columns, or the files have different numbers of lines.
    """
    if references:
        return _parallel(path, wanted, references)
    columns: dict[str, str] | None = None
    good: list[Example] = []
    bad: list[BadRecord] = []
    seen: dict[str, str] = {}
    for record in read_records(path):
        if isinstance(record, BadRecord):
            bad.append(record)
            continue
        values = _flat(record.values)
        if columns is None:
            columns = _guess(values, wanted, path, has_names=kind_of(path) != "lines")
        found = _example(record, values, columns, wanted)
        if isinstance(found, Example) and found.id in seen:
            found = BadRecord(record.place, f"its id '{found.id}' is that of {seen[found.id]}")
        if isinstance(found, Example):
            seen[found.id] = record.place
            good.append(found)
        else:
            bad.append(found)
    if not good and not bad:
        raise BadInput(f"{path} has no records.", code="empty_dataset")
    return Dataset(path.name, str(path), tuple(good), tuple(bad), columns or {})


def _parallel(path: Path, wanted: Wanted, references: Sequence[Path]) -> Dataset:
    if len(wanted.inputs) != 1:
        raise UsageError(f"Files by line have one input, and this task has {len(wanted.inputs)}.", fix="give JSONL")
    sides = [line_file(one) for one in (path, *references)]
    for other, lines in zip(references, sides[1:], strict=True):
        same_length(path, sides[0], other, lines)
    good: list[Example] = []
    bad: list[BadRecord] = []
    for number, (source, *targets) in enumerate(zip(*sides, strict=True), 1):
        broken = next((one for one in (source, *targets) if isinstance(one, BadRecord)), None)
        texts = tuple(one for one in targets if isinstance(one, str) and one.strip())
        if broken is not None:
            bad.append(broken)
        elif isinstance(source, str) and source.strip() and texts:
            good.append(Example({wanted.inputs[0]: source}, texts, str(number)))
        else:
            bad.append(BadRecord(f"{path}:{number}", "is empty" if texts else "no reference: its lines are empty"))
    columns = {wanted.inputs[0]: path.name, "references": ", ".join(one.name for one in references)}
    return Dataset(path.name, str(path), tuple(good), tuple(bad), columns, tuple(map(str, references)))


def line_file(path: Path) -> list[str | BadRecord]:
    """The lines of a text file, bad ones in their places.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return [line for _, line in read_lines(path)]
    except FileNotFoundError:
        raise BadInput(f"There is no file {path}.", fix="check the name", code="no_file") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", code="unreadable_file") from error


def same_length(first: Path, lines: Sequence[object], other: Path, others: Sequence[object]) -> None:
    """
    Raises:
        BadInput: two files that go together line by line have different numbers of lines.
    """
    if len(lines) != len(others):
        raise BadInput(
            f"{first} has {len(lines):,} lines and {other} has {len(others):,}: they do not go together.",
            fix=f"wc -l {first} {other}",
            code="line_mismatch",
        )


def _flat(values: Mapping[str, object]) -> dict[str, object]:
    """The values with those of an inner object beside them: `translation.de`, as Hugging Face's sets have it."""
    found = dict(values)
    for key, value in values.items():
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": one for inner, one in value.items()}
    return found


def _guess(values: Mapping[str, object], wanted: Wanted, path: Path, *, has_names: bool) -> dict[str, str]:
    """Which column is which, by name; the user's word comes first."""
    by_name = {name.lower(): name for name in reversed(list(values))}
    source, target = wanted.languages
    found: dict[str, str] = {}
    for part in (*wanted.inputs, "references", "id"):
        if part in wanted.columns:
            if wanted.columns[part] not in values:
                raise _no_column(path, part, values, named=wanted.columns[part])
            found[part] = wanted.columns[part]
    for part in (*wanted.inputs, "references", "id"):
        language = target if part == "references" else source if part in wanted.inputs else ""
        # A column named after the language is meant before any other that could be.
        likely = (f"translation.{language}", language) if language else ()
        names = (*likely, part, *_NAMES.get(part, ()))
        free = [by_name[one] for one in names if one in by_name and by_name[one] not in found.values()]
        if part not in found and free:
            found[part] = free[0]
    for part in wanted.inputs:
        if part not in found:
            if not has_names:
                raise BadInput(f"{path.name} has one text a line, and {part} is missing.", fix="give JSONL or CSV")
            raise _no_column(path, part, values)
    unknown = set(wanted.columns) - {*wanted.inputs, "references", "id"}
    if unknown:
        parts = ", ".join((*wanted.inputs, "references", "id"))
        raise UsageError(f"'{min(unknown)}' is no part of an example: it is one of {parts}.")
    return found


def _no_column(path: Path, part: str, values: Mapping[str, object], *, named: str = "") -> BadInput:
    there = ", ".join(values) or "none"
    missing = f"'{named}'" if named else f"for {part}"
    return BadInput(
        f"{path.name} has no column {missing}. Its columns are: {there}.",
        fix=f"--column {part}=COLUMN",
        code="no_column",
    )


class _Unusable(ValueError):
    """Says why a value is no text."""


def _example(
    record: Record, values: Mapping[str, object], columns: Mapping[str, str], wanted: Wanted
) -> Example | BadRecord:
    try:
        inputs = {part: _input(values, columns[part]) for part in wanted.inputs}
        references = _references(values, columns.get("references"), wanted)
        return Example(inputs, references, _id(values, columns.get("id"), record))
    except _Unusable as reason:
        return BadRecord(record.place, str(reason))


def _input(values: Mapping[str, object], column: str) -> str:
    if column not in values or values[column] is None:
        raise _Unusable(f"no {column}")
    value = values[column]
    # A list is a text's sentences.
    text = " ".join(_text(one, column) for one in value) if isinstance(value, list) and value else _text(value, column)
    if not text.strip():
        raise _Unusable(f"{column} is empty")
    return text


def _references(values: Mapping[str, object], column: str | None, wanted: Wanted) -> tuple[str, ...]:
    if column is None:
        return ()
    if wanted.may_have_no_answer and values.get("is_impossible") is True:
        return ("",)
    if column not in values or values[column] is None:
        raise _Unusable(f"no {column}")
    texts = list(dict.fromkeys(_texts(values[column], column)))  # SQuAD repeats what several people answered
    kept = tuple(one for one in texts if one.strip())
    if kept:
        return kept
    if wanted.may_have_no_answer:
        return ("",)
    raise _Unusable(f"{column} is empty")


def _texts(value: object, column: str) -> Iterable[str]:
    """One text, several, SQuAD's `[{"text": ...}]`, or Hugging Face's `{"text": [...]}`."""
    if isinstance(value, dict):
        return _texts(value.get("text"), f"{column}.text")
    if isinstance(value, list):
        return [text for one in value for text in _texts(one, column)]
    return [_text(value, column)]


def _text(value: object, column: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        kind = {list: "a list", dict: "an object", type(None): "null"}.get(type(value), "no text")
        raise _Unusable(f"{column} is {kind}, not a text")
    text = value if isinstance(value, str) else format(value, "")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Unusable(f"{column} holds half of a surrogate pair") from None
    if "\0" in text:
        raise _Unusable(f"{column} holds a NUL character")
    return text


def _id(values: Mapping[str, object], column: str | None, record: Record) -> str:
    given = values.get(column) if column else None
    if given is None or given == "":
        return str(record.number)
    return _text(given, column or "id")
