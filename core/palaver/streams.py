"""Which engine streams an answer: the one that was measured as the fastest here, and what is said of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from palaver.choice import ANY, Languages
from palaver.errors import BadInput
from palaver.machine import memory_free
from palaver.model import ModelInfo
from palaver.present import format_seconds
from palaver.timing import ANSWER, Timing, fastest, known, overtakes_after, remember

if TYPE_CHECKING:
    from palaver.registry import Registry


def choose(registry: Registry, task: str, wanted: str = "", *, languages: Languages = ANY) -> ModelInfo:
    """The model for one answer, as `Registry.choose` has it, with the engine that was measured as the fastest here.

    A wish that names the engine, `llamacpp:smollm2` or `smollm2@4bit`, is kept. Without a measurement the model's own
    engine answers.

    Raises:
        NotFound, BadInput, NeedsDownload: as `Registry.choose` says.
    """
    info = registry.choose(task, wanted, languages=languages)
    timings = known(info.path) if info.path and wanted != info.ref else []
    if not any(one.model == info.name and one.backend == info.backend for one in timings) or "@" in info.name:
        return info
    best = fastest(timings).model
    found = next((one for one, _ in registry.streamers(info) if one.name == best), info)
    return found if found.ref == info.ref or found.memory <= memory_free() else info


def measure(
    registry: Registry, info: ModelInfo, cancel: threading.Event, on_step: Callable[[str], None] = lambda words: None
) -> list[Timing]:
    """Time the engines that can stream these weights, and remember it; empty when cancelled.

    Raises:
        BadInput: the model has no weights here. PalaverError: why none, or one of the engines cannot answer.
    """
    from palaver.race import race  # pulls subprocess: paid by whoever measures

    entrants = registry.streamers(info)
    if not entrants:
        if info.path and (broken := registry.examine(info)) is not None:
            raise broken
        raise BadInput(f"{info.name} has no weights here to be timed.", fix="palaver models list")
    if Path(info.path).is_file():
        from palaver import weights

        weights.digest(Path(info.path))  # paid once, and not by the engine that is timed first
    found = race(entrants, cancel, on_step)
    if found:
        remember(info.path, found)
    return found


def is_to_be_timed(registry: Registry, info: ModelInfo) -> bool:
    """Several engines can stream these weights, and which of them is the fastest here was never measured."""
    return bool(info.path) and len(registry.streamers(info)) > 1 and not known(info.path)


def told(registry: Registry, info: ModelInfo) -> str:
    """Which engine streams the model here and why, for the user; empty for what has no weights here."""
    entrants = registry.streamers(info)
    if not entrants or "@" in info.name:
        return ""
    others = [f"{one.name} with {one.backend}" for one, _ in entrants[1:]]
    if not others:
        return f"{info.backend}, the only one here"
    timings = known(info.path)
    if not timings:
        return f"{info.backend}, not timed beside {', '.join(others)}: palaver models time {info.name}"
    return verdict(timings)


def named(info: ModelInfo) -> str:
    """Its name, with its engine where there was a choice: `smollm2 by llamacpp`."""
    return f"{info.name} by {info.backend}" if info.path and len(known(info.path)) > 1 else info.name


def verdict(timings: Sequence[Timing]) -> str:
    """`llamacpp: 512 tokens in 12.4 s, loading included; smollm2@4bit in 14.1 s, ahead after 860 tokens`."""
    best = fastest(timings)
    parts = [f"{_engine(best)}: an answer of {ANSWER} tokens in {format_seconds(best.seconds())}, loading included"]
    for one in timings:
        if one is not best:
            after = overtakes_after(best, one)
            later = f", ahead after {after:,} tokens of a conversation" if after is not None else ""
            parts.append(f"{_engine(one)} in {format_seconds(one.seconds())}{later}")
    return "; ".join(parts)


def _engine(timing: Timing) -> str:
    form = timing.model.rpartition("@")[2] if "@" in timing.model else ""
    return f"{timing.backend} in {form}" if form else timing.backend
