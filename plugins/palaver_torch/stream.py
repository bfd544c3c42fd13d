"""Write one text at a time from four-bit weights, several tokens a pass where the text copies what it has read.

A guess of the next tokens is read in one pass with the last token, and kept as far as the model would have written the
same. The text is the one of plain decoding, to the last bit: rows of the four-bit products, of the norms and of the
kernels' attention do not depend on each other, and PyTorch's attention looks at columns in whole blocks of 64 whether
one token is read or four. What depends on the machine is tried once, and where it does not hold nothing is guessed.

Letters: M tokens of a pass, H query heads, G key heads, W width of a head, C columns of the cache.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch.nn.functional import scaled_dot_product_attention

from palaver import FinishReason, GenerationConfig
from palaver_torch.copying import Copier
from palaver_torch.decode import Job, Limits, Written
from palaver_torch.llama import Llama, Shape, Turns
from palaver_torch.processor import Processor, processor_of
from palaver_torch.sampling import choose, log_probability, uniforms
from palaver_torch.slots import Segment, SlotCache

GUESSED = 3
"""Tokens of a guess: the kernel reads its weights once for four rows."""
_BLOCK = 64
_WIDE = 24
"""Tokens of a prompt from which on plain numbers multiply faster than four bits."""


class Past(Protocol):
    """Keys and values of one text, and attention over them."""

    def begin(self, start: int, count: int) -> None:
        """The next pass reads `count` tokens from position `start` on."""
        ...

    def attend(self, layer: int, mixed: torch.Tensor, turns: Turns) -> torch.Tensor:
        """See `llama.Attend`."""
        ...


class OneSlot:
    """The same by the processor's kernels, whose rows never depend on each other."""

    def __init__(self, shape: Shape, processor: Processor) -> None:
        self._slots = SlotCache(shape.dtype, processor)

    def begin(self, start: int, count: int) -> None:
        if start + count > self._slots.columns:
            self._slots.reserve(1, max(start + count + 256, self._slots.columns * 3 // 2))
        self._slots.begin_prefill([Segment(0, start, count)])

    def attend(self, layer: int, mixed: torch.Tensor, turns: Turns) -> torch.Tensor:
        return self._slots.read(layer, mixed, turns)


class Blocks:
    """The same by PyTorch, in blocks of columns."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._kept = torch.empty(shape.layers, 2, 1, shape.groups, 0, shape.head)
        self._views: list[tuple[torch.Tensor, torch.Tensor]] = []
        """Keys and values (1, G, columns in use, W) of each layer."""
        self._columns = 0
        self._new = slice(0, 0)
        self._mask = torch.empty(0)

    def begin(self, start: int, count: int) -> None:
        end, shape = start + count, self._shape
        columns = -(-end // _BLOCK) * _BLOCK
        if columns > self._kept.shape[4]:
            room = max(columns + 256, self._kept.shape[4] * 3 // 2) // _BLOCK * _BLOCK
            grown = self._kept.new_zeros(*self._kept.shape[:4], room, shape.head)
            grown[:, :, :, :, :start] = self._kept[:, :, :, :, :start]
            self._kept, self._columns = grown, 0
        if columns != self._columns:
            self._columns = columns
            self._views = [(layer[0, :, :, :columns], layer[1, :, :, :columns]) for layer in self._kept]
        self._new = slice(start, end)
        hidden = torch.arange(columns) > torch.arange(start, end)[:, None]  # (M, C)
        mask = torch.zeros(hidden.shape).masked_fill_(hidden, float("-inf"))
        self._mask = mask.repeat_interleave(shape.heads // shape.groups, dim=0)

    def attend(self, layer: int, mixed: torch.Tensor, turns: Turns) -> torch.Tensor:
        queries, keys, values = turns.split(mixed)
        kept_keys, kept_values = self._views[layer]
        kept_keys[0, :, self._new] = keys.transpose(0, 1)
        kept_values[0, :, self._new] = values.transpose(0, 1)
        count, heads, width = queries.shape
        groups = self._shape.groups
        # The tokens and the heads that share keys stand where the time would be: nothing is repeated in memory.
        rows = queries.view(count, groups, -1, width).transpose(0, 1).reshape(1, groups, -1, width)
        found = scaled_dot_product_attention(rows, kept_keys, kept_values, attn_mask=self._mask)
        found = found.to(mixed.dtype)
        if count == 1:
            return found.view(1, heads * width)
        return found.view(groups, count, -1, width).transpose(0, 1).reshape(count, heads * width)


def past_of(shape: Shape) -> Past:
    """The faster one of the two that can be had."""
    processor = processor_of(shape, torch.device("cpu"))
    return Blocks(shape) if processor is None else OneSlot(shape, processor)


class Streamer:
    """A model that writes one text after the other. One call of `write` at a time."""

    def __init__(self, packed: Llama, dense: Callable[[], Llama], *, ends: frozenset[int]) -> None:
        self._packed, self._make_dense, self._ends = packed, dense, ends
        self._dense: Llama | None = None
        self._cache = past_of(packed.shape)
        self._guesses: bool | None = None if os.environ.get("PALAVER_TORCH_SPECULATE") != "0" else False
        """Whether guessing keeps the text on this machine; None until it was tried."""
        self._resident: list[int] = []
        """Tokens whose keys the cache holds."""
        self.passes = 0
        """Passes of decoding so far, for those who measure."""

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
        """The tokens of all jobs as they come, one job after the other. See `decode.Writer.write`."""
        for job in jobs:
            start = self._known(job) if reuse and len(jobs) == 1 else 0
            yield from self._one(job, start, config, limits, cancel, stopped, scored)

    def _known(self, job: Job) -> int:
        """Tokens of the prompt that the cache holds already; one is left to read."""
        most = min(len(self._resident), len(job.prompt) - 1)
        return next((at for at in range(most) if self._resident[at] != job.prompt[at]), most)

    def _one(
        self,
        job: Job,
        start: int,
        config: GenerationConfig,
        limits: Limits,
        cancel: threading.Event,
        stopped: set[int],
        scored: bool,
    ) -> Iterator[Written]:
        self._resident = []
        random = uniforms(job.prompt, config.seed, job.limit + GUESSED + 1) if config.temperature > 0 else None
        logits = self._prompt(job.prompt, start, limits, cancel)
        if logits is None:
            yield Written(job.index, (), "cancelled")
            return
        copier = Copier(job.prompt, GUESSED)
        history = list(job.prompt)
        written = 0
        guess: list[int] = []
        while True:
            tokens, reason = self._kept(logits, guess, config, random, written)
            if guess:
                copier.note(len(tokens) - (reason is None))
            tokens = tokens[: job.limit - written]
            written += len(tokens)
            if reason is None and written >= job.limit:
                reason = "length"
            self._resident = history[:]
            history += tokens
            copier.push(tokens)
            sure = log_probability(logits[: len(tokens)], torch.tensor(tokens)).tolist() if scored and tokens else ()
            yield Written(job.index, tokens, reason, sure)
            if reason is not None or job.index in stopped:
                return
            if cancel.is_set():
                yield Written(job.index, (), "cancelled")
                return
            guess = copier.guess(min(GUESSED, job.limit - written - 1)) if self._may_guess() else []
            logits = self._read(self._packed, [history[-1], *guess], len(history) - 1)
            self.passes += 1

    def _kept(
        self, logits: torch.Tensor, guess: Sequence[int], config: GenerationConfig, random: torch.Tensor | None, at: int
    ) -> tuple[list[int], FinishReason | None]:
        """What the model writes after the last token and as much of the guess as it agrees with."""
        chosen, sound = choose(logits, config, random[at : at + len(guess) + 1] if random is not None else None)
        kept: list[int] = []
        for place, (token, is_sound) in enumerate(zip(chosen.tolist(), sound.tolist(), strict=True)):
            if not is_sound or token in self._ends:
                return kept, "stop" if is_sound else "error"
            kept.append(token)
            if place == len(guess) or token != guess[place]:
                break
        return kept, None

    def _prompt(
        self, prompt: Sequence[int], start: int, limits: Limits, cancel: threading.Event
    ) -> torch.Tensor | None:
        """Logits (1, V) after the prompt, or None when cancelled."""
        logits: torch.Tensor | None = None
        for begin in range(start, len(prompt), limits.prefill):
            if cancel.is_set():
                return None
            piece = prompt[begin : begin + limits.prefill]
            model = self._packed if len(piece) < _WIDE else self._wide()
            logits = self._read(model, piece, begin, is_last_only=True)
        return logits

    @torch.inference_mode()
    def _read(
        self,
        model: Llama,
        tokens: Sequence[int],
        start: int,
        *,
        is_last_only: bool = False,
        cache: Past | None = None,
    ) -> torch.Tensor:
        """Logits (M, V) after each of the tokens, or (1, V) after the last."""
        cache = cache or self._cache
        model.reach(start + len(tokens))
        cache.begin(start, len(tokens))
        found = model.read(torch.tensor(tokens), torch.arange(start, start + len(tokens)), cache.attend)
        return self._packed.logits(found[-1:] if is_last_only else found).float()

    def _wide(self) -> Llama:
        if self._dense is None:
            self._dense = self._make_dense()
        return self._dense

    def _may_guess(self) -> bool:
        if self._guesses is None:
            self._guesses = self.keeps_bits()
        return self._guesses

    def keeps_bits(self) -> bool:
        """Whether four tokens in one pass give what they give one by one, tried across the border of two blocks."""
        cache, shape = past_of(self._packed.shape), self._packed.shape
        begin = _BLOCK - 2
        tokens = [(7 * at) % 64 + 2 for at in range(begin + GUESSED + 1)]
        self._read(self._packed, tokens[:begin], 0, cache=cache)
        alone = [self._read(self._packed, [tokens[at]], at, cache=cache) for at in range(begin, len(tokens))]
        together = self._read(self._packed, tokens[begin:], begin, cache=cache)
        return shape.layers > 0 and torch.equal(torch.cat(alone), together)
