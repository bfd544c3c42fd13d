"""The tokenizer that a GGUF file carries: byte-level BPE, as GPT-2, Llama 3, Qwen 2 and SmolLM cut their texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from palaver_torch.gguf import File, NotGGUF

_CONTROL, _USER_DEFINED = 3, 4

# How the text is cut before BPE, by `tokenizer.ggml.pre`; the patterns are those of the models' own tokenizers.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS = {
    "qwen2": rf"{_CONTRACTIONS}|\p{{N}}{_REST}",
    "llama-bpe": rf"{_CONTRACTIONS}|\p{{N}}{{1,3}}{_REST}",
}
_DIGITS_APART = frozenset({"smollm"})
_LIKE_GPT2 = frozenset({"gpt-2", "default", ""})


def tokenizer(file: File) -> PreTrainedTokenizerFast:
    """The tokenizer, with the file's chat template.

    Raises:
        NotGGUF: it is of a kind that is not known.
    """
    kind, cut = file.text("tokenizer.ggml.model"), file.text("tokenizer.ggml.pre")
    is_known = cut in _PATTERNS or cut in _DIGITS_APART or cut in _LIKE_GPT2
    if kind != "gpt2" or not is_known:
        raise NotGGUF(f"its tokenizer is of a kind ('{kind or 'none'}', '{cut}') that is not known here")
    words = cast("list[str]", file.items("tokenizer.ggml.tokens"))
    pairs = (one.partition(" ") for one in cast("list[str]", file.items("tokenizer.ggml.merges")))
    merges = [(first, second) for first, _, second in pairs]
    made = Tokenizer(models.BPE(vocab={word: at for at, word in enumerate(words)}, merges=merges))
    made.pre_tokenizer = _before(cut)
    made.decoder = decoders.ByteLevel()
    types = cast("list[int]", file.items("tokenizer.ggml.token_type"))
    for word, type_ in zip(words, types, strict=False):
        if type_ in (_CONTROL, _USER_DEFINED):
            one = AddedToken(word, normalized=False, special=type_ == _CONTROL)
            (made.add_special_tokens if type_ == _CONTROL else made.add_tokens)([one])
    named = {
        name: words[int(file.number(f"tokenizer.ggml.{key}_token_id"))]
        for name, key in (("bos_token", "bos"), ("eos_token", "eos"))
        if f"tokenizer.ggml.{key}_token_id" in file.values
    }
    kind_of = cast("Callable[..., PreTrainedTokenizerFast]", PreTrainedTokenizerFast)
    found = kind_of(tokenizer_object=made, clean_up_tokenization_spaces=False, **named)
    found.chat_template = file.text("tokenizer.chat_template") or None
    return found


def _before(cut: str) -> pre_tokenizers.PreTokenizer:
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cut not in _PATTERNS)
    if cut in _DIGITS_APART:
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), bytes_])
    if cut in _PATTERNS:
        split = pre_tokenizers.Split(Regex(_PATTERNS[cut]), behavior="isolated", invert=False)
        return pre_tokenizers.Sequence([split, bytes_])
    return bytes_
