"""Lines of files, plain or compressed with gzip, and what one record of a file is.

Lines end at `\\n` alone: U+2028 and the like are text.
"""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from palaver.errors import BadInput


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
"""Records in the order of their file."""


class Malformed(ValueError):
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


def read_lines(path: Path) -> Iterator[tuple[int, str | BadRecord]]:
    """Line numbers from 1, with the line or what is wrong with it.

    Raises:
        BadInput: the file is UTF-16, or no gzip in spite of its name. OSError: it cannot be opened.
    """
    for number, raw in raw_lines(path):
        if isinstance(raw, BadRecord):
            yield number, raw
            continue
        try:
            yield number, decode_line(raw)
        except Malformed as reason:
            yield number, BadRecord(f"{path}:{number}", str(reason))


def raw_lines(path: Path) -> Iterator[tuple[int, bytes | BadRecord]]:
    """Line numbers from 1, with the bytes of the line; the last is bad where the gzip data ends early.

    Raises:
        BadInput: the file is UTF-16, or no gzip in spite of its name. OSError: it cannot be opened.
    """
    number = 0
    with contextlib.closing(open_file(path)) as file:
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


def open_file(path: Path) -> BinaryIO:
    """The file, decompressed if its name ends in `.gz`."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.name.endswith(".gz") else path.open("rb")


def decode_line(raw: bytes) -> str:
    """A line as text, without its end.

    Raises:
        Malformed: it is not UTF-8, or holds a NUL.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8: byte {error.start + 1} of the line is 0x{raw[error.start]:02x}") from None
    if "\0" in text:
        raise Malformed("holds a NUL character")
    return text.removesuffix("\n").removesuffix("\r")
