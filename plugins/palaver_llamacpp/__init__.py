"""GGUF models through llama.cpp, in a process of their own; two of them come from the package registry."""

from __future__ import annotations

from collections.abc import Iterable

from palaver import Backend, ModelInfo, hookimpl


@hookimpl
def palaver_backends() -> Iterable[Backend]:
    """The backend `llamacpp`."""
    from palaver_llamacpp.backend import LlamaCpp

    return [LlamaCpp()]


@hookimpl
def palaver_models() -> Iterable[ModelInfo]:
    """The catalogue; those on this machine come with their path."""
    from palaver_llamacpp.catalogue import CATALOGUE, located

    return [located(info) for info in CATALOGUE]
