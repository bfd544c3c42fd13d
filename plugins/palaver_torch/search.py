"""What a model wants of a search, and the likeliest next tokens under it.

Letters: R texts that are written, V vocabulary, N steps so far.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Search:
    """How a model wants its texts to be searched, from its generation config."""

    start: int
    """The token that decoding begins with."""
    ends: tuple[int, ...]
    beams: int = 1
    length_penalty: float = 1.0
    """Scores are divided by length to this power: above 1 favours long texts."""
    early_stopping: bool | str = False
    """True: enough finished texts are enough. False: until none can get better, by a rule of thumb. "never": surely."""
    suppressed: tuple[int, ...] = ()
    """Tokens that are never written."""
    forced_first: int | None = None
    """The first token, such as the language of NLLB."""
    forced_last: int | None = None
    """The token at the limit."""
    least: int = 0
    """Tokens before an end is allowed."""
    no_repeat: int = 0
    """No sequence of this many tokens twice."""
    repetition_penalty: float = 1.0
    renormalize: bool = False
    """What is impossible leaves its probability to the other tokens."""

    def forced(self, steps: int, limit: int) -> int | None:
        """The only token that may come after `steps`, if there is such a one."""
        if steps == limit - 1 and self.forced_last is not None:
            return self.forced_last
        return self.forced_first if steps == 0 else None


def likeliest(
    logits: torch.Tensor, written: torch.Tensor, search: Search, limit: int, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log probabilities and tokens (R, width) of the best to follow `written` (R, N). The logits (R, V) are used up."""
    if search.repetition_penalty != 1.0 or search.forced(written.shape[1] - 1, limit) is not None:
        scores = constrain(torch.log_softmax(logits, dim=-1), written, search, limit)
        return _best(torch.log_softmax(scores, dim=-1) if search.renormalize else scores, width)
    # A sum is all that log probabilities need: they are never written out.
    total = None if search.renormalize else logits.logsumexp(dim=-1, keepdim=True)
    values, tokens = _best(constrain(logits, written, search, limit), width)
    if total is None:
        most = values[:, :1]
        total = logits.sub_(most).exp_().sum(dim=-1, keepdim=True).log_() + most
    return values - total, tokens


def _best(logits: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`topk` of (R, V): the best `count` lie in the `count` blocks with the best maxima, a twentieth of the work."""
    rows, vocabulary = logits.shape
    whole = vocabulary // _BLOCK * _BLOCK
    if whole // _BLOCK <= 2 * count:
        return logits.topk(min(count, vocabulary), dim=-1)
    blocks = logits[:, :whole].view(rows, -1, _BLOCK)
    best = blocks.amax(dim=-1).topk(count, dim=-1).indices  # (R, count)
    inside = blocks.gather(1, best[:, :, None].expand(-1, -1, _BLOCK)).flatten(1)
    tokens = (best[:, :, None] * _BLOCK + torch.arange(_BLOCK, device=logits.device)).flatten(1)
    rest = torch.arange(whole, vocabulary, device=logits.device).expand(rows, -1)
    values, chosen = torch.cat([inside, logits[:, whole:]], dim=1).topk(count, dim=-1)
    return values, torch.cat([tokens, rest], dim=1).gather(1, chosen)


def constrain(logits: torch.Tensor, written: torch.Tensor, search: Search, limit: int) -> torch.Tensor:
    """Logits (R, V) without the tokens that may not follow `written` (R, N)."""
    steps = written.shape[1] - 1
    if search.suppressed:
        logits[:, list(search.suppressed)] = float("-inf")
    if search.repetition_penalty != 1.0:  # Keskar et al. 2019
        seen = logits.gather(1, written)
        seen = torch.where(seen < 0, seen * search.repetition_penalty, seen / search.repetition_penalty)
        logits = logits.scatter(1, written, seen)
    if search.no_repeat:
        _forbid_repeats(logits, written, search.no_repeat)
    if steps < search.least:
        logits[:, list(search.ends)] = float("-inf")
    if (forced := search.forced(steps, limit)) is not None:
        logits = torch.full_like(logits, float("-inf"))
        logits[:, forced] = 0
    return logits


def _forbid_repeats(logits: torch.Tensor, written: torch.Tensor, size: int) -> None:
    if written.shape[1] < size:
        return
    grams = written.unfold(1, size, 1)  # (R, N-size+1, size)
    ending = written[:, written.shape[1] - size + 1 :]
    same = (grams[:, :, :-1] == ending[:, None]).all(dim=-1)
    rows, at = same.nonzero(as_tuple=True)
    logits[rows, grams[rows, at, -1]] = float("-inf")
