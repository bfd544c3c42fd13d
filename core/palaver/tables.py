"""CSV and TSV as records; a quote that is never closed costs one record, not the rest of the file."""

from __future__ import annotations

import csv
import re
import sys
from collections import deque
from pathlib import Path

from palaver.errors import BadInput
from palaver.lines import BadRecord, Found, Record, kind_of, raw_lines

_LONGEST_RECORD = 10_000
"""Lines of one CSV record. An unclosed quote would else swallow the rest of the file."""


class _Lines:
    """Lines that can be given back: a quote that is never closed must not swallow what follows."""

    def __init__(self, path: Path) -> None:
        self._rest = raw_lines(path)
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


def read_table(path: Path) -> Found:
    """The rows of a table under its header.

    Raises:
        BadInput: the header cannot be read. OSError: the file cannot.
    """
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
