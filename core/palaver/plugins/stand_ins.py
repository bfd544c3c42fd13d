"""A plugin in a process of its own: its things as if they were here; what is called asks the process."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Literal, cast

from palaver import frames
from palaver.example import Example
from palaver.model import ModelInfo, Request
from palaver.plugins.remote import Process
from palaver.plugins.remote_backends import QUICK_SECONDS, backend_class
from palaver.plugins.remote_things import (
    RemoteDataset,
    RemoteExporter,
    RemoteImporter,
    RemoteMetric,
    RemoteScreen,
    VisitingExecutor,
    add_commands,
)
from palaver.plugins.told import OptionTold, TaskTold, Told
from palaver.task import Task


def module_of(process: Process, told: Told) -> ModuleType:
    """A module with the hooks of the plugin, which ask its process."""
    made = ModuleType(process.found.module, "A plugin in a process of its own.")
    tasks = [_task(process, one) for one in told.tasks]
    metrics = [_of(process, RemoteMetric, one.name)(process, one) for one in told.metrics]
    datasets = [_of(process, RemoteDataset, one.name)(process, one) for one in told.datasets]
    backends = [
        _of(
            process,
            backend_class(examines=one.examines, takes_over=one.takes_over, streams=one.streams),
            one.name,
        )(process, one.name)
        for one in told.backends
    ]
    for hook, things in (
        ("palaver_tasks", tasks),
        ("palaver_metrics", metrics),
        ("palaver_datasets", datasets),
        ("palaver_backends", backends),
        ("palaver_screens", [_of(process, RemoteScreen, one.name)(process, one) for one in told.screens]),
        ("palaver_importers", [_of(process, RemoteImporter, one.name)(process, one) for one in told.importers]),
        ("palaver_exporters", [_of(process, RemoteExporter, one.name)(process, one) for one in told.exporters]),
        ("palaver_executors", [_of(process, VisitingExecutor, one.name)(process, one) for one in told.executors]),
    ):
        if things:
            setattr(made, hook, lambda things=things: things)
    if told.models:
        is_moving = any(one.files or one.path for one in told.models)
        made.palaver_models = (lambda: models_now(process)) if is_moving else (lambda: list(told.models))  # type: ignore[attr-defined]
    if told.commands:
        made.palaver_commands = lambda group: add_commands(process, told.commands, group)  # type: ignore[attr-defined]
    return made


def models_now(process: Process) -> list[ModelInfo]:
    """The models that a plugin names, as its process says it now: what was downloaded meanwhile has a path.

    Raises:
        PalaverError: the process does not answer.
    """
    return [frames.decode(ModelInfo, one) for one in process.call("models", "", seconds=QUICK_SECONDS)]


def _of(process: Process, kind: type[Any], name: str) -> type[Any]:
    """The class, as if it were the plugin's: failures are counted against the module that a class is from."""
    return type(name, (kind,), {"__module__": process.found.module})


def _task(process: Process, told: TaskTold) -> type[Task]:
    """A task class with the same fields, whose own methods are answered by the process."""

    def ask(self: Task, method: str, example: Example, **given: Any) -> Any:
        example_ = frames.encode(example)
        return process.call("task", told.name, method=method, options=self.options(), example=example_, **given)

    def request(self: Task, example: Example) -> Request:
        return frames.decode(Request, ask(self, "request", example))

    def parse(self: Task, output: str, example: Example) -> str:
        return cast(str, ask(self, "parse", example, output=output))

    def prepare(self: Task, example: Example) -> Example:
        return frames.decode(Example, ask(self, "prepare", example))

    def chunks(self: Task, example: Example, limit: int) -> Sequence[Example]:
        return [frames.decode(Example, one) for one in ask(self, "chunks", example, limit=limit)]

    def merge(self: Task, answers: Sequence[str], example: Example) -> str | Example:
        merged = ask(self, "merge", example, answers=list(answers))
        return merged if isinstance(merged, str) else frames.decode(Example, merged)

    methods = {"request": request, "parse": parse, "prepare": prepare, "chunks": chunks, "merge": merge}
    body: dict[str, Any] = {
        "__doc__": told.doc, "__module__": process.found.module, "name": told.name, "metrics": told.metrics,
        "inputs": told.inputs, "arguments": told.arguments, "baseline": told.baseline, "defaults": told.defaults,
        "_option_help": {one.name: one.help for one in told.options},
        **{name: methods[name] for name in told.own if name in methods},
    }  # fmt: skip
    made = dataclasses.make_dataclass(
        told.name.title().replace("-", ""),
        map(_field, told.options),
        bases=(Task,),
        namespace=body,
        frozen=True,
        kw_only=True,
    )
    made.__module__ = process.found.module
    return made


def _field(one: OptionTold) -> tuple[str, Any, Any]:
    plain: Any = {"str": str, "int": int, "float": float, "bool": bool}[one.type]
    kind = Literal[one.choices] if one.choices else plain
    if not one.is_required and one.default is None:
        kind = kind | None
    return one.name, kind, dataclasses.field() if one.is_required else dataclasses.field(default=one.default)
