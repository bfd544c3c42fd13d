"""What all working plugins provide, by name, as one value that is made anew when one of them changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from palaver.metric import Metric
from palaver.model import Backend, ModelInfo
from palaver.plugins import Plugin, Plugins
from palaver.task import Chat, Task


@dataclass(frozen=True, slots=True)
class Roster:
    """Things by name."""

    tasks: dict[str, type[Task]] = field(default_factory=dict)
    origins: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Name and version of the plugin that a task is from."""
    backends: dict[str, tuple[Backend, str]] = field(default_factory=dict)
    """Each with the module of its plugin."""
    models: dict[str, ModelInfo] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)


def roster(plugins: Plugins) -> Roster:
    """Import what is waiting, and ask all for what they provide."""
    plugins.load()
    made = Roster(tasks={"chat": Chat})
    for plugin, tasks in plugins.call("palaver_tasks"):
        for task in tasks:
            made.tasks[free(task.name, plugin, made.tasks)] = task
            made.origins.setdefault(task.name, (plugin.found.name, plugin.found.version))
    for plugin, backends in plugins.call("palaver_backends"):
        for backend in backends:
            made.backends[free(backend.name, plugin, made.backends)] = (backend, plugin.found.module)
    for plugin, infos in plugins.call("palaver_models"):
        for info in infos:
            name = free(info.name, plugin, made.models)
            made.models[name] = dataclasses.replace(info, name=name)
    for plugin, metrics in plugins.call("palaver_metrics"):
        for metric in metrics:
            made.metrics[free(metric.name, plugin, made.metrics)] = metric
    return made


def free(name: str, plugin: Plugin, taken: Mapping[str, object]) -> str:
    """The name, or `plugin/name` where an earlier plugin has it: both stay reachable."""
    return name if name not in taken else f"{plugin.found.name}/{name}"
