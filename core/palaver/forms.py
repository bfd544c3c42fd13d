"""The same weights with another engine: `NAME@FORM`, and which engines there are for many requests or for a stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from palaver.errors import NeedsDownload
from palaver.machine import memory_free
from palaver.model import Backend, ModelInfo, Streams, TakesOver


def taken_over(backends: Iterable[Backend], models: Mapping[str, ModelInfo], name: str) -> ModelInfo | None:
    """The model that `NAME@FORM` or `backend:NAME@FORM` means, where NAME is in the catalogue; None if it is none.

    Raises:
        NeedsDownload: the file of NAME is not on this machine.
    """
    base, _, form = name.rpartition("@")
    for backend in backends:
        own = models.get(base.removeprefix(f"{backend.name}:"))
        if own is None or not isinstance(backend, TakesOver):
            continue
        if own.files and not own.path:
            raise NeedsDownload(f"{own.name} is not on this machine yet.", fix=f"palaver models pull {own.name}")
        if (taken := backend.take_over(own, form)) is not None:
            return taken
    return None


def for_batches(backends: Iterable[Backend], info: ModelInfo) -> Iterable[ModelInfo]:
    """The same weights with the engines that answer many requests faster, as far as there is memory for them."""
    for backend in backends:
        if backend.name != info.backend and isinstance(backend, TakesOver):
            found = backend.for_batches(info)
            if found is not None and found.memory <= memory_free():
                yield found


def for_streams(backends: Iterable[Backend], info: ModelInfo) -> Iterable[ModelInfo]:
    """The same weights with the other engines that can stream one answer from them."""
    for backend in backends:
        if backend.name != info.backend and isinstance(backend, Streams):
            try:
                found = backend.for_streams(info)
            except Exception:  # a plugin may raise anything at all: then it is no engine for this
                continue
            if found is not None:
                yield found
