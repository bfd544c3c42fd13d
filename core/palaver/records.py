"""Read JSON Lines, JSON, CSV, TSV, Parquet and plain lines as records; a malformed one is named and costs only itself.

A file may be compressed with gzip. Lines end at `\\n` alone: U+2028 and the like are text.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import re
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

from palaver.errors import BadInput

_LONGEST_RECORD = 10_000
"""Lines of one CSV record. An unclosed quote would else swallow the rest of the file."""
_DEEPEST = 100
"""Brackets inside of brackets."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file, not yet understood."""

    place: str
    """Where it stands: `file:line`; in JSON and Parquet, `file:path` and `file:row`."""
    number: int
    """From 1, in the order of the file, bad ones counted."""
    values: dict[str, object]


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be used."""

    place: str
    reason: str


Found = Iterator[Record | BadRecord]


class _Malformed(ValueError):
    """Says what is wrong with one record."""


def kind_of(path: Path) -> str:
    """`jsonl`, `json`, `csv`, `tsv`, `parquet`, or `lines` for every other file; by the name, without `.gz`."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    known = {
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".json": "json",
        ".csv": "csv",
        ".tsv": "tsv",
        ".parquet": "parquet",
    }
    return known.get(suffix, "lines")


def read_records(path: Path) -> Found:
    """The records of a file in its order, bad ones in their places.

    Raises:
        BadInput: there is no such file, or it cannot be read as a whole.
    """
    readers = {"jsonl": _jsonl, "json": _json, "csv": _csv, "tsv": _csv, "parquet": _parquet, "lines": _text}
    try:
        yield from readers[kind_of(path)](path)
    except FileNotFoundError:
        raise BadInput(f"There is no file {path}.", fix="check the name", code="no_file") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", code="unreadable_file") from error


def read_lines(path: Path) -> Iterator[tuple[int, str | BadRecord]]:
    """Line numbers from 1, with the line or what is wrong with it.

    Raises:
        BadInput: the file is UTF-16, or no gzip in spite of its name. OSError: it cannot be opened.
    """
    for number, raw in _raw_lines(path):
        if isinstance(raw, BadRecord):
            yield number, raw
            continue
        try:
            yield number, _decode(raw)
        except _Malformed as reason:
            yield number, BadRecord(f"{path}:{number}", str(reason))


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes | BadRecord]]:
    number = 0
    with contextlib.closing(_open(path)) as file:
        while True:
            number += 1
            try:
                raw = file.readline()
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                if number == 1 and isinstance(error, gzip.BadGzipFile):
                    raise BadInput(f"{path} is not compressed with gzip, as its name says.", code="not_gzip") from error
                yield number, BadRecord(f"{path}:{number}", "the gzip data is damaged from here on; the rest is lost")
                return
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
                if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                    fix = f"iconv -f UTF-16 -t UTF-8 {path}"
                    raise BadInput(f"{path} is UTF-16, not UTF-8 text.", fix=fix, code="not_utf8")
            elif not raw:
                return
            if not raw:
                return
            yield number, raw


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.name.endswith(".gz") else path.open("rb")


