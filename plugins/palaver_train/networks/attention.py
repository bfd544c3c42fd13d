"""Scaled dot-product attention in the precision that is fastest where it runs (Vaswani et al. 2017, 3.2.1)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def attend(
    q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None = None, is_causal: bool = False, dropout: float = 0.0
) -> Tensor:
    """What queries (B, H, T, E) take from values (B, H, S, E) by their keys; a boolean mask is True where they may."""
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(
            q, k.to(q.dtype), v.to(q.dtype), attn_mask=mask, is_causal=is_causal, dropout_p=dropout
        )
    # PyTorch's attention for processors is several times slower in bfloat16 than in float32 for short texts.
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(
            q.float(), k.float(), v.float(), attn_mask=mask, is_causal=is_causal, dropout_p=dropout
        )
