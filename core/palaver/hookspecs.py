"""The plugin contract, whole. A plugin is a module named by an entry point in the group `palaver`.

Each hook returns what it provides; a test can call it and look. A module without `palaver_tasks` provides the Task
subclasses it defines, so that the smallest plugin is one class. Hooks are add-only: a changed one is a new API number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from palaver.interchange import Exporter, Importer
    from palaver.job import ExecutorKind
    from palaver.metric import Metric
    from palaver.model import Backend, ModelInfo
    from palaver.named import NamedDataset
    from palaver.screen import ScreenKind
    from palaver.task import Task

API = 1
"""The number of this contract. A plugin with `PALAVER_API = 1`, or `(1, 3)`, is refused by a Palaver outside of it."""

hookspec = pluggy.HookspecMarker("palaver")
hookimpl = pluggy.HookimplMarker("palaver")


@hookspec
def palaver_tasks() -> Iterable[type[Task]]:
    """Task classes. Each becomes a slash command, a `palaver NAME` command and a form.

    Called once, when a task, model or metric is first asked for. A module without this hook provides the Task
    subclasses that it defines itself.
    """
    return ()


@hookspec
def palaver_backends() -> Iterable[Backend]:
    """Backends: what loads models of one kind. No weights are read here.

    Called once, as `palaver_tasks` is, and again in the child process of a model whose backend is `isolated`.
    """
    return ()


@hookspec
def palaver_models() -> Iterable[ModelInfo]:
    """Named models, loaded or downloaded only on use.

    Called again after a download or a removal, since a model that is on this machine has a `path`.
    """
    return ()


@hookspec
def palaver_metrics() -> Iterable[Metric]:
    """Metrics. Heavy imports wait until `score` is called.

    Called once, as `palaver_tasks` is. Tasks and `--metric` name a metric, or the `family` attribute of several.
    """
    return ()


@hookspec
def palaver_datasets() -> Iterable[NamedDataset]:
    """Data sets by name, for `palaver eval TASK NAME`. Nothing is read or downloaded here.

    Called once, when a name is asked for that is neither a file nor a data set kept in history, or when data sets are
    listed.
    """
    return ()


@hookspec
def palaver_executors() -> Iterable[ExecutorKind]:
    """Places where an evaluation's requests can be answered: `palaver eval --on NAME[:ARGUMENT]`.

    Called once, when an evaluation names a place. `inline` and `local` are there without a plugin.
    """
    return ()


@hookspec
def palaver_importers() -> Iterable[Importer]:
    """Formats of other programs that `palaver history import --format NAME` reads. No file is opened here."""
    return ()


@hookspec
def palaver_exporters() -> Iterable[Exporter]:
    """Formats of other programs that `palaver history export --format NAME` writes, beside Palaver's own."""
    return ()


@hookspec
def palaver_screens() -> Iterable[ScreenKind]:
    """Screens of the terminal UI, reached by ctrl+g and the command palette. Nothing is drawn or imported here.

    Called once, when the terminal UI first shows what can be gone to. `open` makes the screen at its first visit.
    """
    return ()


@hookspec
def palaver_commands(group: click.Group) -> None:
    """Add commands to the `palaver` command line, where none of the core and no task has the name.

    Called when a command is run that is neither. `group.command("name")` is click's own decorator.
    """
