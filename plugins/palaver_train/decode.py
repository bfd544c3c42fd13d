"""Write with a trained network: sampling and greedy, token by token from a cache; beam search for sources.

Letters: B rows, K beams, T time, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from palaver import GenerationConfig
from palaver_train.tokens import BOS, EOS, PAD, UNKNOWN

_UNWRITTEN = (PAD, BOS, UNKNOWN)
"""Tokens that are read and never written."""


def continue_text(
    network: Any, prompt: Sequence[int], config: GenerationConfig, generator: torch.Generator
) -> Iterator[tuple[int, float]]:
    """Tokens that go on after a prompt, without end but for the end mark, which is the last; with their log
    probabilities before sampling.
    """
    context, device = network.shape.context, next(network.parameters()).device
    text = list(prompt) or [BOS]
    state: Any = None
    while True:
        if state is None or network.length(state) >= context:
            # The window is full: half of it is read again, so that one token in context / 2 pays for it.
            read = text[-context:] if state is None else text[-(context // 2) :]
            logits, state = network.step(torch.tensor([read], device=device), None)
        else:
            logits, state = network.step(torch.tensor([text[-1:]], device=device), state)
        token = int(pick(logits[:, -1], config, generator))
        text.append(token)
        yield token, float(logits[0, -1].float().log_softmax(dim=-1)[token])
        if token == EOS:
            return


def pick(logits: Tensor, config: GenerationConfig, generator: torch.Generator | None) -> Tensor:
    """A token for each row of logits (B, V)."""
    scores = _written(logits)
    if config.temperature <= 0 or generator is None:
        return scores.argmax(dim=-1)
    scores = scores / config.temperature
    if config.top_k:
        least = scores.topk(min(config.top_k, scores.shape[-1])).values[:, -1:]
        scores = scores.masked_fill(scores < least, float("-inf"))
    chances = scores.softmax(dim=-1)
    if config.top_p < 1:  # Holtzman et al. 2020: the token that crosses p belongs to the nucleus
        ordered, places = chances.sort(dim=-1, descending=True)
        ordered = ordered.masked_fill(ordered.cumsum(dim=-1) - ordered >= config.top_p, 0)
        chances = torch.zeros_like(chances).scatter(-1, places, ordered)
    return torch.multinomial(chances.cpu(), 1, generator=generator)[:, 0].to(logits.device)


def greedy(network: Any, source: Tensor, limit: int) -> list[list[int]]:
    """The likeliest tokens, one after the other, for each source (B, S); without the end mark."""
    found: list[list[int]] = []
    for row in steps(network, source, limit):
        found = found or [[] for _ in row]
        for tokens, token in zip(found, row, strict=True):
            if token not in (EOS, PAD):
                tokens.append(token)
    return found


def steps(
    network: Any, source: Tensor, limit: int, config: GenerationConfig | None = None, generator: Any = None
) -> Iterator[list[int]]:
    """A token for each source (B, S) at a time; padding for rows that have ended. One after another can be stopped."""
    state, config = network.begin(source), config or GenerationConfig()
    last = torch.full((source.shape[0], 1), BOS, device=source.device)
    is_done = torch.zeros(source.shape[0], dtype=torch.bool, device=source.device)
    for _ in range(limit):
        logits, state = network.step(last, state)
        token = pick(logits[:, -1], config, generator).masked_fill(is_done, PAD)
        yield token.tolist()
        is_done |= token == EOS
        if bool(is_done.all()):
            return
        last = token[:, None]


def beams(network: Any, source: Tensor, limit: int, width: int, *, penalty: float = 1.0) -> Iterator[list[int] | None]:
    """The best text of `width` beams for each source (B, S), all at the end; None after each step before, to stop at.

    Finished texts are compared by log probability over length to the power `penalty` (Wu et al. 2016, 7, simplified).
    """
    count, device = source.shape[0], source.device
    state = network.begin(source).rows(torch.arange(count, device=device).repeat_interleave(width))
    written = torch.full((count, width, 1), BOS, device=device)
    scores = torch.full((count, width), float("-inf"), device=device)
    scores[:, 0] = 0.0  # all beams are the same text at first: one may be gone on from
    best: list[tuple[float, list[int]]] = [(float("-inf"), []) for _ in range(count)]
    is_done = [False] * count
    first = torch.arange(count, device=device)[:, None] * width
    for length in range(1, limit + 1):
        logits, state = network.step(written[:, :, -1].reshape(-1, 1), state)
        chances = _written(logits[:, -1]).log_softmax(dim=-1).view(count, width, -1)
        values, places = (scores[:, :, None] + chances).flatten(1).topk(2 * width)  # half of them may be ends
        beam, token = places // chances.shape[-1], places % chances.shape[-1]
        is_end = token == EOS
        for row, at in torch.nonzero(is_end[:, :width]).tolist():
            score = float(values[row, at]) / length**penalty
            if score > best[row][0]:
                best[row] = (score, written[row, beam[row, at], 1:].tolist())
        values = values.masked_fill(is_end, float("-inf"))
        scores, order = values.topk(width)
        beam, token = beam.gather(1, order), token.gather(1, order)
        written = torch.cat([written.gather(1, beam[:, :, None].expand(-1, -1, length)), token[:, :, None]], dim=-1)
        for row in range(count):  # no beam can get better than its score at the longest that it may be
            is_done[row] |= best[row][0] >= float(scores[row, 0]) / (limit if penalty > 0 else length) ** penalty
        if all(is_done):
            break
        state = state.rows((first + beam).flatten())
        yield None
    for row in range(count):
        found = best[row][1] if best[row][0] > float("-inf") else written[row, 0, 1:].tolist()
        yield found


def _written(logits: Tensor) -> Tensor:
    """The scores of tokens that may be written."""
    scores = logits.float().clone()
    scores[:, list(_UNWRITTEN)] = float("-inf")
    return scores
