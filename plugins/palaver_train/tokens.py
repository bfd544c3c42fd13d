"""Tokenizers that are learnt from the training text: characters, words, byte-pair encoding, unigrams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from palaver import BadInput
from palaver_train.text import Cleaning

Sort = Literal["char", "word", "bpe", "unigram"]

PAD, BOS, EOS, UNKNOWN = 0, 1, 2, 3
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
_CHARACTER = r"[\s\S]"
_WORD = r" ?\w+| ?[^\w\s]|\s"
"""A word or a sign with the space before it, so that the tokens put together are the text again."""


class TextTokenizer:
    """Text to numbers and back. Everything it needs is in one tokenizer.json, the normalisation included."""

    def __init__(self, made: Any) -> None:
        self._made = made

    @property
    def size(self) -> int:
        """Tokens in the vocabulary."""
        return int(self._made.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without begin and end."""
        return list(self._made.encode(text, add_special_tokens=False).ids)

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """The same for many texts at once."""
        return [list(one.ids) for one in self._made.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; what marks begin, end and padding is left out."""
        return str(self._made.decode(list(tokens), skip_special_tokens=True))

    def to_json(self) -> str:
        """What `from_json` reads back."""
        return str(self._made.to_str())

    @staticmethod
    def from_json(text: str) -> TextTokenizer:
        """The tokenizer of a tokenizer.json."""
        from tokenizers import Tokenizer

        return TextTokenizer(Tokenizer.from_str(text))

    @staticmethod
    def read(path: Path) -> TextTokenizer:
        """The tokenizer in a file."""
        return TextTokenizer.from_json(path.read_text("utf-8"))


def learn_tokenizer(sort: Sort, texts: Iterable[str], vocabulary: int, cleaning: Cleaning) -> TextTokenizer:
    """A tokenizer with at most that many tokens, learnt from these texts.

    Raises:
        BadInput: the texts have too few different pieces for such a vocabulary.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    special = list(SPECIAL)
    made: Any
    trainer: Any
    if sort in ("char", "word"):
        made = Tokenizer(models.WordLevel(unk_token=SPECIAL[UNKNOWN]))
        pattern = Regex(_CHARACTER if sort == "char" else _WORD)
        made.pre_tokenizer = pre_tokenizers.Split(pattern, "isolated")
        made.decoder = decoders.Fuse()
        trainer = trainers.WordLevelTrainer(vocab_size=vocabulary, special_tokens=special, show_progress=False)
    elif sort == "bpe":
        made = Tokenizer(models.BPE())  # over bytes, so that no text is unknown (Radford et al. 2019)
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
    else:
        made = Tokenizer(models.Unigram())  # Kudo 2018
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        made.decoder = decoders.Metaspace(prepend_scheme="first")
        trainer = trainers.UnigramTrainer(
            vocab_size=vocabulary, special_tokens=special, unk_token=SPECIAL[UNKNOWN], show_progress=False
        )
    steps: list[Any] = [normalizers.NFC()] if cleaning.form == "nfc" else []
    if cleaning.form == "nfkc":
        steps = [normalizers.NFKC()]
    if cleaning.lowercase:
        steps = [*steps, normalizers.Lowercase()]
    if steps:
        made.normalizer = normalizers.Sequence(steps)
    try:
        made.train_from_iterator(texts, trainer)
    except Exception as error:  # of Rust, with its own words
        raise BadInput(
            f"No {sort} tokenizer can be learnt from this text: {error}.",
            fix="Give more text, or another --tokenizer.",
            code="too_little_text",
        ) from error
    return TextTokenizer(made)
