"""What tokens say, for a tokenizer of transformers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Decoder(Protocol):
    """What is used of a tokenizer."""

    def decode(
        self, token_ids: list[int], *, skip_special_tokens: bool = ..., clean_up_tokenization_spaces: bool = ...
    ) -> str | list[str]: ...


def text_of(tokenizer: Decoder) -> Callable[[list[int]], str]:
    """The function that `palaver.pieces.Pieces` decodes with: no special tokens, every space as it is."""

    def decode(tokens: list[int]) -> str:
        text = tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text

    return decode
