"""Text from tokens as they come: whole characters only, and never beyond a stop text."""

from __future__ import annotations

from collections.abc import Sequence

from palaver_train.tokens import TextTokenizer

_HALF = "\ufffd"
_BEFORE = 8
"""Tokens of the prompt that are decoded along: some tokenizers write the first token of a text without its space."""


class Pieces:
    """The text of one answer, a piece at a time; all pieces together are the text of all tokens up to a stop text."""

    def __init__(self, tokenizer: TextTokenizer, prompt: Sequence[int], stop: Sequence[str]) -> None:
        self.is_stopped = False
        self._tokenizer, self._stop = tokenizer, tuple(one for one in stop if one)
        self._tokens = list(prompt[-_BEFORE:])
        self._from, self._seen = 0, len(self._tokens)
        self._held = ""

    def push(self, token: int) -> str:
        """The text that a token adds; what could be half a character or half a stop text waits."""
        self._tokens.append(token)
        piece = self._added()
        if not piece or piece.endswith(_HALF):
            return ""
        self._from, self._seen = self._seen, len(self._tokens)
        return self._released(piece)

    def finish(self) -> str:
        """What was waiting."""
        piece = "" if self.is_stopped else self._added()
        self._from = self._seen = len(self._tokens)
        text, self._held = self._released(piece) + self._held, ""
        return "" if self.is_stopped and not piece else text

    def _added(self) -> str:
        before = self._tokenizer.decode(self._tokens[self._from : self._seen])
        return self._tokenizer.decode(self._tokens[self._from :])[len(before) :]

    def _released(self, piece: str) -> str:
        if not self._stop or self.is_stopped:
            return "" if self.is_stopped else piece
        text = self._held + piece
        cuts = [at for one in self._stop if (at := text.find(one)) >= 0]
        if cuts:
            self.is_stopped, self._held = True, ""
            return text[: min(cuts)]
        kept = max((size for one in self._stop for size in range(1, len(one)) if text.endswith(one[:size])), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]
