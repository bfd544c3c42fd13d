"""From files to batches: read, keep a part back, learn the tokenizer, cut into windows or pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from palaver import BadInput, UsageError
from palaver_train.batches import Numbers, Pairs, Windows
from palaver_train.config import Run
from palaver_train.split import Split, key, split_items, split_text, without
from palaver_train.text import Cleaning, Pair, read_pairs, read_text, read_texts
from palaver_train.tokens import TextTokenizer, learn_tokenizer

_PIECE = 2**20
"""Characters that are tokenized at once."""
_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Material:
    """All that a run learns from and is asked about."""

    tokenizer: TextTokenizer
    train: Windows | Pairs
    valid: Windows | Pairs | None
    prompts: tuple[str, ...]
    """What samples are written for."""
    train_tokens: int
    valid_tokens: int
    digest: str
    """The same for the same text, split in the same way."""
    notes: tuple[str, ...] = ()
    test: tuple[str, ...] | tuple[Pair, ...] = field(default=(), repr=False)


def prepare(run: Run, tokenizer: TextTokenizer | None = None) -> Material:
    """The material of a run; its tokenizer is learnt from the training part, unless there is one already.

    Raises:
        BadInput: the data cannot be used. UsageError: the run does not say where they are.
    """
    return _language_model(run, tokenizer) if run.kind == "lm" else _pairs(run, tokenizer)


def _language_model(run: Run, tokenizer: TextTokenizer | None) -> Material:
    data, cleaning, notes = run.data, _cleaning(run), []
    if not data.text:
        raise UsageError("There is no text to learn from.", fix="palaver train lm FILE")
    text = read_text(data.text, cleaning)
    if data.valid:
        first = split_text(text, 0.0, data.test_share)
        split = Split(first.train, read_text(data.valid, cleaning), first.test, first.duplicates)
    else:
        split = split_text(text, data.valid_share, data.test_share)
    if split.duplicates:
        notes.append(f"{split.duplicates:,} paragraphs stood in two parts of the text and were taken out of one.")
    tokenizer = tokenizer or learn_tokenizer(
        run.tokens.tokenizer, split.train.splitlines(keepends=True), run.tokens.vocabulary, cleaning
    )
    train, valid = _encode_long(tokenizer, split.train), _encode_long(tokenizer, split.valid)
    context = run.shape.context
    if len(train) <= context:
        raise BadInput(
            f"{data.text} has {len(train):,} tokens to learn from, too few for a context of {context:,}.",
            fix="Give more text, or a smaller --context.",
            code="too_little_text",
        )
    unknown = int((valid == 3).sum())
    if unknown:
        notes.append(f"{unknown:,} of {len(valid):,} validation tokens ({unknown / len(valid):.1%}) are unknown.")
    seed, batch = run.training.seed, run.training.batch
    return Material(
        tokenizer,
        Windows(train, context=context, batch=batch, seed=seed),
        Windows(valid, context=min(context, len(valid) - 1), batch=batch, seed=seed) if len(valid) > 1 else None,
        ("\n",),
        len(train),
        len(valid),
        _digest([split.train, split.valid]),
        tuple(notes),
        (split.test,) if split.test else (),
    )


def _pairs(run: Run, tokenizer: TextTokenizer | None) -> Material:
    cleaning, training = _cleaning(run), run.training
    split, notes = _split_pairs(run, cleaning)
    if tokenizer is None:
        texts = [text for pair in split.train for text in (pair if run.kind == "seq2seq" else pair[:1])]
        tokenizer = learn_tokenizer(run.tokens.tokenizer, texts, run.tokens.vocabulary, cleaning)
    most = run.shape.context - 1  # a place is for the end mark

    def encoded(pairs: Sequence[Pair], named: str) -> Pairs:
        sources = tokenizer.encode_all([source for source, _ in pairs])
        same = run.kind == "autoencoder"
        targets = sources if same else tokenizer.encode_all([target for _, target in pairs])
        fitting = [
            (one, other) for one, other in zip(sources, targets, strict=True) if max(len(one), len(other)) <= most
        ]
        if left := len(pairs) - len(fitting):
            notes.append(f"{left:,} of {len(pairs):,} {named} texts are longer than {most:,} tokens and left out.")
        return Pairs(
            [one for one, _ in fitting],
            [other for _, other in fitting],
            batch=training.batch,
            batch_tokens=training.batch_tokens,
            seed=training.seed,
        )

    train, valid = encoded(split.train, "training"), encoded(split.valid, "validation")
    if not len(train):
        raise BadInput(
            f"No text is short enough for a context of {run.shape.context:,} tokens.",
            fix="Give a larger --context.",
            code="too_little_text",
        )
    return Material(
        tokenizer,
        train,
        valid if len(valid) else None,
        tuple(source for source, _ in split.valid[:_SAMPLES]),
        train.tokens,
        valid.tokens,
        _digest([text for part in (split.train, split.valid) for pair in part for text in pair]),
        tuple(notes),
        tuple(split.test),
    )


def _split_pairs(run: Run, cleaning: Cleaning) -> tuple[Split[list[Pair]], list[str]]:
    data, seed = run.data, run.training.seed
    notes: list[str] = []

    def keys(pair: Pair) -> list[str]:
        return list(dict.fromkeys(key(text) for text in pair))

    def read(source: str, target: str, text: str) -> list[Pair]:
        if run.kind == "autoencoder":
            return [(one, one) for one in read_texts(text, cleaning)]
        return read_pairs(source, target, (data.source_column, data.target_column), cleaning)

    if not (data.text if run.kind == "autoencoder" else data.source):
        told = "FILE" if run.kind == "autoencoder" else "--source FILE --target FILE"
        raise UsageError("There is no text to learn from.", fix=f"palaver train {run.kind} {told}")
    pairs = read(data.source, data.target, data.text)
    if len(unique := list(dict.fromkeys(pairs))) < len(pairs):
        notes.append(f"{len(pairs) - len(unique):,} of {len(pairs):,} texts stood there twice and are used once.")
    if not (data.valid if run.kind == "autoencoder" else data.valid_source):
        return split_items(unique, keys, data.valid_share, data.test_share, seed), notes
    valid = read(data.valid_source, data.valid_target, data.valid)
    train, taken = without(unique, valid, keys)
    if taken:
        notes.append(f"{taken:,} training texts also stand in the validation text and are left out.")
    if not train:
        raise BadInput("All training texts also stand in the validation text.", code="too_little_text")
    if data.test_share:
        found = split_items(train, keys, 0.0, data.test_share, seed)
        return Split(found.train, valid, found.test), notes
    return Split(train, valid, []), notes


def _cleaning(run: Run) -> Cleaning:
    return Cleaning(run.data.normalize, run.data.lowercase)


def _encode_long(tokenizer: TextTokenizer, text: str) -> Numbers:
    """The tokens of a long text, piece by piece: whole, they would need many times its memory."""
    pieces, lines, size = [], [], 0
    for line in text.splitlines(keepends=True):
        lines.append(line)
        size += len(line)
        if size >= _PIECE:
            pieces.append(np.asarray(tokenizer.encode("".join(lines)), dtype=np.int32))
            lines, size = [], 0
    pieces.append(np.asarray(tokenizer.encode("".join(lines)), dtype=np.int32))
    return np.concatenate(pieces)


def _digest(texts: Sequence[str]) -> str:
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode("utf-8", "replace") + b"\0")
    return found.hexdigest()[:16]


def write_test(material: Material, folder: Path) -> None:
    """What was kept back for a test, beside the run: `test.txt`, or `test.source` and `test.target`."""
    if not material.test:
        return
    if isinstance(material.test[0], str):
        (folder / "test.txt").write_text("".join(str(one) for one in material.test), "utf-8")
        return
    for side, name in enumerate(("test.source", "test.target")):
        (folder / name).write_text("".join(f"{pair[side]}\n" for pair in material.test), "utf-8")
