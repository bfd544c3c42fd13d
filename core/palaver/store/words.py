"""The index of words: what a word is, in scripts with spaces and without, and how turns get into the index.

Whoever writes indexes all that is new or changed just before the commit, so the index and the turns are never apart,
whatever dies when. FTS5 takes many rows at once several times as fast as one by one in a trigger.

A word is a run of letters, digits and their marks. Case and accents do not count. Where a script writes no spaces
(Chinese, Japanese, Thai and their like, and Korean with its endings), a run becomes its pairs of neighbours, and at the
end of the text each of its characters once: so any part of it is found, as words find it, by a short list.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence

from palaver.store.sqlite import Connection, Cursor, Error, writing

BREAK = " \ue000 "
"""Between the texts of a turn: a word that nobody types, so that no phrase reaches from one into the next."""

CHUNK = 2000
"""Turns that are read and indexed in one go."""

_RUN = re.compile(
    "[\u0e00-\u0fff"  # Thai, Lao, Tibetan
    "\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\ua9e0-\ua9ff\uaa60-\uaadf"  # Burmese, Khmer, Tai
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"  # Hangul
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3040-\u312f\u31a0-\u31ff"  # kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uf900-\ufaff\uff66-\uffdc"  # Han, Yi, halfwidth forms
    "\U00016fe0-\U00018dff\U0001aff0-\U0001b2ff\U00020000-\U0003fffd]+"
)


def respelled(texts: Sequence[str]) -> str | None:
    """The texts of a turn as the index takes them, or None where they can stay as they are."""
    if all(map(str.isascii, texts)):
        return None
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    runs = {run for text in composed for run in _RUN.findall(text)}
    if not runs:
        return BREAK.join(composed) if composed != list(texts) else None
    characters = " ".join(sorted(set("".join(runs))))
    return BREAK.join([*(_RUN.sub(_pairs, text) for text in composed), characters])


def _pairs(run: re.Match[str]) -> str:
    text = run.group()
    return f" {' '.join(map(''.join, itertools.pairwise(text)))} " if len(text) > 1 else f" {text} "


def is_word(text: str) -> bool:
    """Whether there is anything in `text` that the index knows."""
    return any(unicodedata.category(one)[0] in "LMN" or unicodedata.category(one) == "Co" for one in text)


def has_no_spaces(text: str) -> bool:
    """Whether `text` is of a script without spaces alone: every part of it is found as it is."""
    return _RUN.fullmatch(unicodedata.normalize("NFC", text)) is not None


def phrases(text: str, *, is_beginning: bool = False) -> tuple[str, bool]:
    """`text` in FTS5's words, and whether what that finds must be looked at again.

    That is so where a single character of a script without spaces stands beside other words: their order is not known.
    With `is_beginning` the last word may go on.
    """
    text = unicodedata.normalize("NFC", text)
    runs = _RUN.findall(text)
    end = "*" if is_beginning and not (runs and text.endswith(runs[-1])) else ""
    if all(len(run) > 1 for run in runs) or _RUN.fullmatch(text):
        return _quoted(_RUN.sub(_pairs, text)) + end, False
    parts = [part for part in re.split(f"({_RUN.pattern})", text) if is_word(part)]
    *first, last = [_quoted(_RUN.sub(_pairs, part)) for part in parts]
    return f"({' AND '.join([*first, last + end])})", len(parts) > 1


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def index_new(connection: Connection) -> None:
    """Put what is new or changed into the index, inside the caller's transaction."""
    for _ in index_some(connection):
        pass


def index_some(connection: Connection) -> Iterator[int]:
    """The same bit by bit: how many turns each bit had."""
    cursor = connection.cursor()
    cursor.row_factory = None
    while changed := cursor.execute(
        f"SELECT {_TEXTS} FROM unindexed u CROSS JOIN turns t ON t.id = u.turn_id "
        "WHERE t.id <= (SELECT up_to FROM indexed) ORDER BY u.turn_id LIMIT ?",
        (CHUNK,),
    ).fetchall():
        _index(cursor, changed)
        cursor.execute("DELETE FROM unindexed WHERE turn_id <= ?", (changed[-1][0],))
        yield len(changed)
    while new := cursor.execute(
        f"SELECT {_TEXTS} FROM turns t WHERE t.id > (SELECT up_to FROM indexed) ORDER BY t.id LIMIT ?", (CHUNK,)
    ).fetchall():
        _index(cursor, [one for one in new if one[1] != "running"])  # these are marked when they are finished
        cursor.execute("UPDATE indexed SET up_to = ?", (new[-1][0],))
        yield len(new)
    cursor.execute("DELETE FROM unindexed")


_TEXTS = "t.id, t.status, t.input_text, t.output, t.reference_text, t.note"


def _index(cursor: Cursor, turns: Sequence[tuple[int, str, str, str, str, str]]) -> None:
    spelled = {turn_id: text for turn_id, _, *texts in turns if (text := respelled(texts)) is not None}
    if spelled:
        cursor.executemany("INSERT INTO respelled (turn_id, text) VALUES (?, ?)", list(spelled.items()))
    cursor.executemany(
        "INSERT INTO turns_fts (rowid, words) VALUES (?, ?)",
        [(turn_id, spelled.get(turn_id) or BREAK.join(texts)) for turn_id, _, *texts in turns],
    )


def catch_up(connection: Connection) -> None:
    """Index what another program has written into the file, if it has."""
    if connection.execute(
        "SELECT 1 FROM unindexed UNION ALL SELECT 1 FROM turns WHERE id > (SELECT up_to FROM indexed) LIMIT 1"
    ).fetchone():
        with writing(connection):
            index_new(connection)


def check(connection: Connection) -> str:
    """`ok`, or what is wrong with the index beside the texts."""
    index_new(connection)
    try:
        connection.execute("INSERT INTO turns_fts (turns_fts, rank) VALUES ('integrity-check', 1)")
    except Error as error:
        return str(error)
    return "ok"
