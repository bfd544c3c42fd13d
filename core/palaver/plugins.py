"""Find installed plugins by their metadata, import them on use, and survive the broken ones."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import inspect
import io
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pluggy

from palaver import hookspecs
from palaver.paths import private_dir, state_dir
from palaver.task import Task

GROUP = "palaver"

Health = Literal["ok", "unloaded", "broken", "off"]


@dataclass(frozen=True, slots=True)
class Found:
    """An installed plugin as its package metadata tells it; nothing of it was imported."""

    name: str
    module: str
    distribution: str
    version: str


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin and how it is doing."""

    found: Found
    health: Health = "unloaded"
    reason: str = ""
    """Why it does not work: the exception's name, text and line."""
    import_seconds: float = 0.0
    adds: tuple[str, ...] = ()
    """What it provides, `model smollm2` or `task summarize: Shorten a text`, in the order of the hooks."""
    module: ModuleType | None = field(default=None, compare=False)


def find() -> list[Found]:
    """Installed plugins, sorted by name, from metadata alone.

    Of two distributions that give one name, the second is called `distribution/name`.
    """
    taken: dict[str, Found] = {}
    for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        dist = point.dist
        origin, version = (dist.name, dist.version) if dist else ("", "")
        same = taken.get(point.name)
        if same is not None and (same.module, same.distribution) == (point.value, origin):
            continue  # the same package seen twice on the path, as editable installs can be
        name = point.name if same is None else f"{origin}/{point.name}"
        taken[name] = Found(name, point.value, origin, version)
    return list(taken.values())


class Plugins:
    """The plugins of this process: found at once, imported by `load`, each failure kept with its culprit."""

    def __init__(self, found: Sequence[Found] | None = None, *, off: Iterable[str] = ()) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        disabled = set(off)
        self._plugins = {
            one.name: Plugin(one, "off" if one.name in disabled else "unloaded")
            for one in (find() if found is None else found)
        }

    def __iter__(self) -> Any:
        return iter(self._plugins.values())

    def load(self) -> None:
        """Import every plugin that is not off or already tried, and remember what each adds."""
        for name, plugin in list(self._plugins.items()):
            if plugin.health == "unloaded":
                self._plugins[name] = self._import(plugin)
        write_index(self._plugins.values())

    def call(self, hook: str, **arguments: object) -> list[tuple[Plugin, Any]]:
        """What each working plugin returns from `hook`; one that raises is marked broken and left out."""
        results: list[tuple[Plugin, Any]] = []
        for name, plugin in list(self._plugins.items()):
            implementation = getattr(plugin.module, hook, None) if plugin.health == "ok" else None
            if implementation is None:
                continue
            try:
                results.append((plugin, _listed(_call(implementation, arguments))))
            except Exception as error:  # a plugin may raise anything at all
                self._plugins[name] = replace(plugin, health="broken", reason=describe(error))
        return results

    def _import(self, plugin: Plugin) -> Plugin:
        start = time.perf_counter()
        noise = io.StringIO()
        try:
            # A plugin that prints while it is imported must not end up in somebody's answer.
            with contextlib.redirect_stdout(noise):
                module = importlib.import_module(plugin.found.module)
                self._check(module)
                self._manager.register(module, name=plugin.found.name)
                self._manager.check_pending()
                if not hasattr(module, "palaver_tasks"):
                    own = tasks_of(module)
                    if own:
                        module.palaver_tasks = lambda: own  # type: ignore[attr-defined]
                adds = adds_of(module)
        except (Exception, SystemExit) as error:  # a plugin may raise anything at all
            with contextlib.suppress(Exception):
                self._manager.unregister(name=plugin.found.name)
            return replace(plugin, health="broken", reason=describe(error))
        seconds = time.perf_counter() - start
        return replace(plugin, health="ok", module=module, import_seconds=seconds, adds=adds)

    @staticmethod
    def _check(module: ModuleType) -> None:
        wanted = getattr(module, "PALAVER_API", hookspecs.API)
        lowest, highest = wanted if isinstance(wanted, tuple) else (wanted, wanted)
        if not lowest <= hookspecs.API <= highest:
            raise RuntimeError(f"it wants plugin API {wanted}, this Palaver has {hookspecs.API}")
        known = {name for name in vars(hookspecs) if name.startswith("palaver_")}
        for name in vars(module):
            if name.startswith("palaver_") and callable(getattr(module, name)) and name not in known:
                near = ", ".join(sorted(known))
                raise RuntimeError(f"there is no hook '{name}'; the hooks are {near}")


