"""Turn tokens into pieces of text as they come: whole characters only, and never beyond a stop text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

_HALF = "�"


class Decoder(Protocol):
    """What is used of a tokenizer."""

    def decode(
        self, token_ids: list[int], *, skip_special_tokens: bool = ..., clean_up_tokenization_spaces: bool = ...
    ) -> str | list[str]: ...


class Pieces:
    """The text of one answer. All pieces together are the text of all tokens, cut at the first stop text."""

    def __init__(self, tokenizer: Decoder, stop: Sequence[str] = ()) -> None:
        self.stopped = False
        """A stop text was met: nothing more will come."""
        self._tokenizer = tokenizer
        self._stop = tuple(one for one in stop if one)
        self._tokens: list[int] = []
        self._from, self._seen = 0, 0  # the window that is decoded, and what of it has been told
        self._held = ""

    def push(self, tokens: Sequence[int]) -> str:
        """The text that these tokens add; what could be half a character or half a stop text waits."""
        if self.stopped:
            return ""
        self._tokens.extend(tokens)
        before = self._text(self._tokens[self._from : self._seen])
        now = self._text(self._tokens[self._from :])
        if len(now) <= len(before) or now.endswith(_HALF):
            return ""
        self._from, self._seen = self._seen, len(self._tokens)
        return self._release(now[len(before) :], is_last=False)

    def finish(self) -> str:
        """What was waiting, at the end of the answer."""
        if self.stopped:
            return ""
        before = self._text(self._tokens[self._from : self._seen])
        now = self._text(self._tokens[self._from :])
        self._from = self._seen = len(self._tokens)
        return self._release(now[len(before) :], is_last=True)

    def _text(self, tokens: list[int]) -> str:
        if not tokens:
            return ""
        text = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

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
