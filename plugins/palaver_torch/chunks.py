"""Cut a text into pieces that fit a model's window, and put what comes of them together again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# A full stop, question or exclamation mark with what closes it; in Chinese and Japanese no space follows.
_SENTENCE = re.compile(r".+?(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』”]*|\Z)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text with what stood before it."""

    before: str
    """Line breaks and spaces, kept in the output."""
    text: str


def by_lines(text: str, fits: Callable[[str], bool]) -> list[Chunk]:
    """Every line is a chunk, or several if it does not fit: no sentence is torn that fits by itself."""
    chunks: list[Chunk] = []
    gap = ""
    for line in re.split(r"(\n+)", text):
        if not line.strip():
            gap += line
            continue
        for piece in _pieces(line.strip(), fits):
            chunks.append(Chunk(gap if gap else (" " if chunks else ""), piece))
            gap = ""
    return chunks


def joined(chunks: Sequence[Chunk], outputs: Sequence[str]) -> str:
    """The outputs with what stood between their chunks."""
    return "".join(chunk.before + output for chunk, output in zip(chunks, outputs, strict=True))


def _pieces(text: str, fits: Callable[[str], bool]) -> list[str]:
    if fits(text):
        return [text]
    parts = [one for one in _SENTENCE.findall(text) if one.strip()]
    if len(parts) == 1:
        parts = re.findall(r"\S+\s*", text)
    if len(parts) == 1:  # one endless word
        half = max(1, len(text) // 2)
        return [text] if len(text) == 1 else [*_pieces(text[:half], fits), *_pieces(text[half:], fits)]
    pieces: list[str] = []
    current = ""
    for part in parts:
        if current and not fits((current + part).strip()):
            pieces.extend(_pieces(current.strip(), fits))
            current = ""
        current += part
    return [*pieces, *_pieces(current.strip(), fits)] if current.strip() else pieces
