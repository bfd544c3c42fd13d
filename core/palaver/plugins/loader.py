"""The plugins of one process: what is known of them, and their modules once they are wanted."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, Literal

import pluggy

from palaver import hookspecs
from palaver.plugins.describe import describe
from palaver.plugins.failures import add_failure, clear_failures, read_failures, why_aside
from palaver.plugins.found import GROUP, SINGLE, Found, declared_api, find, is_safe_mode, single_files, stamp
from palaver.plugins.index import Known, known, read_index, remember
from palaver.plugins.isolation import Isolation, isolation_of
from palaver.plugins.probe import probe
from palaver.plugins.provides import adds_of, check_api, check_module, provided, tasks_of
from palaver.plugins.quiet import quiet

Health = Literal["ok", "unloaded", "broken", "off", "quarantined"]


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin and how it is doing."""

    found: Found
    health: Health = "unloaded"
    reason: str = ""
    """Why it does not work, or is not used."""
    import_seconds: float = 0.0
    adds: tuple[str, ...] = ()
    """What it provides, `model smollm2` or `task summarize: Shorten a text`, in the order of the hooks."""
    module: ModuleType | None = field(default=None, compare=False)
    is_known: bool = False
    """It was looked at in this state of its files, now or before."""


def look(found: Sequence[Found] | None = None, *, off: Iterable[str] = ()) -> list[Plugin]:
    """The installed plugins as their metadata, the index and the user have them; nothing is imported."""
    index = read_index()
    return [_remembered(one, known(one.found, index)) for one in _states(found, off)]


def _states(found: Sequence[Found] | None, off: Iterable[str]) -> list[Plugin]:
    """Each plugin, with those that are not to be imported marked."""
    disabled, failures, is_safe = set(off), read_failures(), is_safe_mode()
    states: list[Plugin] = []
    for one in find() if found is None else found:
        if one.fault:
            states.append(Plugin(one, "broken", one.fault))
        elif one.name in disabled:
            states.append(Plugin(one, "off"))
        elif is_safe and not one.is_built_in:
            states.append(Plugin(one, "off", "safe mode"))
        elif reason := why_aside(one.name, failures):
            states.append(Plugin(one, "quarantined", reason))
        else:
            states.append(Plugin(one))
    return states


def _remembered(plugin: Plugin, entry: Known | None) -> Plugin:
    if entry is None:
        return plugin
    if plugin.health == "unloaded" and entry.broken:
        return replace(plugin, health="broken", reason=entry.broken, is_known=True)
    return replace(plugin, adds=entry.adds, import_seconds=entry.seconds, is_known=True)


