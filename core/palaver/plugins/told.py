"""What a plugin in another process says that it provides: values only, so that frames carry them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from palaver.model import GenerationConfig, ModelInfo


@dataclass(frozen=True, slots=True)
class OptionTold:
    """A field of a task."""

    name: str
    type: Literal["str", "int", "float", "bool"]
    is_required: bool
    default: object = None
    help: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskTold:
    """A task class."""

    name: str
    doc: str = ""
    metrics: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    baseline: str = ""
    defaults: GenerationConfig = field(default_factory=GenerationConfig)
    options: tuple[OptionTold, ...] = ()
    own: tuple[str, ...] = ()
    """Methods that are not those of every task: only these are asked of the other process."""


@dataclass(frozen=True, slots=True)
class MetricTold:
    """A metric."""

    name: str
    title: str
    maximum: float
    higher_is_better: bool
    needs_references: bool
    family: str = ""
    is_slow: bool = False
    needs_logprobs: bool = False


@dataclass(frozen=True, slots=True)
class DatasetTold:
    """A data set."""

    name: str
    summary: str = ""
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BackendTold:
    """A backend, and what it can do beside resolving and loading."""

    name: str
    examines: bool = False
    takes_over: bool = False
    streams: bool = False


@dataclass(frozen=True, slots=True)
class PartTold:
    """A screen, an executor, or a format that is read or written."""

    name: str
    summary: str = ""


@dataclass(frozen=True, slots=True)
class CommandTold:
    """A command of the command line."""

    name: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """All of a plugin."""

    adds: tuple[str, ...] = ()
    tasks: tuple[TaskTold, ...] = ()
    metrics: tuple[MetricTold, ...] = ()
    datasets: tuple[DatasetTold, ...] = ()
    models: tuple[ModelInfo, ...] = ()
    backends: tuple[BackendTold, ...] = ()
    seconds: float = 0.0
    """Of the import."""
    screens: tuple[PartTold, ...] = ()
    importers: tuple[PartTold, ...] = ()
    exporters: tuple[PartTold, ...] = ()
    executors: tuple[PartTold, ...] = ()
    commands: tuple[CommandTold, ...] = ()
