"""Read JSON Lines, JSON, CSV, TSV, Parquet and plain lines as records; a malformed one is named and costs only itself.

A file may be compressed with gzip. Lines end at `\\n` alone: U+2028 and the like are text.
"""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, cast

from palaver.errors import BadInput
from palaver.lines import BadRecord, Found, Malformed, Record, kind_of, open_file, read_lines
from palaver.tables import read_table

_DEEPEST = 100
"""Brackets inside of brackets."""


def read_records(path: Path) -> Found:
    """The records of a file in its order, bad ones in their places.

    Raises:
        BadInput: there is no such file, or it cannot be read as a whole.
    """
    readers = {
        "jsonl": _jsonl,
        "json": _json,
        "csv": read_table,
        "tsv": read_table,
        "parquet": _parquet,
        "lines": _text,
    }
    try:
        yield from readers[kind_of(path)](path)
    except FileNotFoundError:
        raise BadInput(f"There is no file {path}.", fix="check the name", code="no_file") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.", code="unreadable_file") from error


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
        except Malformed as reason:
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
        raise Malformed(f"not JSON: {error.msg} ({where}character {error.colno})") from None
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except Malformed:
        raise
    except ValueError as error:  # a whole number of thousands of digits
        raise Malformed(f"not usable JSON: {str(error).partition(';')[0]}") from None


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
            raise Malformed(f"nested deeper than {_DEEPEST} brackets")


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not JSON")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Malformed(f"the key '{twice}' stands there twice")
    return found


def _called(value: object) -> str:
    names = {list: "a list", dict: "an object", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _json(path: Path) -> Found:
    with contextlib.closing(open_file(path)) as file:
        try:
            raw = file.read()
        except (EOFError, zlib.error) as error:
            raise BadInput(f"{path} is damaged: its gzip data ends early.", code="damaged_file") from error
    try:
        value = parse_json(raw.removeprefix(b"\xef\xbb\xbf").decode())
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text: byte {error.start}.", code="not_utf8") from error
    except Malformed as reason:
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


def _parquet(path: Path) -> Found:
    try:
        from pyarrow import (  # pyright: ignore[reportMissingImports]  # an extra: 40 MB that most people never need
            ArrowException,
            parquet,
        )
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
