"""Measure which engine streams a model's weights fastest on this machine."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from palaver.errors import ModelFailed
from palaver.isolated import IsolatedModel
from palaver.machine import memory_free
from palaver.model import GenerationConfig, Message, ModelInfo, Request
from palaver.timing import Timing

ROUNDS = 3
"""Answers of each engine once it is loaded; the middle one counts."""
TOKENS = 48

_QUESTION = Request((Message("user", "Tell me a long story about a lighthouse."),), "generate")


@dataclass(slots=True)
class _Runner:
    model: IsolatedModel
    start_seconds: float
    first: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def timing(self) -> Timing:
        info = self.model.info
        return Timing(
            info.name,
            info.backend,
            self.start_seconds,
            statistics.median(self.first),
            statistics.median(self.rates),
            self.model.memory_bytes(),
        )


def race(
    entrants: Sequence[tuple[ModelInfo, str]],
    cancel: threading.Event,
    on_step: Callable[[str], None] = lambda words: None,
) -> list[Timing]:
    """What each engine takes, in the order given; fewer where memory has no room for all. Empty when cancelled.

    `entrants` are descriptions of the same weights, each with its plugin's module. All are loaded, one after the other;
    then they answer in turn, so that other work on the machine slows them alike.

    Raises:
        ModelFailed: one of them cannot answer.
    """
    with ExitStack() as stack:
        runners: list[_Runner] = []
        for info, module in entrants:
            if info.memory > memory_free():
                continue
            on_step(f"loading {info.name} with {info.backend}")
            model = stack.enter_context(IsolatedModel(info, module=module))
            begun = time.perf_counter()
            first, _ = _answer(model, cancel, tokens=2)
            runners.append(_Runner(model, first - begun))
        for number in range(ROUNDS):
            for runner in runners:
                if cancel.is_set():
                    return []
                on_step(f"round {number + 1} of {ROUNDS}: {runner.model.info.name}")
                begun = time.perf_counter()
                first, rate = _answer(runner.model, cancel)
                runner.first.append(first - begun)
                runner.rates.append(rate)
        return [] if cancel.is_set() else [runner.timing() for runner in runners]


def _answer(model: IsolatedModel, cancel: threading.Event, *, tokens: int = TOKENS) -> tuple[float, float]:
    """When the first text came, on the clock of `perf_counter`, and tokens a second after it.

    Raises:
        ModelFailed: no text came.
    """
    first = last = 0.0
    count = 0
    for delta in model.stream([_QUESTION], GenerationConfig(max_new_tokens=tokens), cancel):
        if delta.text:
            last = time.perf_counter()
            first = first or last
        count = delta.output_tokens or count
    if cancel.is_set():
        return first, 1.0
    if not first:
        raise ModelFailed(f"{model.info.name} wrote nothing, so that it cannot be timed.")
    return first, max(count - 1, 1) / max(last - first, 1e-6)
