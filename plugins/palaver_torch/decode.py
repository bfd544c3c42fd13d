"""Write many texts at once with a causal model: slots are refilled as answers end, prompts are read without padding.

The tokens of a request are those that it would get alone: rows share matrix products, never positions or random
numbers. In float32 that is exact in practice; in bfloat16 a product over another number of rows rounds otherwise, and
two tokens that are equally likely to 8 bits can change places: of 24 answers of 32 tokens by SmolLM2 (135 million
weights) 14 were the same alone and in a batch, in float32 all 24, as `generate()` writes them.
$PALAVER_TORCH_DTYPE=float32 chooses.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from palaver import FinishReason, GenerationConfig
from palaver_torch.sampling import choose, log_probability, uniforms
from palaver_torch.slots import NEIGHBOURS, Segment, SlotCache, cache_keyword

SORTED_EVERY = 16
"""Steps between two looks whether rows are in order: sorting copies all keys, attention reads them at every step."""
SHARED_AT_LEAST = 16
"""Tokens that all prompts of a call begin with and that are then read once: fewer are not worth the copies."""


class Logits(Protocol):
    """What a forward pass gives."""

    @property
    def logits(self) -> torch.Tensor: ...


class CausalForward(Protocol):
    """What is used of a transformers causal model."""

    def __call__(
        self,
        *,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        use_cache: bool,
        logits_to_keep: torch.Tensor | int,
        **cache: SlotCache,
    ) -> Logits: ...

    @property
    def forward(self) -> Callable[..., object]: ...


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
class Arrival:
    """A prompt, or what is left of it to read, on its way into a slot."""

    slot: int
    start: int
    """Positions of the slot that are already right."""
    tokens: Sequence[int]


@dataclass(frozen=True, slots=True)
class Written:
    """Tokens that a text has grown by. The last of a job carries `reason`."""

    index: int
    tokens: Sequence[int]
    """Without the end token."""
    reason: FinishReason | None = None
    logprobs: Sequence[float] = ()
    """Of each token, as `Delta` has them; none where nobody asked."""


@dataclass(slots=True)
class _Row:
    """A text that is being written, in the slot of its place in the list."""

    job: Job
    length: int
    """Positions of its slot that are filled."""
    written: int = 0


class Writer:
    """A model with its slots. One call of `write` at a time."""

    def __init__(self, model: CausalForward, slots: SlotCache, *, ends: frozenset[int], device: torch.device) -> None:
        self._model, self._slots, self._ends, self._device = model, slots, ends, device
        self._cache = {cache_keyword(model.forward): slots}
        self._rows: list[_Row]
        self._tokens: torch.Tensor
        """The token that each row wrote last (R)."""
        self._positions: torch.Tensor
        """Where it goes (R)."""
        self._counts: torch.Tensor
        """How many each has written (R)."""
        self._random: torch.Tensor
        """The random numbers of each (R, longest limit); (R, 0) when greedy."""
        self._forget_rows()
        self._sure: list[torch.Tensor] | None = None
        """Log-probabilities of the tokens of each step since the last look (R); None where nobody asked."""
        self._resident: list[int] = []
        """Tokens whose keys slot 0 still holds from a single request: a conversation goes on from there."""

    def write(
        self,
        jobs: Sequence[Job],
        config: GenerationConfig,
        limits: Limits,
        cancel: threading.Event,
        *,
        stopped: set[int],
        reuse: bool = False,
        scored: bool = False,
    ) -> Iterator[Written]:
        """The tokens of all jobs as they come. The caller adds an index to `stopped` when its text is enough.

        `reuse` lets a single job go on from what slot 0 holds of the call before; `scored` asks for log-probabilities.
        """
        self._forget_rows()
        self._sure = [] if scored else None
        known, self._resident = (self._resident if reuse and len(jobs) == 1 else []), []
        waiting = sorted(jobs, key=lambda job: len(job.prompt))  # the longest is taken first
        self._slots.reserve(min(limits.rows, len(jobs)), len(waiting[-1].prompt) + 64)
        start = shared_start(jobs, known)
        history = list(jobs[0].prompt)
        saved: Sequence[tuple[torch.Tensor, torch.Tensor]] = ()
        if len(jobs) > 1 and start and self._read([Arrival(0, 0, jobs[0].prompt[:start])], limits, cancel) is not None:
            saved = self._slots.saved(0, start)
        while (self._rows or waiting) and not cancel.is_set():
            free = limits.rows - len(self._rows)
            if waiting and (free >= max(1, limits.rows // 8) or not self._rows):
                arriving = self._arrive(waiting, free, limits, start)
                for one in arriving if saved else ():
                    self._slots.put(one.slot, saved)
                logits = self._read(arriving, limits, cancel)
                if logits is None:
                    break
                first = arriving[0].slot
                steps = [self._begin(first, logits, config)]
            else:
                self._sort_rows()
                first, steps = 0, self._burst(config, limits)
            told, finished = self._sort_out(torch.stack(steps).tolist(), first, stopped)
            yield from told
            finished += [at for at, row in enumerate(self._rows) if row.job.index in stopped and at not in finished]
            if reuse and len(jobs) == 1:
                history.extend(told[0].tokens)
                self._resident = history[: self._rows[0].length]
            self._drop(sorted(finished, reverse=True))
        for job in [row.job for row in self._rows] + waiting:
            yield Written(job.index, (), "cancelled")

    def _arrive(self, waiting: list[Job], free: int, limits: Limits, start: int) -> list[Arrival]:
        """Take as many jobs as are read in about one pass, at least one."""
        taken: list[Arrival] = []
        total = 0
        while (
            waiting and len(taken) < free and (not taken or total + len(waiting[-1].prompt) - start <= limits.prefill)
        ):
            job = waiting.pop()
            total += len(job.prompt) - start
            taken.append(Arrival(len(self._rows), start, job.prompt[start:]))
            self._rows.append(_Row(job, len(job.prompt)))
        return taken

    @torch.inference_mode()
    def _read(self, arriving: Sequence[Arrival], limits: Limits, cancel: threading.Event) -> torch.Tensor | None:
        """Fill the slots; the logits after the last token of each (arrivals, V), or None when cancelled."""
        found: list[torch.Tensor] = []
        for batch in passes(arriving, limits.prefill):
            if cancel.is_set():
                return None
            segments = [Segment(one.slot, one.start, len(one.tokens)) for one, _ in batch]
            self._slots.begin_prefill(segments)
            tokens = [token for one, _ in batch for token in one.tokens]
            positions = [at for one in segments for at in range(one.start, one.start + one.length)]
            totals = itertools.accumulate(one.length for one in segments)
            ends = [total - 1 for total, (_, is_end) in zip(totals, batch, strict=True) if is_end]
            out = self._model(
                input_ids=torch.tensor([tokens], device=self._device),
                position_ids=torch.tensor([positions], device=self._device),
                **self._cache,
                use_cache=True,
                logits_to_keep=torch.tensor(ends or [0], device=self._device),
            )
            if ends:
                found.append(out.logits[0])
        return torch.cat(found)

    @torch.inference_mode()
    def _begin(self, first: int, logits: torch.Tensor, config: GenerationConfig) -> torch.Tensor:
        """Take up the rows from `first` on, each with its first token. The step's result, as `_step` gives it."""
        device, rows = self._device, self._rows
        jobs = [row.job for row in rows[first:]]
        width = max(row.job.limit for row in rows) if config.temperature > 0 else 0
        random = torch.zeros(len(rows), width, device=device)
        if width:
            same = min(width, self._random.shape[1])
            random[:first, :same] = self._random[:, :same]
            for slot, job in enumerate(jobs, start=first):
                random[slot, : job.limit] = uniforms(job.prompt, config.seed, job.limit).to(device)
        self._random = random
        tokens, sound = choose(logits, config, random[first:, 0] if width else None)
        if self._sure is not None:
            self._sure.append(log_probability(logits, tokens))
        self._tokens = torch.cat([self._tokens, tokens])
        self._counts = torch.cat([self._counts, torch.ones_like(tokens)])
        self._positions = torch.cat([self._positions, torch.tensor([len(job.prompt) for job in jobs], device=device)])
        return torch.where(sound, tokens, -1)

    def _burst(self, config: GenerationConfig, limits: Limits) -> list[torch.Tensor]:
        longest = max(row.length for row in self._rows) + limits.burst
        if longest > self._slots.columns:
            self._slots.reserve(0, longest + longest // 2)
        return [self._step(config) for _ in range(limits.burst)]

    @torch.inference_mode()
    def _step(self, config: GenerationConfig) -> torch.Tensor:
        """One more token for every row (R); -1 for one whose logits are no numbers."""
        for row in self._rows:
            row.length += 1
        self._slots.begin_decode(self._positions, [row.length for row in self._rows])
        out = self._model(
            input_ids=self._tokens[:, None],
            position_ids=self._positions[:, None],
            **self._cache,
            use_cache=True,
            logits_to_keep=0,
        )
        random = None
        if self._random.shape[1]:
            last = self._random.shape[1] - 1  # inside a burst a row may run past its limit
            random = self._random.gather(1, self._counts.clamp(max=last)[:, None])[:, 0]
        self._tokens, sound = choose(out.logits[:, -1], config, random)
        if self._sure is not None:
            self._sure.append(log_probability(out.logits[:, -1], self._tokens))
        self._positions, self._counts = self._positions + 1, self._counts + 1
        return torch.where(sound, self._tokens, -1)

    def _sort_out(self, steps: list[list[int]], first: int, stopped: set[int]) -> tuple[list[Written], list[int]]:
        """What the rows from `first` on have got, and the places of those that are finished."""
        told: list[Written] = []
        finished: list[int] = []
        sure = torch.stack(self._sure).T.tolist() if self._sure else []
        if self._sure is not None:
            self._sure = []
        for at, row in enumerate(self._rows[first:], start=first):
            tokens: list[int] = []
            reason: FinishReason | None = None
            for step in steps:
                token = step[at - first]
                if token < 0 or token in self._ends:
                    reason = "error" if token < 0 else "stop"
                    break
                tokens.append(token)
                row.written += 1
                if row.written >= row.job.limit:
                    reason = "length"
                    break
            told.append(Written(row.job.index, tokens, reason, sure[at - first][: len(tokens)] if sure else ()))
            if reason is not None:
                finished.append(at)
        return told, finished

    @torch.inference_mode()
    def _sort_rows(self) -> None:
        """Put rows of like length side by side, where it saves more than it costs: see `slots.NEIGHBOURS`."""
        self._steps += 1
        lengths = [row.length for row in self._rows]
        may = self._device.type == "cpu" and self._slots.wants_order
        if not may or self._steps % SORTED_EVERY or len(lengths) <= NEIGHBOURS:
            return
        order = sorted(range(len(lengths)), key=lambda at: -lengths[at])
        if _looked_at(lengths) < 1.1 * _looked_at([lengths[at] for at in order]):
            return
        self._slots.reorder(order, max(lengths))
        self._rows = [self._rows[at] for at in order]
        index = torch.tensor(order)
        self._tokens, self._positions = self._tokens[index], self._positions[index]
        self._counts, self._random = self._counts[index], self._random[index]

    @torch.inference_mode()
    def _drop(self, finished: Sequence[int]) -> None:
        """Let rows go, the last place first; the last row moves into the gap, so that rows stay side by side."""
        for at in finished:
            last = len(self._rows) - 1
            if at != last:
                self._slots.copy_slot(last, at, self._rows[last].length)
                self._rows[at] = self._rows[last]
                for state in (self._tokens, self._positions, self._counts, self._random):
                    state[at] = state[last]
            self._rows.pop()
        if finished:
            count = len(self._rows)
            self._tokens, self._positions = self._tokens[:count], self._positions[:count]
            self._counts, self._random = self._counts[:count], self._random[:count]

    def _forget_rows(self) -> None:
        self._rows = []
        self._tokens = self._positions = self._counts = torch.empty(0, dtype=torch.long, device=self._device)
        self._random = torch.empty(0, 0, device=self._device)
        self._steps = 0


def _looked_at(lengths: Sequence[int]) -> int:
    """Columns that attention reads when each row looks as far as the longest of its neighbours."""
    parts = [lengths[at : at + NEIGHBOURS] for at in range(0, len(lengths), NEIGHBOURS)]
    return sum(max(part) * len(part) for part in parts)


def shared_start(jobs: Sequence[Job], known: Sequence[int]) -> int:
    """Tokens that all prompts begin with (for a single job: with what is known), one token a prompt left to read."""
    prompts = [list(job.prompt) for job in jobs] + ([list(known)] if len(jobs) == 1 else [])
    first, last = min(prompts), max(prompts)  # what these two share, all between them share
    most = min(len(first), len(last), min(len(job.prompt) for job in jobs) - 1)
    same = next((at for at in range(most) if first[at] != last[at]), most)
    return same if same >= SHARED_AT_LEAST else 0


def passes(arriving: Sequence[Arrival], most: int) -> Iterator[list[tuple[Arrival, bool]]]:
    """The prompts cut into passes of at most `most` tokens; with each piece, whether its prompt ends there."""
    batch: list[tuple[Arrival, bool]] = []
    room = most
    for one in arriving:
        done = 0
        while done < len(one.tokens):
            part = one.tokens[done : done + room]
            done += len(part)
            batch.append((Arrival(one.slot, one.start + done - len(part), part), done == len(one.tokens)))
            room -= len(part)
            if room == 0:
                yield batch
                batch, room = [], most
    if batch:
        yield batch
