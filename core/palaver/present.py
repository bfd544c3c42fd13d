"""Numbers as people read them: scores, sizes, durations; the same in the terminal UI and on the command line."""

from __future__ import annotations

from collections.abc import Iterable

from palaver.metric import Score

UNSCORED = "–"

_FRACTIONS = ("rouge", "R-", "distinct", "dist-", "repetition", "rep")
"""Beginnings of the names and titles of metrics whose own scale is 0-1; printed as the papers do, times 100."""
_COUNTS = ("length", "words")


def format_value(name: str, value: float | None) -> str:
    """A score's number with one decimal, a count without; `name` is the metric's name or title."""
    if value is None:
        return UNSCORED
    if name in _COUNTS:
        return f"{value:.0f}"
    return f"{value * 100 if name.startswith(_FRACTIONS) else value:.1f}"


def format_score(score: Score) -> str:
    """`BLEU 62.4`; ROUGE and other fractions times 100; `BLEU –` where there is no value."""
    return f"{score.title} {format_value(score.metric, score.value)}"


def format_scores(scores: Iterable[Score]) -> str:
    """`BLEU 62.4  chrF 81.0  TER 8.3`."""
    return "  ".join(map(format_score, scores))


def format_size(size: float) -> str:
    """Bytes in decimal units: `93 MB`, `1.1 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            number = size / factor
            return f"{number:.1f} {unit}" if unit == "GB" else f"{number:.0f} {unit}"
    return f"{size:.0f} B"


def format_seconds(seconds: float | None) -> str:
    """`0.84 s`, `12.3 s`, `3:05`; a dash when it is not known."""
    if seconds is None:
        return UNSCORED
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_signed(name: str, value: float) -> str:
    """A difference of two scores of this metric: `+1.6`, `−0.3`, with a minus sign as wide as the plus."""
    shown = format_value(name, abs(value))
    return f"{'−' if value < 0 else '+'}{shown}" if shown.strip("0.") else shown
