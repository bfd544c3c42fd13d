"""What the History screen says and completes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from palaver.errors import PalaverError
from palaver.session import Session
from palaver.store import STATUSES, Filter, parse_filter
from palaver_tui.places import Keys
from palaver_tui.screens.turn_export import ENDINGS
from palaver_tui.widgets.footer import Hint

ASKED = {"reference": "reference for #{}", "note": "note on #{}", "tag": "tags for #{}", "export": "export to"}
HALF = (":", "<", ">", "=", "-", '"')
"""What ends like this is still being typed."""
NOT_IN = "t.id NOT IN (SELECT value FROM json_each(?))"
IN = "t.id IN (SELECT value FROM json_each(?))"
HINTS = (
    Hint("/", "filter", 1),
    Hint("enter", "open", 2),
    Hint("c", "compare", 3),
    Hint("r", "run again", 6),
    Hint("f", "reference", 7),
    Hint("e", "export", 8),
    Hint("esc", "back", 4),
    Hint("F1", "help", 5),
)
KEYS: Keys = (
    ("/", "filter; the last word may go on until a space ends it. tab completes, enter goes to the rows"),
    ("↑ ↓ pgup pgdn", "move"),
    ("enter", "the turn in full"),
    ("x", "mark; c, d and e then mean the marked turns"),
    ("r", "run again: same prompt, parameters and seed; says what has changed since. esc stops it"),
    ("c", "compare two marked turns, or ask another model what this one asked"),
    ("f", "give a reference, which scores the turn"),
    ("1–5, 0", "rate, and take the rating back"),
    ("a", "note"),
    ("t", "tag: words; -word takes one away. tag:WORD finds them"),
    ("d", "delete the turn, or the marked ones"),
    ("u", "undo: bring back what was deleted, until the screen is left"),
    ("e", "export the marked turns, or all that the filter finds"),
    ("o", "go on with its conversation in the chat"),
    ("y", "copy the output"),
    ("ctrl+t", "copy the command line that lists the same turns"),
    ("esc", "close; back to the chat"),
)
MEANT = {
    "reference": "the answer you would have wanted, or @file; enter scores, esc leaves",
    "note": "enter keeps it, empty removes it",
    "tag": "words; -word takes one away",
    "export": f"a file ending in {ENDINGS}",
}


def scored(query: Filter) -> Filter:
    """The turns of `query` that have a score."""
    return query.and_where(parse_filter("has:score").where[0])


def as_typed(text: str) -> str:
    """`text` with its last word open: it may go on, until a space ends it."""
    return f"{text}*" if text.count('"') % 2 == 0 and _LAST_WORD.search(text) else text


_LAST_WORD = re.compile(r"(?:^|\s)[^\W_]+$")


def in_full(error: PalaverError) -> str:
    """An error with its remedy, on one line."""
    return f"! {error}" + (f" Fix: {error.fix}" if error.fix else "")


def completions(session: Session) -> Sequence[str]:
    """What tab completes in the filter box."""
    keys = ("task:", "model:", "plugin:", "tag:", "is:", "has:", "since:", "until:", "rating>")
    values = [f"task:{name}" for name in session.registry.tasks()]
    values += [f"model:{info.name}" for info in session.registry.models()]
    values += [f"is:{status}" for status in STATUSES]
    values += [f"has:{what}" for what in ("ref", "score", "rating", "note", "tag", "error")]
    values += [f"since:{ago}" for ago in ("today", "yesterday", "24h", "7d")]
    values += [f"{name.lower()}<" for name in session.registry.metrics()]
    return [*keys, *values]
