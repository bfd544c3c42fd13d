"""What a checkpoint can be asked beside its task: how likely a text is, the vectors of texts, and which are near."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from palaver import BadInput, PalaverError
from palaver_train.batches import Windows
from palaver_train.kneser_ney import NgramModel
from palaver_train.losses import cross_entropy
from palaver_train.material import prepare
from palaver_train.model import Loaded, open_checkpoint
from palaver_train.source import as_source, vectors_of

_ROWS = 64


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How well a model foresees a text."""

    nats: float
    """Sum of -log P over the tokens but the first."""
    tokens: int
    characters: int

    @property
    def perplexity(self) -> float:
        """A token's; comparable between models with the same tokenizer only."""
        return math.exp(self.nats / self.tokens)

    @property
    def bits_per_character(self) -> float:
        """Comparable between all models of the same text."""
        return self.nats / self.characters / math.log(2)


def open_kind(folder: Path, kind: str) -> Loaded:
    """A checkpoint of that kind.

    Raises:
        BadInput: it is of another. ModelFailed: it is damaged.
    """
    loaded = open_checkpoint(folder)
    if loaded.description.run.kind != kind:
        article = "an autoencoder" if kind == "autoencoder" else "a language model"
        raise BadInput(
            f"{folder} is no checkpoint of {article}, but of {loaded.description.run.kind}.",
            fix=f"palaver train {kind} --help",
            code="model_cannot",
        )
    return loaded


def likelihood(loaded: Loaded, text: str) -> Likelihood:
    """How well a language model foresees a text, read in windows of its context.

    Raises:
        BadInput: the text is shorter than two tokens.
    """
    tokens = loaded.tokenizer.encode(text)
    if len(tokens) < 2:
        raise BadInput("The text is too short to say how likely it is.", code="too_little_text")
    windows = Windows(tokens, context=min(loaded.network.shape.context, len(tokens) - 1), batch=_ROWS, seed=0)
    total = 0.0
    with torch.inference_mode():
        for batch in windows.in_order(_ROWS):
            logits = loaded.network(batch.inputs)
            _, plain = cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
            total += float(plain)
    return Likelihood(total, len(tokens) - 1, len(text))


def ngram_likelihood(loaded: Loaded, text: str) -> Likelihood | None:
    """How well 5-grams foresee it that were counted in what the checkpoint learnt from; None where that is gone."""
    try:
        material = prepare(loaded.description.run, loaded.tokenizer)
    except PalaverError:
        return None
    if not isinstance(material.train, Windows) or material.digest != loaded.description.digest:
        return None
    tokens = np.asarray(loaded.tokenizer.encode(text), dtype=np.int64)
    model = NgramModel(material.train.tokens.astype(np.int64), loaded.tokenizer.size)
    chances = model.probabilities(tokens)[1:]
    return Likelihood(float(-np.log(chances).sum()), len(chances), len(text))


def vectors(loaded: Loaded, texts: Sequence[str]) -> Iterator[list[float]]:
    """The vector of each text, of length 1."""
    for at in range(0, len(texts), _ROWS):
        rows = [loaded.tokenizer.encode(one) for one in texts[at : at + _ROWS]]
        yield from vectors_of(loaded.network, as_source(rows, loaded.network)).tolist()


def nearest(loaded: Loaded, text: str, among: Sequence[str], count: int) -> list[tuple[float, str]]:
    """The texts with the smallest angle to one, and its cosine, the nearest first."""
    found = torch.tensor(list(vectors(loaded, [text, *among])))
    cosines = found[1:] @ found[0]
    values, places = cosines.topk(min(count, len(among)))
    return [(float(value), str(among[int(place)])) for value, place in zip(values, places.tolist(), strict=True)]
