"""Texts as a trained network reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from palaver_train.batches import padded
from palaver_train.tokens import EOS


def as_source(rows: Sequence[Sequence[int]], network: Any) -> Tensor:
    """Token ids (B, S) of texts, each cut to the context and closed with an end mark."""
    most = network.shape.context - 1
    tokens = [np.asarray(row[:most], dtype=np.int32) for row in rows]
    return padded(tokens, after=EOS).to(next(network.parameters()).device)


def reconstructed(network: Any, source: Tensor) -> list[list[int]]:
    """What an autoencoder of vectors makes of sources (B, S): the nearest tokens up to the first end mark."""
    made = network.nearest(network.decode(network.embed(source), network.shape.context))
    rows: list[list[int]] = made.tolist()
    return [row[: row.index(EOS)] if EOS in row else row[: source.shape[1]] for row in rows]


def vectors_of(network: Any, source: Tensor) -> Tensor:
    """The vector (B, D) of each text, of length 1."""
    with torch.inference_mode():
        return torch.nn.functional.normalize(network.embed(source).float(), dim=-1)
