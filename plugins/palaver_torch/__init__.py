"""Hugging Face models and own checkpoints through PyTorch: causal, sequence-to-sequence and extractive, in a process of
their own."""

from __future__ import annotations

from collections.abc import Iterable

from palaver import Backend, ModelInfo, hookimpl


@hookimpl
def palaver_backends() -> Iterable[Backend]:
    """The backend `torch`."""
    from palaver_torch.backend import Torch

    return [Torch()]


@hookimpl
def palaver_models() -> Iterable[ModelInfo]:
    """The catalogue; those on this machine come with their path."""
    from palaver_torch.catalogue import CATALOGUE, located

    return [located(info) for info in CATALOGUE]
