"""Say what a plugin's module provides as values, which frames carry and the index keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import click

from palaver.model import Examines, Streams, TakesOver
from palaver.plugins.provides import adds_of, provided
from palaver.plugins.told import (
    BackendTold,
    CommandTold,
    DatasetTold,
    MetricTold,
    OptionTold,
    PartTold,
    TaskTold,
    Told,
)
from palaver.task import Task

METHODS = ("request", "parse", "prepare", "chunks", "merge")
_HOOKS = (
    "palaver_tasks", "palaver_metrics", "palaver_models", "palaver_backends", "palaver_datasets", "palaver_screens",
    "palaver_importers", "palaver_exporters", "palaver_executors",
)  # fmt: skip


def things_of(module: ModuleType) -> Mapping[str, list[Any]]:
    """What each hook of the module returns; nothing for one that it has not.

    Raises:
        Exception: what a hook raised, or what is wrong with what it returned.
    """
    return {hook: list(provided(module, hook, {})) if hasattr(module, hook) else [] for hook in _HOOKS}


def told_of(module: ModuleType, seconds: float = 0.0) -> Told:
    """All that the module provides; `seconds` is what its import took.

    Raises:
        Exception: as `things_of`.
    """
    things = things_of(module)
    group = click.Group()
    if hasattr(module, "palaver_commands"):
        provided(module, "palaver_commands", {"group": group})
    return Told(
        adds_of(module),
        tuple(map(_task, things["palaver_tasks"])),
        tuple(map(_metric, things["palaver_metrics"])),
        tuple(
            DatasetTold(one.name, str(one.summary), tuple(map(str, one.tasks))) for one in things["palaver_datasets"]
        ),
        tuple(things["palaver_models"]),
        tuple(
            BackendTold(one.name, isinstance(one, Examines), isinstance(one, TakesOver), isinstance(one, Streams))
            for one in things["palaver_backends"]
        ),
        seconds,
        _parts(things["palaver_screens"]),
        _parts(things["palaver_importers"]),
        _parts(things["palaver_exporters"]),
        _parts(things["palaver_executors"]),
        tuple(CommandTold(name, one.get_short_help_str(80)) for name, one in group.commands.items()),
    )


def _parts(things: Iterable[Any]) -> tuple[PartTold, ...]:
    return tuple(PartTold(one.name, str(one.summary)) for one in things)


def _metric(one: Any) -> MetricTold:
    return MetricTold(
        one.name, one.title, float(one.maximum), bool(one.higher_is_better), bool(one.needs_references),
        str(getattr(one, "family", "")), bool(getattr(one, "is_slow", False)),
        bool(getattr(one, "needs_logprobs", False)),
    )  # fmt: skip


def _task(task: type[Task]) -> TaskTold:
    return TaskTold(
        task.name, task.__doc__ or "", tuple(task.metrics), tuple(task.inputs), tuple(task.arguments), task.baseline,
        task.defaults,
        tuple(
            OptionTold(
                one.name, one.type.__name__, one.name in _required(task), one.default, one.help, one.choices  # type: ignore[arg-type]
            )
            for one in task.schema()
        ),
        tuple(name for name in METHODS if getattr(task, name) is not getattr(Task, name)),
    )  # fmt: skip


def _required(task: type[Task]) -> set[str]:
    return {
        one.name
        for one in dataclasses.fields(task)
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    }
