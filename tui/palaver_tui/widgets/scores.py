"""The line of numbers under an answer: never without n, its signatures one key away."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from palaver.metric import Score
from palaver.present import UNSCORED, format_value
from palaver_tui.widgets.text import styled


def score_line(scores: Sequence[Score], turn: int, baseline: tuple[str, Sequence[Score]] | None = None) -> Content:
    """`BLEU 62.4   chrF 81.0   TER 8.3   n=1 · #1842`, then the baseline and why a number is missing."""
    pieces: list[str | tuple[str, str]] = []
    for score in scores:
        pieces += ["   " if pieces else "", (score.title, "bold"), f" {format_value(score.metric, score.value)}"]
    pieces.append(("   n=1 · " if pieces else "", "$muted"))
    pieces.append((f"#{turn}", "$muted"))
    if baseline is not None and baseline[1]:
        name, values = baseline
        said = "   ".join(f"{one.title} {format_value(one.metric, one.value)}" for one in values)
        pieces.append((f"\n{name}   {said}", "$muted"))
    missing = {score.error: score.title for score in reversed(scores) if score.value is None and score.error}
    for reason, title in missing.items():
        pieces.append((f"\n{title} {UNSCORED}: {reason}", "$muted"))
    return styled(*pieces)
