"""What an evaluation hands to whatever answers it, here or on another machine, and what comes back: values only."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from palaver.model import Generation, GenerationConfig, ModelInfo, Request


@dataclass(frozen=True, slots=True)
class Job:
    """Which model answers, and how; values only, so that it can be sent anywhere."""

    model: ModelInfo
    module: str
    """Of the plugin that has the model's backend, for processes that load it themselves."""
    config: GenerationConfig
    batch: int = 16
    """Requests that are given to the model at once; it may answer them side by side."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and the name that its prediction comes back under."""

    key: str
    request: Request


@dataclass(frozen=True, slots=True)
class Prediction:
    """What came of a request."""

    key: str
    generation: Generation
    code: str = ""
    """Of the error, where the generation has one."""


@runtime_checkable
class Executor(Protocol):
    """What answers many requests."""

    def map(self, job: Job, asked: Iterable[Asked], cancel: threading.Event) -> Iterator[Prediction]:
        """One prediction for each request, as they are done. When `cancel` is set, open requests get none.

        Raises:
            PalaverError: the model cannot be loaded.
        """
        ...


@runtime_checkable
class ExecutorKind(Protocol):
    """A place where many requests can be answered: `palaver eval --on NAME` or `--on NAME:ARGUMENT`."""

    name: str
    summary: str
    """Where it answers, in one line."""

    def open(self, argument: str) -> Executor:
        """The executor that an argument means: a number of workers, an address; empty where none was given.

        Raises:
            UsageError: the argument means nothing here.
        """
        ...
