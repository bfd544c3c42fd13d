"""Cut a long text where it may be cut: between paragraphs, else sentences, else words."""

from __future__ import annotations

import math
import re

_BREAKS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|(?<=[。！？])"),
    re.compile(r"\s+"),
)
"""Best first. Each matches what stands between two pieces; it goes with the first of them."""


def split_text(text: str, limit: int) -> list[str]:
    """Pieces of at most `limit` characters and of about one length, which joined are the text again."""
    if limit < 1:
        raise ValueError(f"a piece has at least one character, not {limit}")
    pieces: list[str] = []
    while len(text) > limit:
        aim = math.ceil(len(text) / math.ceil(len(text) / limit))
        cut = _cut(text, aim, limit)
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text] if text else pieces


def _cut(text: str, aim: int, limit: int) -> int:
    """The best break near `aim`; a text without any is cut at the limit."""
    first = max(aim * 3 // 4, 1)
    for pattern in _BREAKS:
        ends = [found.end() for found in pattern.finditer(text, 0, limit) if first <= found.end() <= limit]
        if ends:
            return min(ends, key=lambda end: abs(end - aim))
    return limit
