"""Choose the next token of each row from its logits; a seed gives the same text alone and in a batch.

Letters: R rows, V vocabulary.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch

from palaver import GenerationConfig

_LIKELY = 1024
"""Tokens that are sorted first: they nearly always hold the nucleus, and a whole vocabulary is slow to sort."""


_BLOCK = 1024

_CACHED = 4
"""Rows whose logits a processor's cache holds as float32: half the time of all at once."""


def uniforms(prompt: Sequence[int], seed: int, count: int) -> torch.Tensor:
    """The random numbers in [0, 1) that decide the tokens of one request (count).

    They depend on the seed and the prompt only: neither on the other rows of a batch nor on the order of requests.
    """
    mark = zlib.crc32(b",".join(b"%d" % token for token in prompt))
    generator = torch.Generator().manual_seed((seed << 31) ^ mark)
    return torch.rand(count, generator=generator)


def choose(
    logits: torch.Tensor, config: GenerationConfig, random: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token a row (R), and whether the row's logits were numbers (R); `random` (R) only when not greedy."""
    best, token = _best(logits)
    sound = torch.isfinite(best)  # a maximum carries a NaN along: one look a row, not one a logit
    if config.temperature <= 0 or random is None:
        return token, sound
    scores = torch.nan_to_num(logits.float() / config.temperature)
    if config.top_k or config.top_p < 1:
        return _from_likeliest(scores, config, random), sound
    return _pick(torch.softmax(scores, dim=-1), random), sound


def log_probability(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The natural logarithm of the probability of each row's token (R), before temperature and cuts."""
    chosen = logits.gather(-1, tokens[:, None])[:, 0]
    some = _CACHED if logits.device.type == "cpu" else len(logits)
    return chosen.float() - torch.cat([torch.logsumexp(one.float(), dim=-1) for one in torch.split(logits, some)])


def _best(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest logit of each row, and its token: of equal ones the first, and a NaN before all.

    In blocks: a processor finds the place of a value three times slower than the value.
    """
    rows, vocabulary = logits.shape
    size = min(_BLOCK, vocabulary & -vocabulary)  # a power of two that divides
    if logits.device.type != "cpu" or rows < 2 or size < 64 or not logits.is_contiguous():
        found = logits.max(dim=-1)
        return found.values, found.indices
    blocks = logits.view(rows, -1, size)
    best, at = blocks.amax(dim=-1).max(dim=-1)
    return best, at * size + blocks[torch.arange(rows), at].argmax(dim=-1)


def _from_likeliest(scores: torch.Tensor, config: GenerationConfig, random: torch.Tensor) -> torch.Tensor:
    vocabulary = scores.shape[-1]
    width = min(config.top_k or _LIKELY, vocabulary)
    values, tokens = scores.topk(width, dim=-1)
    if config.top_k:
        likely = torch.softmax(values, dim=-1)
    else:
        likely = torch.exp(values - scores.logsumexp(dim=-1, keepdim=True))
        if width < vocabulary and bool((likely.sum(dim=-1) < config.top_p).any()):
            values, tokens = scores.sort(dim=-1, descending=True)
            likely = torch.softmax(values, dim=-1)
    if config.top_p < 1:
        # Holtzman et al. 2020: the token that crosses p belongs to the nucleus.
        likely = likely.masked_fill(likely.cumsum(dim=-1) - likely >= config.top_p, 0)
    return tokens.gather(-1, _pick(likely, random)[:, None])[:, 0]


def _pick(likely: torch.Tensor, random: torch.Tensor) -> torch.Tensor:
    """The index at which the probabilities' running sum passes the random number (R); they need not sum to 1."""
    running = likely.double().cumsum(dim=-1)
    target = random.to(running)[:, None] * running[:, -1:]
    found = torch.searchsorted(running, target, right=True)[:, 0]
    # The last token with any probability at all, should rounding carry the target past the end.
    return found.clamp(max=likely.shape[-1] - 1)
