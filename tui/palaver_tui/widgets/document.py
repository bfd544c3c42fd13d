"""Markdown from outside, made safe; its links are shown and open nothing."""

from __future__ import annotations

from textual.widgets import Markdown

from palaver.terminal import safe_text


class Document(Markdown):
    """A finished stretch of an answer."""

    def __init__(self, text: str, *, classes: str | None = None) -> None:
        super().__init__(safe_text(text), classes=classes, open_links=False)
