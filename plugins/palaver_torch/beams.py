"""Greedy decoding, sampling and beam search for encoder-decoder models, many texts at once.

The search is the one of transformers' `generate()` (its vectorised version of 2025), so that a model gives what its
authors measured; texts that are finished leave the batch, which they do not there.

Letters: B texts, K beams of each, V vocabulary, N steps so far.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from palaver import FinishReason, GenerationConfig
from palaver_torch.device import Place
from palaver_torch.sampling import choose, uniforms
from palaver_torch.search import Search, constrain, likeliest
from palaver_torch.tree import BeamAttention, BeamCache

_NEVER = -1e9
_AT_ONCE = 2**19
"""Logits that are looked at together: they fit the processor's cache, and are read four times."""


@dataclass(frozen=True, slots=True)
class Source:
    """One text to work on: its tokens, and which of the call's texts it is."""

    index: int
    tokens: Sequence[int]


@dataclass(frozen=True, slots=True)
class Output:
    """What became of one source."""

    index: int
    tokens: Sequence[int]
    reason: FinishReason


class Passes(Protocol):
    """The two halves of a model."""

    def encode(self, tokens: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor: ...

    def decode(
        self, tokens: torch.Tensor, encoded: torch.Tensor, mask: torch.Tensor | None, cache: BeamCache
    ) -> torch.Tensor:
        """Logits (B*K, V) after one more token a row (B*K)."""
        ...


class Group:
    """Texts that are decoded together, step by step."""

    def __init__(
        self,
        passes: Passes,
        attention: BeamAttention,
        sources: Sequence[Source],
        search: Search,
        config: GenerationConfig,
        *,
        limit: int,
        pad: int,
        place: Place,
    ) -> None:
        device = place.device
        self._dtype = place.dtype
        self._passes, self._attention, self._search, self._config = passes, attention, search, config
        self._sources, self._limit, self._device = list(sources), limit, device
        self._beams = search.beams if config.temperature <= 0 else 1
        longest = max(len(one.tokens) for one in sources)
        padded = [[*one.tokens, *[pad] * (longest - len(one.tokens))] for one in sources]
        tokens = torch.tensor(padded, device=device)
        lengths = torch.tensor([len(one.tokens) for one in sources], device=device)
        hidden = torch.arange(longest, device=device) >= lengths[:, None]
        attention.cache = None
        with torch.inference_mode():
            self._mask = self._additive(hidden) if bool(hidden.any()) else None
            self._encoded = passes.encode(tokens, self._mask)
            count, beams = len(sources), self._beams
            self._cache = BeamCache(count, beams, device)
            self._written = torch.full((count, beams, 1), search.start, device=device)
            self._scores = torch.full((count, beams), _NEVER, device=device)
            self._scores[:, 0] = 0  # at first all beams are the same text: only one may be gone on from
            self._best = torch.full((count, beams), _NEVER, device=device)
            self._texts = torch.zeros((count, beams, 1), dtype=torch.long, device=device)
            self._lengths = torch.zeros((count, beams), dtype=torch.long, device=device)
            self._finished = torch.zeros((count, beams), dtype=torch.bool, device=device)
            self._improvable = torch.ones((count, 1), dtype=torch.bool, device=device)
        self._random = None
        if config.temperature > 0:
            self._random = torch.stack([uniforms(one.tokens, config.seed, limit) for one in sources]).to(device)

    def _additive(self, hidden: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(hidden.shape, device=self._device, dtype=self._dtype)
        return mask.masked_fill(hidden, float("-inf"))[:, None, None]

    def run(self, cancel: threading.Event) -> Iterator[Output]:
        """Each text when it is finished."""
        step = self._beam_step if self._beams > 1 else self._single_step
        while self._sources:
            if cancel.is_set():
                yield from (Output(one.index, (), "cancelled") for one in self._sources)
                return
            with torch.inference_mode():
                outputs = step()
            yield from outputs

    def _logits(self) -> torch.Tensor:
        """Logits (B*K, V) for the next token."""
        self._attention.cache = self._cache
        last = self._written[:, :, -1].reshape(-1)
        return self._passes.decode(last, self._encoded, self._mask, self._cache)

    def _log_likeliest(self, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Log probabilities and tokens (B*K, width) of the best continuations of each beam."""
        logits, written = self._logits(), self._written.flatten(0, 1)
        rows = logits.shape[0]
        some = max(1, _AT_ONCE // logits.shape[1]) if self._device.type == "cpu" else rows
        found = [
            likeliest(logits[at : at + some].float(), written[at : at + some], self._search, self._limit, width)
            for at in range(0, rows, some)
        ]
        values, tokens = zip(*found, strict=True)
        return torch.cat(values), torch.cat(tokens)

    def _single_step(self) -> list[Output]:
        """One token for each text, greedy or sampled."""
        logits = constrain(self._logits().float(), self._written.flatten(0, 1), self._search, self._limit)
        count, steps = len(self._sources), self._written.shape[2]  # the start token stands for the coming one
        random = self._random[:, steps - 1] if self._random is not None else None
        tokens, sound = choose(logits, self._config, random)
        self._cache.step(torch.zeros((count, 1), dtype=torch.long, device=self._device))
        self._written = torch.cat([self._written, tokens[:, None, None]], dim=2)
        ends = [token in self._search.ends for token in tokens.tolist()]
        outputs, kept = [], []
        for at, (one, is_end, is_sound) in enumerate(zip(self._sources, ends, sound.tolist(), strict=True)):
            if is_end or not is_sound or steps == self._limit:
                text = self._written[at, 0, 1:].tolist()
                reason = self._reason(text)
                outputs.append(Output(one.index, text, reason) if is_sound else Output(one.index, (), "error"))
            else:
                kept.append(at)
        self._keep(kept)
        return outputs

    def _beam_step(self) -> list[Output]:
        search, beams, count = self._search, self._beams, len(self._sources)
        steps = self._written.shape[2]  # tokens written after this step, the start token not counted
        width = max(2, 1 + len(search.ends)) * beams  # enough to go on with, should all the best end here
        values, tokens = self._log_likeliest(width)
        values = values + self._scores.view(-1, 1)  # (B*K, width)
        totals, chosen = values.view(count, -1).topk(width, dim=-1)  # (B, width)
        parents, tokens = chosen // values.shape[1], tokens.view(count, -1).gather(1, chosen)
        sound = torch.isfinite(totals[:, 0])
        totals = torch.nan_to_num(totals, nan=_NEVER, neginf=_NEVER)
        texts = torch.cat([_of(self._written, parents), tokens[:, :, None]], dim=2)
        is_end = torch.isin(tokens, torch.tensor(search.ends, device=self._device)) | (steps >= self._limit)
        self._note_finished(texts, totals, is_end, steps)
        running = totals + is_end * _NEVER
        self._scores, going_on = running.topk(beams, dim=-1)
        self._written = _of(texts, going_on)
        self._cache.step(parents.gather(1, going_on))
        self._improvable &= self._can_improve(steps)
        done = ~self._improvable[:, 0] | is_end.all(dim=-1) | ~sound
        if search.early_stopping is True:
            done |= self._finished.all(dim=-1)
        return self._let_go(done.tolist(), sound.tolist()) if bool(done.any()) else []

    def _note_finished(self, texts: torch.Tensor, totals: torch.Tensor, is_end: torch.Tensor, steps: int) -> None:
        """Put the texts that just ended among the best, if they belong there."""
        beams = self._beams
        ended = is_end.clone()
        ended[:, beams:] = False  # the others are there to go on with only
        totals = totals / steps**self._search.length_penalty
        if self._search.early_stopping is True:
            totals = totals + self._finished.all(dim=-1, keepdim=True) * _NEVER
        totals = totals + ~self._improvable * _NEVER + ~ended * _NEVER
        kept = torch.nn.functional.pad(self._texts, (0, texts.shape[2] - self._texts.shape[2]))
        self._best, best = torch.cat([self._best, totals], dim=1).topk(beams, dim=-1)
        self._texts = _of(torch.cat([kept, texts], dim=1), best)
        lengths = torch.cat([self._lengths, torch.full_like(totals, texts.shape[2], dtype=torch.long)], dim=1)
        self._lengths = lengths.gather(1, best)
        self._finished = torch.cat([self._finished, ended], dim=1).gather(1, best)

    def _can_improve(self, steps: int) -> torch.Tensor:
        """Whether a text that still runs could beat the worst finished one (B, 1)."""
        penalty = self._search.length_penalty
        length = self._limit if self._search.early_stopping == "never" and penalty > 0 else steps
        possible = self._scores[:, :1] / length**penalty
        worst = self._best.min(dim=1, keepdim=True).values
        could: torch.Tensor = possible > torch.where(self._finished, worst, _NEVER)
        return could.any(dim=-1, keepdim=True)

    def _let_go(self, done: list[bool], sound: list[bool]) -> list[Output]:
        outputs = []
        for at, one in enumerate(self._sources):
            if not done[at]:
                continue
            text = self._texts[at, 0, 1 : int(self._lengths[at, 0])].tolist()
            reason = self._reason(text)
            outputs.append(Output(one.index, text, reason) if sound[at] else Output(one.index, (), "error"))
        self._keep([at for at, is_done in enumerate(done) if not is_done])
        return outputs

    def _reason(self, text: Sequence[int]) -> FinishReason:
        """`stop` when the model ended the text itself, not where the limit made it."""
        forced = len(text) >= self._limit and self._search.forced_last is not None
        return "stop" if text and text[-1] in self._search.ends and not forced else "length"

    def _keep(self, kept: list[int]) -> None:
        if len(kept) == len(self._sources):
            return
        # The last ones move into the gaps: a key that stays in its place is not copied.
        ahead = set(kept[: bisect_left(kept, len(kept))])
        behind = iter(kept[len(ahead) :])
        kept = [at if at in ahead else next(behind) for at in range(len(kept))]
        self._sources = [self._sources[at] for at in kept]
        self._cache.keep(kept)
        texts = torch.tensor(kept, dtype=torch.long, device=self._device)
        self._encoded = self._encoded[texts]
        self._mask = self._mask[texts] if self._mask is not None else None
        self._random = self._random[texts] if self._random is not None else None
        for name in ("_written", "_scores", "_best", "_texts", "_lengths", "_finished", "_improvable"):
            setattr(self, name, getattr(self, name)[texts])


def _of(texts: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Of texts (B, K, N) those named by (B, J), as (B, J, N)."""
    return texts.gather(1, which[:, :, None].expand(-1, -1, texts.shape[2]))


def groups_of(sources: Sequence[Source], *, rows: int, tokens: int) -> Iterator[list[Source]]:
    """Sources of like length together, at most `rows` of them and `tokens` padded tokens, the longest first."""
    group: list[Source] = []
    for one in sorted(sources, key=lambda source: -len(source.tokens)):
        if group and (len(group) == rows or (len(group) + 1) * len(group[0].tokens) > tokens):
            yield group
            group = []
        group.append(one)
    if group:
        yield group
