"""What training makes small: cross-entropy with label smoothing, squared error, and attention that leaves the diagonal.

Letters: N targets, V vocabulary, B batch, T time of the target, S of the source, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from palaver_train.tokens import PAD


class _CrossEntropy(torch.autograd.Function):
    """Sums over N of the smoothed and of the plain loss. By hand: two passes over the logits, and one for the gradient.

    With a share e spread over V tokens (Szegedy et al. 2016, 7) the loss is  lse - (1 - e) z_y - e mean(z)  for logits
    z, since -log P(y) is  lse - z_y; its gradient is  softmax(z) - e / V - (1 - e) [at y].
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
        logits = logits.float()
        total = logits.logsumexp(dim=-1)  # (N)
        plain = total - logits.gather(-1, targets[:, None])[:, 0]
        loss = plain
        if smoothing:
            loss = total - (1 - smoothing) * (total - plain) - smoothing * logits.mean(dim=-1)
        ctx.save_for_backward(logits, targets, total)
        ctx.smoothing = smoothing
        plain = plain.sum()
        ctx.mark_non_differentiable(plain)
        return loss.sum(), plain

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        logits, targets, total = ctx.saved_tensors
        smoothing = ctx.smoothing
        found = torch.exp(logits - total[:, None])
        if smoothing:
            found -= smoothing / logits.shape[-1]
        found.scatter_add_(1, targets[:, None], found.new_full((len(targets), 1), smoothing - 1))
        return found.mul_(gradients[0]), None, None


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Sums of the smoothed loss and of -log P(y_i | y_<i, x), for logits (N, V) and targets (N)."""
    loss, plain = _CrossEntropy.apply(logits, targets, smoothing)  # type: ignore[no-untyped-call]
    return loss, plain


def squared_error(made: Tensor, wanted: Tensor) -> Tensor:
    """Sum over N of the mean over D of squared differences, for vectors (N, D)."""
    return F.mse_loss(made.float(), wanted.float(), reduction="none").mean(dim=-1).sum()


def off_diagonal(attention: Tensor, source: Tensor, targets: Tensor, *, breadth: float = 0.2) -> Tensor:
    """Sum over targets of the attention (B, T, S) that lies far from the diagonal (Tachibana et al. 2018, formula 5).

    It helps attention to begin where translations are: the n-th part of the source belongs to the n-th of the target.
    """
    is_source, is_target = source != PAD, targets != PAD
    along_source = _places(is_source)[:, None]  # (B, 1, S)
    along_target = _places(is_target)[:, :, None]  # (B, T, 1)
    penalty = 1 - torch.exp(-((along_target - along_source) ** 2) / (2 * breadth**2))
    kept = is_target[:, :, None] & is_source[:, None]
    return (attention * penalty).masked_fill(~kept, 0).sum()


def _places(is_real: Tensor) -> Tensor:
    """Where each token stands in its text, from 0 to 1."""
    lengths = is_real.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.arange(is_real.shape[1], device=is_real.device)[None] / lengths
