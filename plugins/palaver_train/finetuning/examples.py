"""Examples to fine-tune on: pairs of files, of a table's columns, or one's own accepted turns; each with its prompt."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from palaver import BadInput, Message
from palaver.model import Role
from palaver_train.split import key, split_items, without
from palaver_train.text import Cleaning, read_pairs

LEAST = 8
"""Examples. Fewer teach nothing and prove nothing."""
_GOOD = 4
"""Stars from which on a rated answer is accepted as it is."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One thing to learn."""

    messages: tuple[Message, ...]
    """What the model is asked. A sequence-to-sequence model reads the text of the last one."""
    text: str
    """The input by itself, for models that take no messages."""
    answer: str


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learnt and what is held out. Nothing stands in both."""

    train: Sequence[Lesson]
    valid: Sequence[Lesson]
    notes: tuple[str, ...] = ()


def from_files(
    source: str, target: str, columns: tuple[str, str], valid: tuple[str, str] | None, share: float, seed: int
) -> Lessons:
    """Pairs from files; the held-out ones from files of their own, or a share.

    Raises:
        BadInput: a file cannot be used, or there are too few pairs.
    """
    pairs = read_pairs(source, target, columns, Cleaning("none"))
    lessons = [_of_pair(*pair) for pair in dict.fromkeys(pairs)]
    notes: tuple[str, ...] = ()
    if twice := len(pairs) - len(lessons):
        notes += (f"{twice:,} pairs stood there twice and are used once.",)
    if not valid:
        return _split(lessons, share, seed, notes)
    held_out = [_of_pair(*pair) for pair in dict.fromkeys(read_pairs(*valid, columns, Cleaning("none")))]
    train, taken = without(lessons, held_out, _keys)
    if taken:
        notes += (f"{taken:,} pairs also stand in the validation files and are left out.",)
    return _enough(Lessons(train, held_out, notes))


def from_turns(filter: str, share: float, seed: int) -> Lessons:
    """One's own turns that are accepted: the reference where there is one, else an answer with four stars or more.

    They come through `palaver history export`, as any program would get them.

    Raises:
        BadInput: the filter is wrong, or there are too few such turns.
    """
    command = [sys.executable, "-m", "palaver", "history", "export", "--format", "jsonl", *([filter] if filter else [])]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise BadInput(f"The turns cannot be read: {done.stderr.strip()}", code="bad_filter")
    found, unaccepted = [], 0
    for line in done.stdout.split("\n"):
        if not line.strip():
            continue
        lesson = _of_turn(json.loads(line))
        unaccepted += lesson is None
        found += [lesson] if lesson else []
    notes = (
        (f"{unaccepted:,} turns have neither a reference nor {_GOOD} stars and are left out.",) if unaccepted else ()
    )
    return _split(list(dict.fromkeys(found)), share, seed, notes)


def _of_pair(source: str, target: str) -> Lesson:
    return Lesson((Message("user", source),), source, target)


def _of_turn(turn: dict[str, object]) -> Lesson | None:
    references = cast("list[dict[str, str]]", turn.get("references") or [])
    rating = turn.get("rating")
    answer = references[0]["text"] if references else ""
    if not answer and isinstance(rating, int) and rating >= _GOOD and turn.get("status") == "complete":
        answer = str(turn.get("output") or "")
    prompt = cast("list[dict[str, str]]", turn.get("prompt") or [])
    text = str(turn.get("input_text") or "")
    if not answer.strip() or not (prompt or text):
        return None
    messages = tuple(Message(cast(Role, one["role"]), one["content"]) for one in prompt) or (Message("user", text),)
    return Lesson(messages, text, answer)


def _keys(lesson: Lesson) -> list[str]:
    return list(dict.fromkeys((key(lesson.text), key(lesson.answer))))


def _split(lessons: list[Lesson], share: float, seed: int, notes: tuple[str, ...]) -> Lessons:
    """Lessons that share an input or an answer stay on one side."""
    if len(lessons) < LEAST:
        raise _too_few(len(lessons))
    found = split_items(lessons, _keys, share, 0.0, seed)
    return _enough(Lessons(found.train, found.valid, notes))


def _enough(lessons: Lessons) -> Lessons:
    if len(lessons.train) < LEAST or not lessons.valid:
        raise _too_few(len(lessons.train))
    return lessons


def _too_few(count: int) -> BadInput:
    return BadInput(
        f"{count:,} examples are too few to learn from and to show what was learnt; {LEAST} is the least.",
        fix="Give more, or add references to more turns.",
        code="too_little_text",
    )
