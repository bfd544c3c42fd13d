"""Hugging Face models and own checkpoints through PyTorch: causal, sequence-to-sequence and extractive, in a process of
their own."""

from __future__ import annotations

from collections.abc import Iterable

from palaver import Backend, ModelInfo, hookimpl, paths


@hookimpl
def palaver_backends() -> Iterable[Backend]:
    """The backend `torch`."""
    from palaver_torch.backend import Torch

    return [Torch()]


@hookimpl
def palaver_models() -> Iterable[ModelInfo]:
    """The catalogue, and what was pulled from the hub; those on this machine come with their path."""
    from palaver_torch.backend import Torch
    from palaver_torch.catalogue import CATALOGUE, located

    pulled = (Torch().resolve(name) for name in paths.pulled_from_hub() if not name.endswith(".gguf"))
    return [*(located(info) for info in CATALOGUE), *(info for info in pulled if info is not None and info.path)]
