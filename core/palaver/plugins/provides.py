"""What a plugin's module provides, checked: a wrong kind of thing is refused here, not met later by whoever uses it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from palaver import hookspecs
from palaver.interchange import Exporter, Importer
from palaver.job import ExecutorKind
from palaver.metric import Metric
from palaver.model import Backend, ModelInfo
from palaver.named import NamedDataset
from palaver.screen import ScreenKind
from palaver.task import Task

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("palaver_"))

_KINDS = (
    ("palaver_tasks", "task"),
    ("palaver_models", "model"),
    ("palaver_backends", "backend"),
    ("palaver_metrics", "metric"),
    ("palaver_datasets", "dataset"),
    ("palaver_executors", "executor"),
    ("palaver_screens", "screen"),
    ("palaver_importers", "importer"),
    ("palaver_exporters", "exporter"),
)
_NAME = re.compile(r"[^\W_][\w.+:-]*")


def check_module(module: ModuleType) -> None:
    """Refuse a plugin for another API, and a function that is named like a hook and is none.

    Raises:
        RuntimeError: which of the two, in a sentence.
    """
    check_api(getattr(module, "PALAVER_API", None))
    for name in vars(module):
        if name.startswith("palaver_") and callable(getattr(module, name)) and name not in HOOKS:
            raise RuntimeError(f"there is no hook '{name}'; the hooks are {', '.join(sorted(HOOKS))}")


def check_api(wanted: object) -> None:
    """Refuse a plugin that was written for another contract: a number, or the lowest and the highest one.

    Raises:
        RuntimeError: in a sentence.
    """
    if wanted is None:
        return
    bounds = [one for one in (wanted if isinstance(wanted, tuple) else (wanted, wanted)) if isinstance(one, int)]
    if len(bounds) != 2 or (isinstance(wanted, tuple) and len(wanted) != 2):
        raise RuntimeError(f"PALAVER_API is a number or two, the lowest and the highest, not {wanted!r:.40}")
    if not bounds[0] <= hookspecs.API <= bounds[1]:
        raise RuntimeError(f"it wants plugin API {wanted}, this Palaver has {hookspecs.API}")


def tasks_of(module: ModuleType) -> tuple[type[Task], ...]:
    """The named Task subclasses that `module` itself defines."""
    return tuple(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module.__name__ and value.name
    )


def provided(module: ModuleType, hook: str, arguments: Mapping[str, object]) -> Any:
    """What the module returns from `hook`, as a list of the right kind.

    Raises:
        Exception: what the hook raised, or a TypeError that says what is wrong with what it returned.
    """
    implementation = getattr(module, hook)
    names = inspect.signature(implementation).parameters
    value = implementation(**{name: one for name, one in arguments.items() if name in names})
    if hook == "palaver_commands":
        return value
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{hook} returns a list, not {type(value).__name__}")
    found = list(value)
    for one in found:
        _check(hook, one)
    return found


def adds_of(module: ModuleType) -> tuple[str, ...]:
    """What a plugin module provides, in words: `model smollm2`; tasks and commands with their help after a colon."""
    words: list[str] = []
    for hook, kind in _KINDS:
        if hasattr(module, hook):
            words += [_with_help(f"{kind} {one.name}", one) for one in provided(module, hook, {})]
    if hasattr(module, "palaver_commands"):
        import click

        group = click.Group()
        provided(module, "palaver_commands", {"group": group})
        words += [f"command {name}: {command.get_short_help_str(80)}" for name, command in group.commands.items()]
    return tuple(words)


def _with_help(words: str, one: object) -> str:
    if isinstance(one, type) and issubclass(one, Task):
        return f"{words}: {one.summary()}"
    if isinstance(one, NamedDataset | ExecutorKind | ScreenKind | Importer | Exporter):
        return f"{words}: {one.summary}"
    return words


def _check(hook: str, one: object) -> None:
    if hook == "palaver_tasks":
        right = isinstance(one, type) and issubclass(one, Task)
        what = "subclasses of Task"
    elif hook == "palaver_models":
        right, what = isinstance(one, ModelInfo), "ModelInfo"
    elif hook == "palaver_backends":
        right, what = isinstance(one, Backend), "backends: name, isolated, resolve(name), load(info)"
    elif hook == "palaver_datasets":
        right, what = isinstance(one, NamedDataset), "data sets: name, summary, tasks, examples()"
    elif hook == "palaver_importers":
        right, what = isinstance(one, Importer), "importers: name, summary, read(files)"
    elif hook == "palaver_exporters":
        right, what = isinstance(one, Exporter), "exporters: name, summary, export(turns, out)"
    elif hook == "palaver_screens":
        right, what = isinstance(one, ScreenKind), "kinds of screens: name, summary, open(desk)"
    elif hook == "palaver_executors":
        right, what = isinstance(one, ExecutorKind), "kinds of executors: name, summary, open(argument)"
    else:
        right = isinstance(one, Metric)
        what = "metrics: name, title, maximum, higher_is_better, needs_references, score(), corpus()"
    if not right:
        raise TypeError(f"{hook} returns {what}; {one!r:.80} is none")
    name = getattr(one, "name", "")
    if not isinstance(name, str) or not (_NAME.fullmatch(name) or (hook == "palaver_models" and name.isprintable())):
        raise TypeError(f"{hook}: a name is one word of letters, digits and - . _ +, not {name!r:.80}")