class Importer:
    """Imports plugins and checks them against the contract."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)

    def bring(self, found: Found) -> Plugin:
        """The plugin, imported; broken with its reason when that does not work. What it prints goes to a log."""
        start = time.perf_counter()
        if found.place and not found.python and found.place not in sys.path:
            sys.path.append(found.place)  # last: a single file hides no package
        try:
            with quiet(found.name):
                check_api(declared_api(found))  # before a line of it runs
                module = importlib.import_module(found.module)
                check_module(module)
                self._manager.register(module, name=found.name)
                self._manager.check_pending()
                if not hasattr(module, "palaver_tasks") and (own := tasks_of(module)):
                    module.palaver_tasks = lambda: own  # type: ignore[attr-defined]
                adds = adds_of(module)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything at all, SystemExit included
            with contextlib.suppress(Exception):
                self._manager.unregister(name=found.name)
            return Plugin(found, "broken", describe(error), time.perf_counter() - start)
        return Plugin(found, "ok", "", time.perf_counter() - start, adds, module, is_known=True)

    def drop(self, name: str, plugin: Plugin | None) -> None:
        """Forget a plugin that was brought, so that its file is read anew."""
        with contextlib.suppress(Exception):
            self._manager.unregister(name=name)
        if plugin is not None:
            sys.modules.pop(plugin.found.module, None)
            importlib.invalidate_caches()


class Plugins:
    """The plugins of this process: found at once, imported by `load`, each failure kept with its culprit."""

    def __init__(self, found: Sequence[Found] | None = None, *, off: Iterable[str] = (), is_apart: bool = True) -> None:
        """`is_apart=False` is for a process that may be ended, as a test's: all are brought into it, and these only."""
        self._importer = Importer()
        self._is_apart = is_apart
        self._off = tuple(off)
        self._plugins = {one.found.name: one for one in _states(found, self._off)}
        self._stamps = {one.found.name: stamp(one.found) for one in self if one.found.distribution == SINGLE}
        self._closing: dict[str, Callable[[], None]] = {}

    def __iter__(self) -> Iterator[Plugin]:
        return iter(self._plugins.values())

    def load(self) -> None:
        """Import every plugin that is to be used and was not tried yet, and remember what each adds.

        What others wrote and nobody has looked at in this state of its files is imported by a process of its own
        first. What ends or hangs that one is never imported here.
        """
        waiting = [one for one in self if one.health == "unloaded"]
        index = read_index()
        strangers = {one.found.name: known(one.found, index) for one in waiting if not one.found.is_built_in}
        unknown = [one.found for one in waiting if strangers.get(one.found.name, one) is None]
        looked = {**strangers, **(probe(unknown) if unknown else {})}
        learnt: dict[str, Known] = {}
        for plugin in waiting:
            found, entry = plugin.found, looked.get(plugin.found.name)
            if self._is_apart and (isolation := isolation_of(found)).level != "inproc":
                self._plugins[found.name], learnt[found.name] = self._bring_apart(found, isolation, entry)
                continue
            if entry is not None and entry.is_fatal:
                self._plugins[found.name] = replace(plugin, health="broken", reason=entry.broken)
                continue
            made = self._plugins[found.name] = self._importer.bring(found)
            learnt[found.name] = Known(
                found.module, found.version, stamp(found), made.adds, made.reason, seconds=made.import_seconds,
                told=entry.told if entry else None,
            )  # fmt: skip
        if learnt:
            remember(learnt)

    def _bring_apart(self, found: Found, isolation: Isolation, entry: Known | None) -> tuple[Plugin, Known]:
        """An isolated plugin; its process is started by the first call of something that it provides."""
        from palaver.plugins.apart import told_of  # subprocess: paid by whoever has an isolated plugin
        from palaver.plugins.remote import Process
        from palaver.plugins.stand_ins import module_of

        process = Process(found, isolation)
        self._closing[found.name] = process.close
        entry, told = told_of(process, entry)
        if told is None:
            return Plugin(found, "broken", entry.broken, is_known=True), entry
        return Plugin(found, "ok", "", told.seconds, told.adds, module_of(process, told), is_known=True), entry

    def close(self) -> None:
        """End the processes of isolated plugins; they start again when they are called."""
        for close in self._closing.values():
            close()

    def refresh(self) -> bool:
        """Look again at plugins that are single files; whether one of them was changed, came or went.

        The changed ones are imported anew by the next `load`.
        """
        if not self._is_apart:
            return False
        now = {one.name: one for one in single_files()}
        before = {name: one for name, one in self._plugins.items() if one.found.distribution == SINGLE}
        changed = {name for name, one in now.items() if self._stamps.get(name) != stamp(one)}
        for name in {*before, *changed}:
            if name in changed or name not in now:
                self._importer.drop(name, self._plugins.pop(name, None))
                if close := self._closing.pop(name, None):
                    threading.Thread(target=close, daemon=True).start()  # what hangs takes a while to end
                self._stamps.pop(name, None)
        for name in changed:
            self._stamps[name] = stamp(now[name])
            if name not in self._plugins:
                self._plugins[name] = next(iter(_states([now[name]], self._off)))
        return bool(changed or before.keys() - now.keys())

    def call(self, hook: str, **arguments: object) -> list[tuple[Plugin, Any]]:
        """What each working plugin returns from `hook`; one that raises is marked broken and left out."""
        results: list[tuple[Plugin, Any]] = []
        for name, plugin in list(self._plugins.items()):
            if plugin.health != "ok" or plugin.module is None or not hasattr(plugin.module, hook):
                continue
            try:
                results.append((plugin, provided(plugin.module, hook, arguments)))
            except Exception as error:  # a plugin may raise anything at all
                self._plugins[name] = replace(plugin, health="broken", reason=describe(error))
        return results

    def blame(self, culprit: object, error: BaseException) -> None:
        """Count a failure in use against the plugin that a task or metric, or `backend NAME`, comes from.

        Three in a row set it aside from the next start on. What came with Palaver is never set aside.
        """
        if getattr(error, "code", "") in ("plugin_died", "plugin_slow", "plugin_late", "plugin_aside", "stopped"):
            return  # its process has counted that, or the user did not wait
        if (plugin := self._owner(culprit)) is not None:
            add_failure(plugin.found.name, _label(culprit), describe(error))

    def praise(self, culprit: object) -> None:
        """It worked: its failures before this were not in a row."""
        if (plugin := self._owner(culprit)) is not None:
            clear_failures(plugin.found.name, _label(culprit))

    def _owner(self, culprit: object) -> Plugin | None:
        strangers = [one for one in self if not one.found.is_built_in and one.module is not None]
        if isinstance(culprit, str):
            return next((one for one in strangers if culprit in one.adds), None)
        home = (culprit if isinstance(culprit, type) else type(culprit)).__module__
        return next((one for one in strangers if f"{home}.".startswith(f"{one.found.module}.")), None)


def _label(culprit: object) -> str:
    return culprit if isinstance(culprit, str) else type(culprit).__name__
