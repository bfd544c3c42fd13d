"""The filter language of history: words to find, and `key:value` to narrow down.

    the cat  "the cat sat"  -draft           words and phrases in input, output, references and notes
    kat*  *atz*                              words that begin so, words with that inside
    task:translate  model:opus*  plugin:x    names, with * for any characters; tag:good
    is:failed  has:ref  run:3  id:12         states; has: ref, score, rating, note, tag, error
    rating>3  chrf<50                        ratings and sentence scores, on the metric's own scale
    since:7d  since:2026-01-01  until:24h    times: m, h, d, w ago, a date, today, yesterday

Everything must hold at once; a leading - negates. What is no filter is looked for as text, as `words` defines it.
"""

from __future__ import annotations

import difflib
import re
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from palaver.errors import UsageError
from palaver.store.rows import STATUSES, clean
from palaver.store.words import has_no_spaces, is_word, phrases

RECENT = 20_000
"""What the index of words does not know, parts of words and signs, is looked for in this many newest turns."""

_MAX_WORDS = 64
_MAX_WORD = 1000
_LARGEST_ID = 2**63 - 1

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Filter:
    """Which turns are meant. Build it with `parse_filter`; the empty one means all."""

    text: str = ""
    """As it was typed."""
    match: str = ""
    """The full-text query, in FTS5's words."""
    where: tuple[str, ...] = ()
    """Conditions on a turn `t`, all of which must hold."""
    values: tuple[Value, ...] = ()
    """For the question marks in `where`, in order."""
    scores: tuple[tuple[str, str, float], ...] = ()
    """Metric, sign and number of what the newest scores must be."""
    is_recent_only: bool = False
    """What no index knows was looked for among the newest 20,000 turns, not in all."""

    def __bool__(self) -> bool:
        return bool(self.match or self.where or self.scores)

    @property
    def advice(self) -> str:
        """What to know of a search that finds too little; empty if there is nothing to know."""
        if self.is_recent_only:
            return f"Parts of words, and signs, are looked for in the newest {RECENT:,} turns only."
        return "Words are found whole: sail* finds what begins so, *sail* what has it inside." if self.match else ""

    def and_where(self, condition: str, *values: Value) -> Filter:
        """This filter narrowed by one more SQL condition on `t`."""
        return replace(self, where=(*self.where, condition), values=(*self.values, *values))


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that must hold of a turn `t`, in SQL."""

    sql: str
    values: tuple[Value, ...] = ()
    score: tuple[str, str, float] | None = None
    """It is about this score and no more."""


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    is_negated: bool


_TOKEN = re.compile(r"""(-?) (?: ([a-z_]+) : )? (?: "([^"]*)"? | (\S+) )""", re.VERBOSE | re.IGNORECASE)
_HALF = re.compile(r"[a-z]\w*(?:<=|>=|<|>)|(?:rating|id)(?:<=|>=|<|>|=)\S*", re.IGNORECASE)
_COMPARISON = re.compile(r"([a-z][\w-]*)(<=|>=|<|>|=)([-+]?(?:\d+\.?\d*|\.\d+))", re.IGNORECASE | re.ASCII)


def parse_filter(text: str) -> Filter:
    """The filter that `text` means; any text means one, or says in a sentence what is wrong with it.

    Raises:
        UsageError: a filter has a value it cannot have.
    """
    text = clean(text)
    words: list[_Word] = []
    conditions: list[Condition] = []
    for found in _TOKEN.finditer(text.replace("\0", " ")):
        minus, key, quoted, bare = found.groups()
        value = quoted if quoted is not None else bare
        condition = _condition((key or "").lower(), value, found.group().lstrip("-"), is_quoted=quoted is not None)
        if condition is None:
            whole = f"{key}:{value}" if key else value
            words.append(_Word(whole, bool(minus)))
        else:
            conditions.append(Condition(f"NOT ({condition.sql})", condition.values) if minus else condition)
    return _assemble(text, [word for word in words if word.text.strip()], conditions)


def _assemble(text: str, words: list[_Word], conditions: list[Condition]) -> Filter:
    if len(words) > _MAX_WORDS or any(len(word.text) > _MAX_WORD for word in words):
        raise UsageError(f"A search has at most {_MAX_WORDS} words of {_MAX_WORD} characters.", fix="search for less")
    wanted: list[str] = []
    unwanted: list[str] = []
    again: list[Condition] = []
    for word in words:
        query, inside = _looked_up(word.text)
        if query and not word.is_negated:
            wanted.append(query)
        elif query and not inside:
            unwanted.append(query)
        if inside:
            again.append(_inside(inside, is_negated=word.is_negated))
    match = " AND ".join(wanted)
    if wanted and unwanted:
        match = f"({match}) NOT ({' OR '.join(unwanted)})"
    elif unwanted:
        query = " OR ".join(unwanted)
        conditions.append(Condition("t.id NOT IN (SELECT rowid FROM turns_fts WHERE turns_fts MATCH ?)", (query,)))
    is_recent_only = not match and any(not word.is_negated for word in words)
    if is_recent_only:
        conditions.append(Condition("t.id > (SELECT coalesce(max(id), 0) FROM turns) - ?", (RECENT,)))
    conditions += again
    scores = tuple(one.score for one in conditions if one.score is not None)
    conditions = [one for one in conditions if one.score is None]
    values = tuple(value for one in conditions for value in one.values)
    return Filter(text, match, tuple(one.sql for one in conditions), values, scores, is_recent_only)


