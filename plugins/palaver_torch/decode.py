"""Write many texts at once with a causal model: slots are refilled as answers end, prompts are read without padding.

The tokens of a request are those that it would get alone: rows share matrix products, never positions or random
numbers. In float32 that is exact in practice; in bfloat16 a product over another number of rows rounds otherwise, and
two tokens that are equally likely to 8 bits can change places.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from palaver import FinishReason, GenerationConfig
from palaver_torch.sampling import choose, uniforms
from palaver_torch.slots import Segment, SlotCache

SHARED_AT_LEAST = 16
"""Tokens that all prompts of a call begin with and that are then read once: fewer are not worth the copies."""


class CausalForward(Protocol):
    """What is used of a transformers causal model."""

    def __call__(
        self,
        *,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        past_key_values: SlotCache,
        use_cache: bool,
        logits_to_keep: torch.Tensor | int,
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What one machine takes at a time."""

    rows: int
    """Texts that are written at once."""
    prefill: int
    """Prompt tokens of one pass: between two passes a cancel is heard."""
    burst: int = 1
    """Tokens a row between two looks at the results: more than 1 where waiting for the device costs time."""


@dataclass(frozen=True, slots=True)
class Job:
    """One text to write."""

    index: int
    prompt: Sequence[int]
    limit: int
    """At most this many tokens."""


@dataclass(frozen=True, slots=True)
class Written:
    """Tokens that a text has grown by. The last of a job carries `reason`."""

    index: int
    tokens: Sequence[int]
    """Without the end token."""
    reason: FinishReason | None = None


@dataclass(slots=True)
class _Row:
    job: Job
    random: torch.Tensor | None
    written: int = 0
    fed: list[int] = field(default_factory=list)
    """Tokens whose keys are in the slot, so far as anybody wants to know."""


class Writer:
    """A model with its slots. One call of `write` at a time."""

    def __init__(self, model: CausalForward, slots: SlotCache, *, ends: frozenset[int], device: torch.device) -> None:
        self._model, self._slots, self._ends, self._device = model, slots, ends, device
        self._rows: list[_Row] = []
        self._resident: list[int] = []
        """Tokens whose keys slot 0 still holds from the last single request: a conversation goes on from there."""

    def write(
        self,
        jobs: Sequence[Job],
        config: GenerationConfig,
        limits: Limits,
        cancel: threading.Event,
        *,
        stopped: set[int],
        reuse: bool = False,
    ) -> Iterator[Written]:
        """The tokens of all jobs as they come. The caller adds an index to `stopped` when its text is enough.

        `reuse` lets a single job go on from what slot 0 holds of the call before.
        """
        self._rows = []
        single = len(jobs) == 1
        resident, self._resident = (self._resident if reuse and single else []), []
        self._slots.reserve(min(limits.rows, len(jobs)), max(len(job.prompt) for job in jobs) + limits.burst + 64)
        waiting = sorted(jobs, key=lambda job: len(job.prompt))  # the longest is taken first
        shared = _common_prefix([job.prompt for job in jobs], resident)
        saved: list[tuple[torch.Tensor, torch.Tensor]] | None = None
        while self._rows or waiting:
            if cancel.is_set():
                yield from (Written(row.job.index, (), "cancelled") for row in self._rows)
                yield from (Written(job.index, (), "cancelled") for job in waiting)
                self._rows = []
                return
            free = limits.rows - len(self._rows)
            if waiting and (free >= max(1, limits.rows // 8) or not self._rows):
                arriving = self._arrive(waiting, free, limits, config)
                if saved is not None:
                    for slot, _ in arriving:
                        self._slots.put(slot, saved)
                tokens, sound = yield from self._prefill(arriving, shared if saved or resident else 0, limits, cancel)
                if tokens is None:
                    continue
                if saved is None and shared and not single:
                    saved = self._slots.saved(arriving[0][0], shared)
                steps, first = [(tokens, sound)], len(self._rows) - len(arriving)
            else:
                steps, first = self._burst(limits, config), 0
            yield from self._settle(steps, first, stopped, keep=single)

    def _arrive(
        self, waiting: list[Job], free: int, limits: Limits, config: GenerationConfig
    ) -> list[tuple[int, _Row]]:
        """Take as many jobs as are read in about one pass, at least one, each with its slot."""
        taken: list[tuple[int, _Row]] = []
        total = 0
        while waiting and len(taken) < free and (not taken or total + len(waiting[-1].prompt) <= limits.prefill):
            job = waiting.pop()
            total += len(job.prompt)
            random = uniforms(job.prompt, config.seed, job.limit) if config.temperature > 0 else None
            row = _Row(job, random)
            taken.append((len(self._rows), row))
            self._rows.append(row)
        return taken
