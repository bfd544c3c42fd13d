"""GGUF models through llama.cpp, in a process of their own; two of them come from the package registry."""

from __future__ import annotations

from collections.abc import Iterable

from palaver import Backend, ModelInfo, hookimpl, paths


@hookimpl
def palaver_backends() -> Iterable[Backend]:
    """The backend `llamacpp`."""
    from palaver_llamacpp.backend import LlamaCpp

    return [LlamaCpp()]


@hookimpl
def palaver_models() -> Iterable[ModelInfo]:
    """The catalogue, and what was pulled from the hub; those on this machine come with their path."""
    from palaver_llamacpp.backend import LlamaCpp
    from palaver_llamacpp.catalogue import CATALOGUE, located

    pulled = (LlamaCpp().resolve(name) for name in paths.pulled_from_hub() if name.endswith(".gguf"))
    return [*(located(info) for info in CATALOGUE), *(info for info in pulled if info is not None and info.path)]
