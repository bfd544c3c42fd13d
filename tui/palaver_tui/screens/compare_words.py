"""What the Compare screen says: whose answer, what it scored, what the marks mean, how the votes stand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from textual.content import Content

from palaver.present import format_seconds, format_value
from palaver.store import Turn, Vote
from palaver.terminal import cells, clip, safe_line
from palaver_tui.comparing import Side
from palaver_tui.places import Keys
from palaver_tui.widgets.footer import Hint
from palaver_tui.widgets.sides import Side as Drawn
from palaver_tui.widgets.text import styled
from palaver_tui.widgets.turn_detail import LONGEST, marked

Asking = Literal["prompt", "models", "reference"]
"""What the line at the bottom is for."""
LETTERS = "ABCDEFGH"
"""Names of the sides; so many models at most."""
PROMPT_HINTS = (
    Hint("enter", "ask all", 1),
    Hint("tab", "complete, models", 4),
    Hint("esc", "to the answers", 2),
    Hint("ctrl+t", "copy command", 5),
    Hint("F1", "help", 3),
)
READY_HINTS = (
    Hint("v", "vote", 1),
    Hint("n", "names", 2),
    Hint("p", "prompt", 3),
    Hint("m", "models", 4),
    Hint("r", "reference", 5),
    Hint("h", "highlight", 7),
    Hint("esc", "back", 6),
    Hint("F1", "help", 8),
)
RUNNING_HINTS = (Hint("esc", "stop and keep", 1), Hint("n", "names", 2), Hint("F1", "help", 3))
KEYS: Keys = (
    ("p or /", "another prompt to the same models: text, or /task as in the chat, with @files and --ref"),
    ("m", "the models: two or more names"),
    ("enter", "in the prompt: ask all of them, one after the other, so that none slows another down"),
    ("v", "vote: a, b … for the better one, t for a tie; then the names are shown, and the vote is kept"),
    ("n", "show the names without a vote, or hide them and shuffle again"),
    ("r", "give a reference, which scores all answers"),
    ("h", "marks of what is in the reference, on and off"),
    ("w", "swap the sides"),
    ("y", "copy the answers"),
    ("ctrl+t", "copy the command line that lists the answers"),
    ("esc", "stop and keep; close; back"),
)
LEGEND: Sequence[str | tuple[str, str]] = (
    (" in the reference: ", "$muted"),
    ("4 words in a row or more", "bold underline"),
    "   ",
    ("2–3", "underline"),
    "   1   ",
    ("not in it", "dim"),
)


def will_ask(asking: Asking, models: Sequence[str]) -> str:
    """What enter does with the line at the bottom."""
    if asking == "models":
        return "the models to ask, with spaces between them"
    if asking == "reference":
        return "the answer you would have wanted, or @file: it scores all answers"
    if len(models) < 2:
        return "two models or more are needed: tab on an empty line chooses them"
    return f"asks {', '.join(models[:-1])} and {models[-1]}, one after the other · tab on an empty line: others"


def legend() -> Content:
    """What the marks mean, in the marks themselves."""
    return styled(*LEGEND)


def drawn(side: Side, letter: str, *, is_blind: bool, is_marked: bool, verdict: str = "") -> Drawn:
    """One answer; blind, nothing about it tells whose it is: no name, no score, no time."""
    pieces: list[str | tuple[str, str]] = [(letter, "bold $accent")]
    if not is_blind:
        pieces += ["  ", (safe_line(side.model), "bold")]
    if verdict:
        pieces += ["   ", (verdict, "$better")]
    body = _body(side, is_marked=is_marked and not is_blind)
    return Drawn(styled(*pieces), body, _foot(side, is_blind=is_blind))


def _body(side: Side, *, is_marked: bool) -> Content:
    text = side.text
    if side.state == "done" and is_marked and side.spans:
        return marked(text, side.spans, side.turn.id if side.turn else 0)
    if not text:
        said = {"wait": "waits for its turn", "asked": "reading…", "done": "(empty)"}.get(side.state, "")
        return styled((said, "$muted"))
    shown = text[:LONGEST]
    return styled(shown, ("▍", "$accent")) if side.state == "writing" else styled(shown)


def _foot(side: Side, *, is_blind: bool) -> Content:
    if side.state == "failed":
        said = "it failed" if is_blind else side.error
        return styled(("! ", "bold $error"), (said, "$error"))
    if side.state in ("asked", "writing"):
        words = len(side.text.split())
        spent = "" if is_blind else f" · {time.monotonic() - side.began:.0f} s"
        return styled((f"writing… {words} words{spent}" if words else f"reading…{spent}", "$muted"))
    if side.turn is None or is_blind:
        return Content("")
    return styled(*scores_pieces(side.turn), (f"\n{facts(side.turn)}", "$muted"))


def scores_pieces(turn: Turn) -> list[str | tuple[str, str]]:
    """`BLEU 62.4   chrF 81.0   n=1`, then why a number is missing."""
    pieces: list[str | tuple[str, str]] = []
    for score in turn.scores:
        pieces += ["   " if pieces else "", (score.title, "bold"), f" {format_value(score.metric, score.value)}"]
    if pieces:
        pieces.append(("   n=1", "$muted"))
    return [one for one in pieces if one]


def facts(turn: Turn) -> str:
    """`0.84 s · 39 tokens · #12`, and how it ended where it is not whole."""
    parts = [format_seconds(turn.seconds)] if turn.seconds is not None else []
    if turn.output_tokens:
        parts.append(f"{turn.output_tokens} tokens")
    if turn.status != "complete":
        parts.append(
            {"cancelled": "stopped, not scored", "truncated": "cut off at the token limit"}.get(turn.status, "")
        )
    return " · ".join([*(part for part in parts if part), f"#{turn.id}"])


def asked(turn: Turn | None, typed: str, width: int, *, rows: int, is_task_shown: bool = True) -> Content:
    """The question and its references, each on at most so many rows; of several references the first `rows`."""
    lines: list[Content] = []
    is_chat = turn is None or turn.task == "chat"
    if turn is not None and not is_chat and is_task_shown and not typed.startswith("/"):
        options = " ".join(f"{key}={value}" for key, value in turn.options.items() if value not in ("", None))
        lines.append(_labelled("task", f"{turn.task} {options}", width, 1))
    said = typed or (turn.input_text if turn else "")
    lines.append(_labelled("you" if typed or is_chat else "source", said, width, rows))
    references = turn.references if turn else ()
    lines += [_labelled("ref", one.text, width, rows) for one in references[:rows]]
    if len(references) > rows:
        more = len(references) - rows
        lines[-1] = lines[-1] + styled((f" (+{more} more)", "$muted"))
    return Content("\n").join(lines)


def _labelled(label: str, text: str, width: int, rows: int) -> Content:
    """A label, and a text that hangs beside it."""
    room = max(20, min(width, 116) - 10 - 12)  # twelve cells for what may follow
    kept = [*wrapped(safe_line(text[: 4 * room * rows]), room, rows)] or [""]
    return styled((f" {label:<9}", "$muted"), ("\n" + " " * 10).join(kept))


def wrapped(line: str, width: int, rows: int) -> list[str]:
    """`line` in at most `rows` rows of `width` cells, broken between words; the last one cut if there is more."""
    kept: list[str] = []
    rest = line
    while rest and len(kept) < rows - 1 and cells(rest) > width:
        row = clip(rest, width + 1).removesuffix("…")
        cut = row.rfind(" ") if " " in row else len(row)
        kept.append(rest[:cut])
        rest = rest[cut:].lstrip()
    return [*kept, clip(rest, width)] if rest else kept


def votes_line(votes: Sequence[Vote], models: Sequence[str]) -> str:
    """`votes: lead-3 3 · lexrank 1 · 2 ties (5 blind)`."""
    if not votes:
        return ""
    wins = {model: sum(one.winner_model == model and not one.is_tie for one in votes) for model in models}
    ties = sum(one.is_tie for one in votes)
    parts = [f"{model} {count}" for model, count in wins.items()]
    if ties:
        parts.append(f"{ties} tie{'s' if ties > 1 else ''}")
    return f"votes: {' · '.join(parts)} ({sum(one.is_blind for one in votes)} of {len(votes)} blind)"
