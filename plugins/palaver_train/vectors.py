"""Word vectors from counts of what stands near what, by a singular value decomposition (Levy & Goldberg 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from palaver_train.batches import Pairs
from palaver_train.material import Material
from palaver_train.tokens import SPECIAL

_WINDOW = 4
"""Tokens on each side that count as near."""


def give_vectors(network: Any, material: Material, seed: int) -> None:
    """The vectors that an autoencoder of vectors is to give back, learnt from the training texts."""
    assert isinstance(material.train, Pairs)
    size, width = network.vectors.shape
    network.vectors.copy_(word_vectors(material.train.sources, size, width, seed))


def word_vectors(rows: Sequence[Any], size: int, width: int, seed: int) -> Tensor:
    """Vectors (V, D) with a mean square of 1, from positive pointwise mutual information."""
    generator = torch.Generator().manual_seed(seed)
    counts: dict[int, int] = {}
    for row in rows:
        row = np.asarray(row, dtype=np.int64)
        for distance in range(1, _WINDOW + 1):
            places, times = np.unique(row[:-distance] * size + row[distance:], return_counts=True)
            for place, count in zip(places.tolist(), times.tolist(), strict=True):
                counts[place] = counts.get(place, 0) + count
    noise = torch.randn(size, width, generator=generator)
    if not counts:
        return noise
    places_, times_ = torch.tensor(list(counts)), torch.tensor(list(counts.values()), dtype=torch.float32)
    one, other = places_ // size, places_ % size
    ones, others = torch.cat([one, other]), torch.cat([other, one])
    both = times_.repeat(2)
    total = torch.zeros(size).scatter_add_(0, ones, both)
    # Levy et al. 2015: context counts to the power 0.75 keep rare words from looking informative.
    smooth = total**0.75
    information = torch.log(both * smooth.sum() / (total[ones] * smooth[others]))
    kept = information > 0
    matrix = torch.sparse_coo_tensor(
        torch.stack([ones[kept], others[kept]]), information[kept], (size, size), check_invariants=False
    ).coalesce()
    rank = min(width, size)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # svd_lowrank takes no generator
        left, values, _ = torch.svd_lowrank(matrix, q=rank)
    found = torch.zeros(size, width)
    found[:, :rank] = left * values.sqrt()
    found += 0.01 * noise * found.std()  # tokens that were never seen differ from each other
    found[: len(SPECIAL)] = noise[: len(SPECIAL)] * found.std()
    return found / found.pow(2).mean(dim=-1, keepdim=True).sqrt().clamp(min=1e-6)
