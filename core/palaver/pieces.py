"""Turn tokens into pieces of text as they come: whole characters only, and never beyond a stop text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_HALF = "\ufffd"
_BEFORE = 8
"""Tokens of a prompt that are decoded along."""


class Pieces:
    """The text of one answer. All pieces together are the text of all tokens, cut at the first stop text."""

    def __init__(
        self, decode: Callable[[list[int]], str], stop: Sequence[str] = (), *, prompt: Sequence[int] = ()
    ) -> None:
        """`prompt` is what is gone on from: some tokenizers write the first token of a text without its space."""
        self.stopped = False
        """A stop text was met: nothing more will come."""
        self._decode = decode
        self._stop = tuple(one for one in stop if one)
        self._tokens = list(prompt[-_BEFORE:])
        self._from, self._seen = 0, len(self._tokens)  # the window that is decoded, and what of it has been told
        self._held = ""

    def push(self, tokens: Sequence[int]) -> str:
        """The text that these tokens add; what could be half a character or half a stop text waits."""
        if self.stopped:
            return ""
        self._tokens.extend(tokens)
        added = self._added()
        if not added or added.endswith(_HALF):
            return ""
        self._from, self._seen = self._seen, len(self._tokens)
        return self._release(added, is_last=False)

    def finish(self) -> str:
        """What was waiting, at the end of the answer."""
        if self.stopped:
            return ""
        added = self._added()
        self._from = self._seen = len(self._tokens)
        return self._release(added, is_last=True)

    def _added(self) -> str:
        if self._seen == len(self._tokens):
            return ""
        before = self._text(self._tokens[self._from : self._seen])
        return self._text(self._tokens[self._from :])[len(before) :]

    def _text(self, tokens: list[int]) -> str:
        return self._decode(tokens) if tokens else ""

    def _release(self, text: str, *, is_last: bool) -> str:
        if not self._stop:
            return text
        text = self._held + text
        cuts = [found for one in self._stop if (found := text.find(one)) >= 0]
        if cuts:
            self.stopped, self._held = True, ""
            return text[: min(cuts)]
        kept = 0 if is_last else max(_overlap(text, one) for one in self._stop)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]


def _overlap(text: str, stop: str) -> int:
    """Characters at the end of `text` that could begin `stop`."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
