"""Write many texts at once, or one fast, on a graphics card: a step of decoding is captured once and then replayed.

Which token comes next, where it goes and whether it was a number stay on the card for a burst of steps. While a burst
computes, the tokens of the one before become text. Each row knows its slot, so that rows close up without a copy of
keys; rows without a request, up to the number that a step was captured for, write to a slot that nobody reads.

The tokens are those of `decode.Writer`: in float32 a batch gives what each request gets alone, in bfloat16 two tokens
that are equally likely to 8 bits can change places.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from palaver import FinishReason, GenerationConfig
from palaver_torch.card import ROUND, CardLlama, Kept, Operations, Plain, Reading, fused
from palaver_torch.decode import Arrival, Job, Limits, Writer, Written, passes, shared_start
from palaver_torch.device import Place, cache_budget
from palaver_torch.lean import LeanForward
from palaver_torch.llama import Dense, Llama
from palaver_torch.processor import processor_of
from palaver_torch.sampling import choose, log_probability, uniforms
from palaver_torch.slots import Segment, SlotCache

BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)
"""Rows that steps are captured for."""
_BURST_SECONDS = 0.1
"""Of steps at most before a cancel is heard."""


@dataclass(slots=True)
class _Row:
    """A text that is being written."""

    job: Job
    slot: int


@dataclass(slots=True)
class _State:
    """What the rows are at, on the card, at addresses that the captured steps know."""

    tokens: torch.Tensor
    """The token that each row wrote last (R)."""
    positions: torch.Tensor
    """Where it goes (R)."""
    slots: torch.Tensor
    """(R)."""
    counts: torch.Tensor
    """How many each has written (R)."""
    told: torch.Tensor
    """What each wrote; -1 where its logits were no numbers (R)."""
    sure: torch.Tensor
    """The log-probability of that (R), where somebody asks."""
    random: torch.Tensor
    """The random numbers of each (R, longest limit); (R, 0) when greedy."""

    @classmethod
    def of(cls, rows: int, width: int, device: torch.device) -> _State:
        """Nothing yet."""
        # Each has memory of its own, so that all begin where Triton likes addresses to begin.
        tokens, positions, slots, counts, told = [torch.zeros(rows, dtype=torch.long, device=device) for _ in range(5)]
        sure, random = torch.zeros(rows, device=device), torch.zeros(rows, width, device=device)
        return cls(tokens, positions, slots, counts, told, sure, random)


@dataclass(slots=True)
class _Graphs:
    """Captured steps, and the logits that those leave which do not choose by themselves."""

    pool: Any = None
    found: dict[tuple[object, ...], tuple[torch.cuda.CUDAGraph, torch.Tensor]] = field(default_factory=dict)


class CardWriter:
    """See `causal.Writes`. One call of `write` at a time."""

    def __init__(
        self, model: Llama, *, ends: frozenset[int], device: torch.device, operations: Operations | None = None
    ) -> None:
        self._device, self._is_cuda = device, device.type == "cuda"
        self._model = CardLlama(model, operations or (fused(model, device) if self._is_cuda else Plain()))
        self._kept = Kept(model.shape, device)
        self._ends = torch.tensor(sorted({-1, *ends}))
        self._graphs = _Graphs()
        self._state = _State.of(0, 0, device)
        self._rows: list[_Row] = []
        self._left = torch.zeros(0, dtype=torch.long)
        """Tokens that each row may still write (R), on the processor."""
        self._free: list[int] = []
        self._resident: list[int] = []
        """Tokens whose keys slot 0 still holds from a single request: a conversation goes on from there."""
        self._prefill = max(512, min(32768, int(4e12 / _size(model))))
        self._step_seconds = 0.0
        self._is_scored = False
        """Whether log-probabilities are asked for."""
        self._sure: list[torch.Tensor] = []
        """Those of the steps that are on their way (R)."""

    def limits(self, longest: int, count: int) -> Limits:
        """For so many texts of at most so many tokens: rows as memory takes them, all of the same length."""
        burst = 16 if count > 1 else 8
        columns = -(-(longest + burst) // ROUND) * ROUND
        fitting = (cache_budget(self._device) + self._kept.held) // (columns * self._kept.token_bytes) - 2
        return Limits(max(1, min(BUCKETS[-1], fitting)), self._prefill, burst)

    def forget(self) -> None:
        """Give the memory of keys, values and captured steps back."""
        self._graphs, self._resident = _Graphs(), []
        self._kept = Kept(self._model.model.shape, self._device)
        if self._is_cuda:
            torch.cuda.empty_cache()

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
        """The tokens of all jobs as they come. See `decode.Writer.write`."""
        self._is_scored = scored
        known, self._resident = (self._resident if reuse and len(jobs) == 1 else []), []
        waiting = sorted(jobs, key=lambda job: len(job.prompt))  # the longest is taken first
        start = shared_start(jobs, known)
        self._make_room(jobs, config, limits, start if known else 0)
        shares = bool(start) and len(jobs) > 1
        if shares:
            self._read([Arrival(self._kept.slots - 1, 0, jobs[0].prompt[:start])], limits, cancel)
        history, filling = list(jobs[0].prompt), False
        told: Iterable[Written] = ()
        while (self._rows or waiting) and not cancel.is_set():
            free = len(self._free)
            filling = bool(waiting) and free > 0 and (filling or free >= max(1, limits.rows // 8) or not self._rows)
            if filling:
                first = len(self._rows)
                steps = self._take_up(waiting, config, limits, cancel, start, shares)
                if steps is None:
                    break
            else:
                first, steps = 0, self._burst(config, limits)
            yield from told  # while the card computes
            begun, steps = time.monotonic(), steps.cpu()
            if not filling:
                self._step_seconds = (time.monotonic() - begun) / len(steps)
            sure = torch.stack(self._sure).T.tolist() if self._sure else []
            told, finished = self._sort_out(steps, first, stopped, sure)
            if reuse and len(jobs) == 1:
                told = list(told)
                history.extend(told[0].tokens)
                self._resident = history[:-1]
            self._drop(finished)
        yield from told
        for job in [row.job for row in self._rows] + waiting:
            yield Written(job.index, (), "cancelled")

    @torch.inference_mode()
    def _make_room(self, jobs: Sequence[Job], config: GenerationConfig, limits: Limits, keep: int) -> None:
        """Memory for all rows of the call at once: captured steps know its addresses."""
        rows = next((one for one in BUCKETS if one >= len(jobs)), BUCKETS[-1])
        rows = max(1, min(limits.rows, rows))
        longest = max(len(job.prompt) + job.limit for job in jobs) + limits.burst
        if rows == 1 and longest > self._kept.columns:
            longest += longest // 2  # the next turn of a conversation is longer
        turns = self._model.model.turns
        # One slot more than rows for what all prompts begin with, and one that nobody reads: see `Kept.reserve`.
        is_moved = self._kept.reserve(rows + 1, longest, keep=keep)
        self._model.model.reach(self._kept.columns)
        width = max(job.limit for job in jobs) if config.temperature > 0 else 0
        if rows > len(self._state.tokens) or width > self._state.random.shape[1]:
            self._state, is_moved = _State.of(rows, width, self._device), True
        if is_moved or turns is not self._model.model.turns:
            self._graphs = _Graphs()
        self._rows, self._free = [], list(range(rows - 1, -1, -1))
        self._left = torch.zeros(0, dtype=torch.long)
        self._vacate(0)

    @torch.inference_mode()
    def _take_up(
        self,
        waiting: list[Job],
        config: GenerationConfig,
        limits: Limits,
        cancel: threading.Event,
        start: int,
        shares: bool,
    ) -> torch.Tensor | None:
        """As many jobs as one pass reads become rows. The first token of each (1, rows), or None when cancelled."""
        taken: list[_Row] = []
        total = 0
        while waiting and self._free and (not taken or total + len(waiting[-1].prompt) - start <= limits.prefill):
            job = waiting.pop()
            total += len(job.prompt) - start
            taken.append(_Row(job, self._free.pop()))
        slots = torch.tensor([row.slot for row in taken], device=self._device)
        if shares:
            self._kept.copy(self._kept.slots - 1, slots, start)
        arriving = [Arrival(row.slot, start, row.job.prompt[start:]) for row in taken]
        logits = self._read(arriving, limits, cancel)
        if logits is None:
            waiting.extend(row.job for row in taken)
            return None
        state, here = self._state, slice(len(self._rows), len(self._rows) + len(taken))
        self._rows += taken
        self._left = torch.cat([self._left, torch.tensor([row.job.limit for row in taken])])
        random = None
        if config.temperature > 0:
            for at, row in enumerate(taken, start=here.start):
                numbers = uniforms(row.job.prompt, config.seed, row.job.limit)
                state.random[at, : row.job.limit] = numbers.to(self._device, non_blocking=True)
            random = state.random[here, 0]
        tokens, sound = choose(logits, config, random)
        self._sure = [log_probability(logits, tokens)] if self._is_scored else []
        state.tokens[here], state.counts[here], state.slots[here] = tokens, 1, slots
        state.positions[here] = torch.tensor([len(row.job.prompt) for row in taken], device=self._device)
        return torch.where(sound, tokens, -1)[None]

    @torch.inference_mode()
    def _read(self, arriving: Sequence[Arrival], limits: Limits, cancel: threading.Event) -> torch.Tensor | None:
        """Fill the slots; logits after the last token of each (arrivals, V), or None when cancelled."""
        found: list[torch.Tensor] = []
        for batch in passes(arriving, limits.prefill):
            if cancel.is_set():
                return None
            pieces = tuple(Segment(one.slot, one.start, len(one.tokens)) for one, _ in batch)
            tokens = torch.tensor([token for one, _ in batch for token in one.tokens]).to(self._device)
            totals = itertools.accumulate(one.length for one in pieces)
            ends = [total - 1 for total, (_, is_end) in zip(totals, batch, strict=True) if is_end]
            at = Reading.of(pieces, self._device)
            out = self._model.logits(tokens, at, self._kept, torch.tensor(ends or [0], device=self._device))
            if ends:
                found.append(out)
        return torch.cat(found)

    @torch.inference_mode()
    def _burst(self, config: GenerationConfig, limits: Limits) -> torch.Tensor:
        """What `limits.burst` steps write (steps, R); no Python looks at it before."""
        rows = len(self._rows)
        bucket = min(next((one for one in BUCKETS if one >= rows), rows), len(self._state.tokens))
        steps: list[torch.Tensor] = []
        self._sure = []
        most = int(_BURST_SECONDS / self._step_seconds) if self._step_seconds else limits.burst
        for _ in range(max(1, min(limits.burst, most))):
            self._step(bucket, config)
            steps.append(self._state.told[:rows].clone())
            if self._is_scored:
                self._sure.append(self._state.sure[:rows].clone())
        return torch.stack(steps)

    def _step(self, bucket: int, config: GenerationConfig) -> None:
        if not self._is_cuda:
            self._choose(self._logits(bucket), bucket, config)
            return
        is_whole = is_fixed(config)
        how = (config.temperature, config.top_p, config.top_k) if config.temperature > 0 and is_whole else is_whole
        key = (bucket, how, self._is_scored)
        if key not in self._graphs.found:
            self._graphs.found[key] = self._captured(bucket, config if is_whole else None)
        graph, logits = self._graphs.found[key]
        graph.replay()
        if not is_whole:
            self._choose(logits, bucket, config)

    def _captured(self, bucket: int, config: GenerationConfig | None) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
        """A step as one graph; with a configuration its choice of tokens too."""
        state, graphs = self._state, self._graphs
        saved = [one.clone() for one in (state.tokens, state.positions, state.counts)]
        graph = torch.cuda.CUDAGraph()
        cuda: Any = torch.cuda
        here, aside = cuda.current_stream(self._device), cuda.Stream(self._device)
        aside.wait_stream(here)

        def run() -> torch.Tensor:
            logits = self._logits(bucket)
            if config is not None:
                self._choose(logits, bucket, config)
            return logits

        with cuda.stream(aside):
            run()  # what is loaded or compiled at its first use must not be so while capturing
            for one, old in zip((state.tokens, state.positions, state.counts), saved, strict=True):
                one.copy_(old)
            aside.synchronize()
            graph.capture_begin(pool=graphs.pool, capture_error_mode="thread_local")
            try:
                logits = run()
            finally:
                graph.capture_end()
        here.wait_stream(aside)
        graphs.pool = graphs.pool or graph.pool()
        return graph, logits if config is None else torch.empty(0)

    def _logits(self, bucket: int) -> torch.Tensor:
        state = self._state
        return self._model.logits(
            state.tokens[:bucket], Reading(state.slots[:bucket], state.positions[:bucket]), self._kept
        )

    def _choose(self, logits: torch.Tensor, bucket: int, config: GenerationConfig) -> None:
        """One more token for each row."""
        state, random = self._state, None
        if config.temperature > 0:
            last = state.random.shape[1] - 1  # inside a burst a row may run past its limit
            random = state.random[:bucket].gather(1, state.counts[:bucket].clamp(max=last)[:, None])[:, 0]
        tokens, sound = choose(logits, config, random)
        if self._is_scored:
            state.sure[:bucket] = log_probability(logits, tokens)
        state.tokens[:bucket] = tokens
        state.told[:bucket] = torch.where(sound, tokens, -1)
        state.counts[:bucket] += 1
        state.positions[:bucket] = (state.positions[:bucket] + 1).clamp(max=self._kept.columns - 1)

    @torch.inference_mode()
    def _sort_out(
        self, steps: torch.Tensor, first: int, stopped: set[int], sure: list[list[float]]
    ) -> tuple[Iterator[Written], list[int]]:
        """What the rows from `first` on have got (steps, rows), and the places of those that are finished."""
        rows, left = self._rows[first:], self._left[first:]
        counts = torch.minimum((~torch.isin(steps, self._ends)).cumprod(dim=0).sum(dim=0), left)
        left -= counts
        is_over = (left == 0) | (counts < len(steps))
        finished = set((is_over.nonzero()[:, 0] + first).tolist())
        if stopped:
            finished |= {at for at, row in enumerate(self._rows) if row.job.index in stopped}
        found = _told(rows, steps, counts.tolist(), is_over.tolist(), left.tolist(), sure or [[]] * len(rows))
        return found, sorted(finished)

    @torch.inference_mode()
    def _drop(self, finished: Sequence[int]) -> None:
        """Let rows go; the others close up."""
        if not finished:
            return
        gone = set(finished)
        self._free += [self._rows[at].slot for at in finished]
        left = [at for at in range(len(self._rows)) if at not in gone]
        self._rows, self._left = [self._rows[at] for at in left], self._left[left]
        if left and left != list(range(len(left))):
            order, state, count = torch.tensor(left, device=self._device), self._state, len(left)
            for one in (state.tokens, state.positions, state.slots, state.counts, state.random):
                one[:count] = one[order]
        self._vacate(len(left))

    def _vacate(self, first: int) -> None:
        """The rows from there on are nobody's."""
        self._state.tokens[first:], self._state.positions[first:] = 0, 0
        self._state.slots[first:] = self._kept.slots