def tasks_of(module: ModuleType) -> tuple[type[Task], ...]:
    """The named Task subclasses that `module` itself defines."""
    return tuple(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module.__name__ and value.name
    )


def adds_of(module: ModuleType) -> tuple[str, ...]:
    """What a plugin module provides, in words: `model smollm2`; tasks and commands with their help after a colon."""
    words: list[str] = []
    for hook, kind in (
        ("palaver_tasks", "task"),
        ("palaver_models", "model"),
        ("palaver_backends", "backend"),
        ("palaver_metrics", "metric"),
    ):
        if hasattr(module, hook):
            words += [_with_help(f"{kind} {one.name}", one) for one in _listed(getattr(module, hook)())]
    if hasattr(module, "palaver_commands"):
        import click

        group = click.Group()
        module.palaver_commands(group)
        words += [f"command {name}: {command.get_short_help_str(80)}" for name, command in group.commands.items()]
    return tuple(words)


def _with_help(words: str, provided: object) -> str:
    if isinstance(provided, type) and issubclass(provided, Task):
        return f"{words}: {provided.summary()}"
    return words


def describe(error: BaseException) -> str:
    """An exception in one line: its name, what it says, and where."""
    trace = error.__traceback__
    frames = list(inspect.getinnerframes(trace)) if trace else []
    outside = [frame for frame in frames if not frame.filename.startswith("<frozen") and frame.filename != __file__]
    where = f" ({Path(outside[-1].filename).name} line {outside[-1].lineno})" if outside else ""
    said = f": {error}" if str(error) else ""
    return f"{type(error).__name__}{said}{where}"


# The index remembers what each plugin adds, so that help and `plugins list` need not import anything.


def index_file() -> Path:
    """Where the index of what plugins add is kept."""
    return state_dir() / "plugins.json"


def read_index() -> dict[str, tuple[str, ...]]:
    """What each plugin added when it was last imported, or `broken` and why, by `name version`."""
    try:
        stored = json.loads(index_file().read_text("utf-8"))
        return {str(key): tuple(str(one) for one in value) for key, value in stored.items()}
    except (OSError, ValueError, AttributeError, TypeError):  # a lost index is only a slower help
        return {}


def refresh_index(*, seconds: float = 5.0) -> None:
    """Have a process of its own import the plugins and write the index; whatever they do there ends with it."""
    import subprocess
    import sys

    code = "from palaver.plugins import Plugins; Plugins().load()"
    null = subprocess.DEVNULL
    reason = "importing it ended the process"
    try:
        subprocess.run([sys.executable, "-c", code], stdin=null, stdout=null, stderr=null, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        reason = f"importing the plugins took more than {seconds:.0f} s"
    except OSError as error:
        reason = f"no process could be started to look at it: {error}"
    known = read_index()
    lost = [one for one in find() if index_key(one) not in known]
    if lost:
        _write({**known, **{index_key(one): (f"broken {reason}",) for one in lost}})


def index_key(found: Found) -> str:
    """The line of the index that belongs to this version of a plugin."""
    return f"{found.name} {found.version}"


def write_index(plugins: Iterable[Plugin]) -> None:
    """Remember what each plugin adds, or why it is broken; silently not, where the disk does not let us."""
    tried = {index_key(one.found): one for one in plugins if one.health in ("ok", "broken")}
    now = {key: one.adds if one.health == "ok" else (f"broken {one.reason}",) for key, one in tried.items()}
    if now != read_index():
        _write(now)


def _write(index: Mapping[str, tuple[str, ...]]) -> None:
    with contextlib.suppress(OSError):
        path = index_file()
        private_dir(path.parent)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(index, indent=1), "utf-8")
        draft.replace(path)


def _call(implementation: Any, arguments: dict[str, object]) -> Any:
    names = inspect.signature(implementation).parameters
    return implementation(**{name: value for name, value in arguments.items() if name in names})


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, Iterable) else value