def _looked_up(word: str) -> tuple[str, str]:
    """What the index is asked for, if it knows such words, and what must stand in the text as it is, if anything."""
    starts, bare, ends = _STARS.fullmatch(word).groups()  # type: ignore[union-attr]  # it fits any word
    if not is_word(bare):
        return "", word
    if starts and not has_no_spaces(bare):
        return "", bare
    query, is_loose = phrases(bare, is_beginning=bool(ends))
    return query, bare if is_loose else ""


# Two stars are a mark of Markdown.
_STARS = re.compile(r"((?:\*(?!\*))?)(.*?)((?:(?<!\*)\*)?)", re.DOTALL)


def _inside(text: str, *, is_negated: bool) -> Condition:
    pattern = f"%{_escape_like(text)}%"
    columns = ("input_text", "output", "reference_text", "note")
    sql = " OR ".join(f"t.{column} LIKE ? ESCAPE '\\'" for column in columns)
    return Condition(f"NOT ({sql})" if is_negated else f"({sql})", (pattern,) * len(columns))


def _condition(key: str, value: str, whole: str, *, is_quoted: bool) -> Condition | None:
    """The condition a token stands for, or None when it is a word to find."""
    if not key and not is_quoted and value.endswith(":") and value[:-1].lower() in _KEYS:
        raise UsageError(f"'{value}' needs a value right after the colon.")
    if not key:
        compared = None if is_quoted else _COMPARISON.fullmatch(whole)
        if not is_quoted and compared is None and _HALF.fullmatch(whole):
            raise UsageError(f"'{whole}' needs a number, as in chrf<50. Quotes search for the text itself.")
        return _compare(compared[1].lower(), compared[2], float(compared[3])) if compared else None
    if key in ("task", "model", "plugin"):
        column = "model_ref" if key == "model" and ":" in value else key
        return _name(f"t.{column}", _needed(key, value))
    if key == "tag":
        name = _name("g.tag", _needed(key, value))
        return Condition(f"EXISTS (SELECT 1 FROM tags g WHERE g.turn_id = t.id AND {name.sql})", name.values)
    if key == "is":
        return Condition("t.status = ?", (_one_of(key, value, STATUSES),))
    if key == "has":
        return Condition(_HAS[_one_of(key, value, tuple(_HAS))])
    if key in ("since", "until"):
        return Condition(f"t.created {'>=' if key == 'since' else '<'} ?", (_moment(key, value),))
    if key in ("id", "run"):
        return Condition("t.id = ?" if key == "id" else "t.run_id = ?", (_number(key, value),))
    if key == "rating":
        return _compare("rating", "=", float(_number(key, value)))
    if near := difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.75):
        raise UsageError(f"There is no filter '{key}:'. Did you mean '{near[0]}:'?", code="unknown_filter")
    return None


_KEYS = ("task", "model", "plugin", "tag", "is", "has", "since", "until", "id", "run", "rating")

_HAS = {
    "ref": "t.reference_set != ''",
    "score": "EXISTS (SELECT 1 FROM scores s WHERE s.turn_id = t.id AND s.value IS NOT NULL)",
    "rating": "t.rating IS NOT NULL",
    "note": "t.note != ''",
    "tag": "EXISTS (SELECT 1 FROM tags g WHERE g.turn_id = t.id)",
    "error": "t.error != ''",
}


def _compare(name: str, sign: str, number: float) -> Condition:
    if name == "rating":
        return Condition(f"(t.rating IS NOT NULL AND t.rating {sign} ?)", (number,))  # negated, it is the unrated too
    if name == "id":
        return Condition(f"t.id {sign} ?", (number,))
    return scored(name, sign, number)


def scored(metric: str, sign: str, number: float) -> Condition:
    """A turn whose newest score of a metric, against the references of now, is so."""
    return Condition(
        "EXISTS (SELECT 1 FROM scores s WHERE s.turn_id = t.id AND s.standing = 2 "
        f"AND s.kind_id IN (SELECT id FROM score_kinds WHERE metric = ?) AND s.value {sign} ?)",
        (metric, number),
        (metric, sign, number),
    )


def _name(column: str, value: str) -> Condition:
    if "*" not in value:
        return Condition(f"{column} = ?", (value,))
    return Condition(f"{column} LIKE ? ESCAPE '\\'", (_escape_like(re.sub(r"\*+", "*", value)).replace("*", "%"),))


def _escape_like(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _needed(key: str, value: str) -> str:
    if not value or len(value) > 200 or value.count("*") > 8:
        raise UsageError(f"'{key}:' needs a name after the colon, such as {key}:{_SUCH_AS[key]}.")
    return value


_SUCH_AS = {"task": "translate", "model": "opus*", "plugin": "palaver", "tag": "good"}


def _one_of(key: str, value: str, known: tuple[str, ...]) -> str:
    if value.lower() not in known:
        raise UsageError(f"'{key}:' is one of {', '.join(known)}, not '{value[:40]}'.")
    return value.lower()


def _number(key: str, value: str) -> int:
    if re.fullmatch(r"#?\d{1,19}", value, re.ASCII) and int(value.lstrip("#")) <= _LARGEST_ID:
        return int(value.lstrip("#"))
    raise UsageError(f"'{key}:' needs a whole number, not '{value[:40]}'.")


_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _moment(key: str, value: str) -> float:
    """Unix time of `7d`, `today` or `2026-01-01`, days beginning at local midnight."""
    if ago := re.fullmatch(r"(\d{1,6})([mhdw])", value.lower(), re.ASCII):
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    if value.lower() in ("today", "yesterday"):
        return (midnight - timedelta(days=value.lower() == "yesterday")).timestamp()
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"'{key}:' needs a time such as 7d, 24h, today or 2026-01-31, not '{value[:40]}'.") from error
