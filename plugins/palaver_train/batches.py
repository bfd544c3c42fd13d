"""Batches in an order that the seed and the epoch alone decide: where a run stopped is two numbers, not a state.

Letters: B batch, T time of the target, S time of the source.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from palaver_train.tokens import BOS, EOS, PAD

Numbers = npt.NDArray[np.int32]
_POOL = 50
"""Batches that are sorted by length together: enough for little padding, few enough to stay random."""


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """What a network is shown, and what it should have said."""

    inputs: Tensor
    """Token ids (B, T): what it reads before each target."""
    targets: Tensor
    """Token ids (B, T); padding where there is none."""
    source: Tensor | None = None
    """Token ids (B, S) of what is to be turned into the target."""

    @property
    def count(self) -> int:
        """Targets that are no padding."""
        return int((self.targets != PAD).sum())

    def part(self, rank: int, world: int) -> Batch:
        """The rows of one of several processes; a process without a row gets one that counts for nothing."""
        if world == 1:
            return self
        rows = torch.arange(rank, self.inputs.shape[0], world)
        if not len(rows):
            return Batch(self.inputs[:1], torch.full_like(self.targets[:1], PAD), _rows(self.source, slice(0, 1)))
        return Batch(self.inputs[rows], self.targets[rows], _rows(self.source, rows))

    def to(self, device: torch.device) -> Batch:
        """The same where the network is."""
        if device.type == "cpu":
            return self
        source = self.source.to(device, non_blocking=True) if self.source is not None else None
        return Batch(self.inputs.to(device, non_blocking=True), self.targets.to(device, non_blocking=True), source)


def _rows(source: Tensor | None, which: Tensor | slice) -> Tensor | None:
    return None if source is None else source[which]


class Batches(Protocol):
    """The data of a run, in batches."""

    def epoch(self, number: int) -> Sequence[Sequence[int]]:
        """What belongs to each batch of an epoch, counted from 0."""
        ...

    def batch(self, items: Sequence[int]) -> Batch:
        """The batch of these items."""
        ...


class Windows:
    """A running text, cut into windows of equal length at an offset that changes from epoch to epoch."""

    def __init__(self, tokens: Sequence[int] | Numbers, *, context: int, batch: int, seed: int) -> None:
        self._tokens = torch.from_numpy(np.asarray(tokens, dtype=np.int32))
        self._context, self._batch, self._seed = context, batch, seed
        self._reach = torch.arange(context + 1)

    @property
    def tokens(self) -> Numbers:
        """The text."""
        return self._tokens.numpy()

    def epoch(self, number: int) -> list[list[int]]:
        """Starts of windows, shuffled; each token is a target once, but for the rests at both ends."""
        generator = np.random.default_rng((self._seed, number))
        free = len(self._tokens) - 1 - self._context
        starts = np.arange(int(generator.integers(min(self._context, free + 1))), free + 1, self._context)
        generator.shuffle(starts)
        return [found.tolist() for found in np.array_split(starts, range(self._batch, len(starts), self._batch))]

    def batch(self, items: Sequence[int]) -> Batch:
        """The windows that begin at these places."""
        found = self._tokens[torch.tensor(items)[:, None] + self._reach].long()
        return Batch(found[:, :-1], found[:, 1:])

    def in_order(self, batch: int) -> Iterator[Batch]:
        """The whole text once, for an evaluation; the last window may be shorter."""
        last = len(self._tokens) - 1
        starts = range(0, last - self._context + 1, self._context)
        for at in range(0, len(starts), batch):
            yield self.batch(list(starts[at : at + batch]))
        if rest := last % self._context:
            found = self._tokens[last - rest :].long()[None]
            yield Batch(found[:, :-1], found[:, 1:])


class Pairs:
    """Sources with targets, batched with others of their length."""

    def __init__(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        *,
        batch: int,
        batch_tokens: int = 0,
        seed: int = 0,
    ) -> None:
        self._sources = [np.asarray(one, dtype=np.int32) for one in sources]
        self._targets = [np.asarray(one, dtype=np.int32) for one in targets]
        self._batch, self._most, self._seed = batch, batch_tokens, seed
        self._lengths = [max(len(one), len(other)) + 1 for one, other in zip(sources, targets, strict=True)]

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def sources(self) -> Sequence[Numbers]:
        """Their tokens, without end marks."""
        return self._sources

    @property
    def tokens(self) -> int:
        """Targets of an epoch, end marks included."""
        return sum(len(one) + 1 for one in self._targets)

    def epoch(self, number: int) -> list[list[int]]:
        """Numbers of pairs: shuffled, sorted by length inside pools, batches shuffled again."""
        generator = np.random.default_rng((self._seed, number))
        order = generator.permutation(len(self._sources)).tolist()
        average = max(1, self._most * len(self._lengths) // sum(self._lengths)) if self._most else self._batch
        found: list[list[int]] = []
        for at in range(0, len(order), average * _POOL):
            pool = sorted(order[at : at + average * _POOL], key=self._lengths.__getitem__)
            found += self._cut(pool)
        return [found[one] for one in generator.permutation(len(found))]

    def _cut(self, pool: Sequence[int]) -> list[list[int]]:
        """Batches of a sorted pool."""
        if not self._most:
            return [list(pool[at : at + self._batch]) for at in range(0, len(pool), self._batch)]
        found: list[list[int]] = [[]]
        for one in pool:  # ascending: the newest is the longest, and what all are padded to
            if found[-1] and (len(found[-1]) + 1) * self._lengths[one] > self._most:
                found.append([])
            found[-1].append(one)
        return found

    def batch(self, items: Sequence[int]) -> Batch:
        """Sources end with an end mark; targets begin with a begin mark and end with an end mark."""
        targets = [self._targets[one] for one in items]
        return Batch(
            padded(targets, before=BOS),
            padded(targets, after=EOS),
            padded([self._sources[one] for one in items], after=EOS),
        )

    def in_order(self, batch: int) -> Iterator[Batch]:
        """All pairs once, for an evaluation; sorted by length, since it changes nothing but the time."""
        order = sorted(range(len(self._sources)), key=self._lengths.__getitem__)
        for at in range(0, len(order), batch):
            yield self.batch(order[at : at + batch])


def padded(rows: Sequence[Numbers], *, before: int | None = None, after: int | None = None) -> Tensor:
    """Rows of different lengths as one tensor (B, T)."""
    left = 0 if before is None else 1
    extra = left + (0 if after is None else 1)
    found = np.full((len(rows), max(map(len, rows)) + extra), PAD, dtype=np.int64)
    for row, tokens in zip(found, rows, strict=True):
        row[left : left + len(tokens)] = tokens
        if after is not None:
            row[left + len(tokens)] = after
    if before is not None:
        found[:, 0] = before
    return torch.from_numpy(found)