def _decode(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _Malformed(f"not UTF-8: byte {error.start + 1} of the line is 0x{raw[error.start]:02x}") from None
    if "\0" in text:
        raise _Malformed("holds a NUL character")
    return text.removesuffix("\n").removesuffix("\r")


# -- lines, JSON


def _text(path: Path) -> Found:
    for number, line in read_lines(path):
        yield line if isinstance(line, BadRecord) else Record(f"{path}:{number}", number, {"text": line})


def _jsonl(path: Path) -> Found:
    count = 0
    for number, line in read_lines(path):
        place = f"{path}:{number}"
        if isinstance(line, str) and not line.strip():
            continue  # an empty line is no record: most files end with one
        count += 1
        if isinstance(line, BadRecord):
            yield line
            continue
        try:
            value = parse_json(line)
        except _Malformed as reason:
            yield BadRecord(place, str(reason))
            continue
        if isinstance(value, dict):
            yield Record(place, count, value)
        else:
            yield BadRecord(place, f"is {_called(value)}, not an object")


def parse_json(text: str) -> object:
    """JSON that means one thing everywhere: no NaN, no key twice, no half surrogate pair, no bottomless nesting."""
    try:
        _refuse_depth(text)
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise _Malformed(f"not JSON: {error.msg} ({where}character {error.colno})") from None
    except RecursionError:
        raise _Malformed("nested too deeply") from None
    except _Malformed:
        raise
    except ValueError as error:  # a whole number of thousands of digits
        raise _Malformed(f"not usable JSON: {str(error).partition(';')[0]}") from None


def _refuse_depth(text: str) -> None:
    """The parser's own limit is the stack's, which is another in each thread and version."""
    if text.count("[") + text.count("{") <= _DEEPEST:
        return
    depth = 0
    for bracket in re.findall(r'[\[{]|[\]}]|"(?:[^"\\]|\\.)*"', text):
        if bracket[0] == '"':
            continue
        depth += 1 if bracket in "[{" else -1
        if depth > _DEEPEST:
            raise _Malformed(f"nested deeper than {_DEEPEST} brackets")


def _no_constant(name: str) -> NoReturn:
    raise _Malformed(f"{name} is not JSON")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Malformed(f"the key '{twice}' stands there twice")
    return found


def _called(value: object) -> str:
    names = {list: "a list", dict: "an object", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _json(path: Path) -> Found:
    with contextlib.closing(_open(path)) as file:
        try:
            raw = file.read()
        except (EOFError, zlib.error) as error:
            raise BadInput(f"{path} is damaged: its gzip data ends early.", code="damaged_file") from error
    try:
        value = parse_json(raw.removeprefix(b"\xef\xbb\xbf").decode())
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text: byte {error.start}.", code="not_utf8") from error
    except _Malformed as reason:
        raise BadInput(f"{path}: {reason}.", code="bad_json") from reason
    for count, (where, one) in enumerate(_items(value), 1):
        place = f"{path}:{where}"
        yield (
            Record(place, count, one)
            if isinstance(one, dict)
            else BadRecord(place, f"is {_called(one)}, not an object")
        )


def _items(value: object) -> Iterator[tuple[str, object]]:
    """The records inside a JSON document, each with its path."""
    if isinstance(value, list):
        yield from ((f"[{index}]", one) for index, one in enumerate(value))
    elif isinstance(value, dict):
        lists = {key: one for key, one in value.items() if isinstance(one, list)}
        if "data" in lists and any(isinstance(one, dict) and "paragraphs" in one for one in lists["data"]):
            yield from _squad(lists["data"])
        elif len(lists) == 1:
            [(key, rows)] = lists.items()
            yield from ((f"{key}[{index}]", one) for index, one in enumerate(rows))
        elif value and all(isinstance(one, dict) for one in value.values()):
            yield from ((key, {"id": key, **cast(dict[str, object], one)}) for key, one in value.items())
        else:
            yield "", value


def _squad(articles: list[object]) -> Iterator[tuple[str, object]]:
    """SQuAD's questions, each with the paragraph that it is asked about (Rajpurkar et al. 2016, 2018)."""
    for place, article in enumerate(articles):
        for at, paragraph in _children(article, "paragraphs"):
            for number, question in _children(paragraph, "qas"):
                where = f"data[{place}].paragraphs[{at}].qas[{number}]"
                if isinstance(question, dict) and isinstance(paragraph, dict):
                    yield where, {"context": paragraph.get("context"), **question}
                else:
                    yield where, question


def _children(value: object, key: str) -> Iterator[tuple[int, object]]:
    rows = value.get(key) if isinstance(value, dict) else None
    # What is not as it should be is one record, which is then named as bad.
    yield from enumerate(rows) if isinstance(rows, list) else [(0, None)]


# -- tables


class _Lines:
    """Lines that can be given back: a quote that is never closed must not swallow what follows."""

    def __init__(self, path: Path) -> None:
        self._rest = _raw_lines(path)
        self._again: deque[tuple[int, bytes | BadRecord]] = deque()
        self.taken: list[tuple[int, bytes | BadRecord]] = []
        """Since `begin`."""

    def begin(self) -> None:
        self.taken = []

    def give_back_all_but_first(self) -> None:
        self._again.extendleft(reversed(self.taken[1:]))

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= _LONGEST_RECORD:
            raise StopIteration
        number, raw = self._again.popleft() if self._again else next(self._rest)
        self.taken.append((number, raw))
        # A damaged line stays one record; its bytes are looked at when its fields are known.
        return "" if isinstance(raw, BadRecord) else raw.decode(errors="surrogateescape")


def _csv(path: Path) -> Found:
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield from _table(path)
    finally:
        csv.field_size_limit(limit)


def _table(path: Path) -> Found:
    lines, is_tsv = _Lines(path), kind_of(path) == "tsv"
    first = next(lines, "")
    delimiter = "\t" if is_tsv else max(",;\t", key=lambda one: (first.count(one), one == ","))
    try:
        head = next(csv.reader([first], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise BadInput(f"{path}:1: the header cannot be read: {error}.", code="bad_header") from error
    if not any(head) or len(set(head)) < len(head):
        what = "is empty" if not any(head) else "has a name twice"
        raise BadInput(f"{path}:1: the header {what}.", fix="the first line names the columns", code="bad_header")
    count = 0
    while True:
        lines.begin()
        fields: list[str] | None = []
        reason = ""
        try:
            fields = next(csv.reader(lines, delimiter=delimiter, strict=True), None)
        except csv.Error as error:
            reason = _told(str(error))
        if fields is None:
            return
        number, raw = lines.taken[0]
        if isinstance(raw, BadRecord):
            reason = raw.reason
        elif not fields and not reason:
            continue  # an empty line
        reason = reason or _unfit(fields, len(head))
        literal = _literally(raw, len(head)) if is_tsv and (reason or len(lines.taken) > 1) else None
        if literal is not None:  # a quote in a TSV is mostly just a quote
            fields, reason = literal, _unfit(literal, len(head))
        if literal is not None or reason:
            lines.give_back_all_but_first()
        count += 1
        place = f"{path}:{number}"
        if reason:
            yield BadRecord(place, reason)
        else:
            yield Record(place, count, dict(zip(head, fields, strict=True)))


def _literally(raw: bytes | BadRecord, columns: int) -> list[str] | None:
    """The fields of a line whose quotes mean nothing, if there are as many as columns."""
    if isinstance(raw, BadRecord):
        return None
    fields = raw.decode(errors="surrogateescape").rstrip("\r\n").split("\t")
    return fields if len(fields) == columns else None


def _told(error: str) -> str:
    return "a quote is never closed" if "unexpected end of data" in error else f"not a row: {error}"


def _unfit(fields: list[str], columns: int) -> str:
    """Why these fields are no record, or nothing."""
    for field in fields:
        if broken := re.search("[\udc80-\udcff]", field):
            return f"not UTF-8: it holds the byte 0x{ord(broken[0]) - 0xDC00:02x}"
        if "\0" in field:
            return "holds a NUL character"
    if len(fields) != columns:
        noun = "field" if len(fields) == 1 else "fields"
        return f"{len(fields)} {noun}, the header has {columns}"
    return ""


def _parquet(path: Path) -> Found:
    try:
        from pyarrow import ArrowException, parquet  # an extra: 40 MB that most people never need
    except ImportError as error:
        raise BadInput(
            f"{path} is a Parquet file, and pyarrow is not installed.",
            fix="pip install 'palaver[parquet]'",
            code="no_pyarrow",
        ) from error
    count = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=1000):
            for row in batch.to_pylist():
                count += 1
                yield Record(f"{path}:{count}", count, row)
    except ArrowException as error:
        raise BadInput(f"{path} is no Parquet file: {str(error).splitlines()[0]}", code="bad_parquet") from error
