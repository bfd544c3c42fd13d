"""Rotary positions: a query meets a key by how far apart they are (Su et al. 2021).

Letters: B batch, T time, N any number of axes, E width of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rotations(time: int, width: int) -> Tensor:
    """The complex number (T, E / 2) by which each pair of channels is turned at each position."""
    speeds = 10000.0 ** -(torch.arange(0, width, 2) / width)  # as in Vaswani et al. 2017, 3.5
    angles = torch.arange(time)[:, None] * speeds
    return torch.polar(torch.ones_like(angles), angles)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Queries or keys (B, T, N, E), each pair of neighbouring channels turned; in float32."""
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))  # (B, T, N, E/2)
    return torch.view_as_real(pairs * turns[:, None]).flatten(-2)