def _told(
    rows: Sequence[_Row],
    steps: torch.Tensor,
    counts: list[int],
    is_over: list[bool],
    left: list[int],
    sure: Sequence[Sequence[float]],
) -> Iterator[Written]:
    """What each row has got, made while the card computes what comes next."""
    written = zip(rows, steps.T.tolist(), counts, is_over, left, sure, strict=True)
    for row, tokens, count, over, more, chances in written:
        reason: FinishReason | None = None
        if over:
            reason = "length" if more == 0 else "error" if tokens[count] < 0 else "stop"
        yield Written(row.job.index, tokens[:count], reason, chances[:count])


def is_fixed(config: GenerationConfig) -> bool:
    """Whether a choice of tokens has no Python that looks at a number: a nucleus may want all of the vocabulary."""
    return config.temperature <= 0 or config.top_k > 0 or config.top_p >= 1


def writer_of(model: Llama, place: Place, ends: frozenset[int]) -> CardWriter | Writer:
    """What writes texts with this model there."""
    if place.device.type == "cuda":
        return CardWriter(model, ends=ends, device=place.device)
    slots = SlotCache(place.dtype, processor_of(model.shape, place.device))
    return Writer(LeanForward(model), slots, ends=ends, device=place.device)


def _size(model: Llama) -> int:
    """Weights of the layers."""
    products = [one for layer in model.layers for one in (layer.mix, layer.out, layer.gate, layer.down)]
    return max(1, sum(one.weight.numel() for one in products if isinstance(one, Dense)))
