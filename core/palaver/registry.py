"""Tasks, models and metrics by name, from all plugins that work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from palaver import nicknames
from palaver.choice import ANY, Languages, best_download, can, fits, not_spoken, preference
from palaver.config import Settings
from palaver.decoding import decoding
from palaver.errors import BadInput, NeedsDownload, PalaverError, PluginFailed, not_found
from palaver.forms import for_batches, for_streams, taken_over
from palaver.job import Executor, ExecutorKind
from palaver.metric import Metric
from palaver.model import Backend, Examines, GenerationConfig, Model, ModelInfo
from palaver.named import GuardedDataset, NamedDataset
from palaver.plugins import Plugin, Plugins, describe
from palaver.roster import free, roster
from palaver.screen import ScreenKind
from palaver.task import Task

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""Between two looks at the files of plugins that are single files."""
REFRESH_SECONDS = 1.0
"""How long a look is waited for; what is found later is there at the next one."""


class Registry:
    """What is installed, by name. Plugins are imported at the first question, models loaded at the first request."""

    def __init__(self, plugins: Plugins, settings: Settings | None = None) -> None:
        self.plugins = plugins
        self.settings = settings or Settings()
        self.shares_engine = False
        """Models with weights run in the user's warm engine, which outlives this process."""
        self._loading = threading.RLock()
        self._ready = False
        self._looked = time.monotonic()
        self._tasks: dict[str, type[Task]] = {}
        self._backends: dict[str, tuple[Backend, str]] = {}
        self._models: dict[str, ModelInfo] = {}
        self._metrics: dict[str, Metric] = {}
        self._datasets: dict[str, tuple[NamedDataset, Plugin]] | None = None
        self._executors: dict[str, tuple[ExecutorKind, Plugin | None]] | None = None
        self._screens: dict[str, tuple[ScreenKind, Plugin]] | None = None
        self._origins: dict[str, tuple[str, str]] = {}
        self._running: dict[str, Model] = {}

    # Tasks

    def tasks(self) -> Mapping[str, type[Task]]:
        """Every task, `chat` first, then by name. Single files that were changed meanwhile are read anew."""
        self._refresh()
        return self._tasks

    def task(self, name: str) -> type[Task]:
        """The task of that name.

        Raises:
            NotFound: with the nearest names.
        """
        found = self.tasks().get(name)
        if found is None:
            raise not_found("task", name, self.tasks(), fix="palaver plugins list")
        return found

    def origin(self, task: str) -> tuple[str, str]:
        """Name and version of the plugin that a task comes from."""
        self._load()
        return self._origins.get(task, ("palaver", ""))

    # Models

    def models(self) -> list[ModelInfo]:
        """The named models, installed or not: real ones first, then baselines."""
        self._load()
        return sorted(self._models.values(), key=lambda info: (info.is_baseline, info.name))

    def info(self, name: str) -> ModelInfo:
        """The model that a name, a `backend:name` or a path means; one given by its path has a short name from then on.

        Raises:
            NotFound: with the nearest names.
        """
        self._load()
        if name in self._models:
            return self._models[name]
        for info in self._models.values():
            if info.ref == name:
                return info
        nicknames.check(name)
        given = nicknames.whole(nicknames.meant(name)) or name
        for backend, _ in self._backends.values():
            if (resolved := self._resolved(backend, given)) is not None:
                return nicknames.named(resolved, given)
        if found := taken_over((one for one, _ in self._backends.values()), self._models, name):
            return found
        nicknames.check(name, is_tried=True)
        raise not_found("model", name, self._models, fix="palaver models list")

    def _resolved(self, backend: Backend, name: str) -> ModelInfo | None:
        """What a name means to one backend; nothing where its plugin fails, so that the others are asked too."""
        try:
            return backend.resolve(name)
        except Exception as bug:  # a plugin may raise anything at all
            if isinstance(bug, PalaverError) and not isinstance(bug, PluginFailed):
                raise
            self.plugins.blame(f"backend {backend.name}", bug)
        return None

    def for_batches(self, info: ModelInfo) -> ModelInfo:
        """The same weights with the engine that answers many requests fastest; `info` where that is its own."""
        self._load()
        found = for_batches((one for one, _ in self._backends.values()), info)
        return next((one for one in found if self.examine(one) is None), info)

    @staticmethod
    def is_installed(info: ModelInfo) -> bool:
        """Whether it can be loaded without a download."""
        return not info.files or (bool(info.path) and Path(info.path).exists())

    def installed(self, name: str) -> ModelInfo:
        """The model of that name, which is on this machine.

        Raises:
            NotFound: no such model. NeedsDownload: with the command that fetches it.
        """
        return self._here(self.info(name))

    def _here(self, info: ModelInfo) -> ModelInfo:
        if not self.is_installed(info):
            raise NeedsDownload(
                f"{info.name} is not on this machine yet ({info.download_size / 1e6:,.0f} MB).",
                fix=f"palaver models pull {info.name}",
            )
        return info

    def examine(self, info: ModelInfo) -> PalaverError | None:
        """Why a model whose files are here would not load; None where nothing is known to be wrong. Quick."""
        backend, _ = self._backends.get(info.backend, (None, ""))
        if backend is None:
            return PluginFailed(f"{info.name} needs the backend '{info.backend}', which no plugin provides.")
        try:
            return backend.examine(info) if isinstance(backend, Examines) else None
        except Exception as error:  # a backend may raise anything at all
            if isinstance(error, PluginFailed):
                return error
            return PluginFailed(f"The backend {info.backend} cannot say how {info.name} is: {type(error).__name__}.")

    def choose(self, task: str, wanted: str = "", *, languages: Languages = ANY) -> ModelInfo:
        """The model for a task in these languages: the wanted one, the settings' one, else the best that is installed.

        Raises:
            NotFound: no such model. BadInput: it cannot do the task. NeedsDownload: it is not on this machine.
        """
        name = wanted or self.settings.models.get(task) or self.settings.model
        if name:
            info = self.info(name)
            if not can(info, task):
                known = ", ".join(info.tasks)
                raise BadInput(
                    f"{info.name} cannot {task}; it does: {known}.", code="model_cannot", fix="palaver models list"
                )
            if not fits(info, languages, is_strict=False):
                raise not_spoken(info, languages)
            return self._here(info)
        able = [one for one in self.models() if can(one, task) and fits(one, languages) and self.is_installed(one)]
        # A baseline that does not do the task well - a copy as a translation - is only ever asked for by name.
        able = [info for info in able if not info.is_baseline or task in info.good_at]
        able.sort(key=lambda info: preference(info, task))
        if found := next((info for info in able if self.examine(info) is None), None):
            return found
        if able and (broken := self.examine(able[0])) is not None:
            raise broken
        into = f" {languages}" if languages.target else ""
        raise NeedsDownload(f"No installed model can do {task}{into}.", fix=self._first_download(task, languages))

    def streamers(self, info: ModelInfo) -> list[tuple[ModelInfo, str]]:
        """The model, and the same weights with other engines that can stream them here, each with its plugin's module.

        Only the model itself where no other engine knows them; none where it has no weights here.
        """
        self._load()
        if not info.path or info.backend not in self._backends or not self._backends[info.backend][0].isolated:
            return []
        found = (one for one in for_streams((one for one, _ in self._backends.values()), info))
        return [(one, self._backends[one.backend][1]) for one in (info, *found) if self.examine(one) is None]

    def model(self, name: str) -> Model:
        """The running model of that name, loaded at its first request; its weights in a child process if it has any."""
        info = self.info(name)
        with self._loading:
            if info.ref not in self._running:
                self._running[info.ref] = self._start(info)
            return self._running[info.ref]

    def running(self) -> list[Model]:
        """The models that were asked for in this process."""
        return list(self._running.values())

    def is_ready(self, info: ModelInfo) -> bool:
        """Whether this model answers without loading first; one in this process was loaded when it was asked for."""
        running = self._running.get(info.ref)
        return running is not None and bool(getattr(running, "is_ready", True))

    def unload(self, name: str) -> bool:
        """Close a running model and free its memory; False if it was not running."""
        running = self._running.pop(self.info(name).ref, None)
        if running is not None:
            running.close()
        return running is not None

    def forget_files(self) -> None:
        """Look at the disk again: after a download a model has a path."""
        with self._loading:
            self._models.update({one.name: one for _, ones in self.plugins.call("palaver_models") for one in ones})

    # Metrics

    def metrics(self) -> Mapping[str, Metric]:
        """Every metric by name."""
        self._load()
        return self._metrics

    def metric(self, name: str) -> Metric:
        """The metric of that name.

        Raises:
            NotFound: with the nearest names.
        """
        found = self.metrics().get(name)
        if found is None:
            raise not_found("metric", name, self.metrics(), fix="palaver plugins list")
        return found

    def metrics_for(self, task: str, with_references: bool, named: Iterable[str] = ()) -> list[Metric]:
        """The metrics that score a task, the main one first; a family's name stands for its members.

        Without references only those that need none, which never stand beside the others.
        """
        names = tuple(named) or (self.tasks()[task].metrics if task in self.tasks() else ())
        chosen = [metric for name in names for metric in self._family(name)]
        return [metric for metric in chosen if metric.needs_references == with_references]

    # Data sets, executors and screens, asked for by few commands and only then

    def datasets(self) -> Mapping[str, tuple[NamedDataset, Plugin]]:
        """The data sets that plugins have, each with its plugin."""
        self._load()
        if self._datasets is None:
            self._datasets = {}
            for plugin, datasets in self.plugins.call("palaver_datasets"):
                for one in datasets:
                    self._datasets[free(one.name, plugin, self._datasets)] = (one, plugin)
        return self._datasets

    def dataset(self, name: str) -> NamedDataset | None:
        """The data set that a plugin has under that name, if one does."""
        if name not in self.datasets():
            return None
        found, _ = self.datasets()[name]
        return GuardedDataset(found, name, lambda bug: self.plugins.blame(found, bug))

    def screens(self) -> Mapping[str, tuple[ScreenKind, Plugin]]:
        """The screens that plugins have, each with its plugin."""
        self._load()
        if self._screens is None:
            self._screens = {}
            for plugin, screens in self.plugins.call("palaver_screens"):
                for one in screens:
                    self._screens[free(one.name, plugin, self._screens)] = (one, plugin)
        return self._screens

    def executors(self) -> Mapping[str, tuple[ExecutorKind, Plugin | None]]:
        """Where evaluations can be answered, each with its plugin: `inline`, `local`, and what plugins add."""
        self._load()
        if self._executors is None:
            from palaver.executor import InlineKind, LocalKind

            own: tuple[ExecutorKind, ...] = (InlineKind(lambda info: self.model(info.name)), LocalKind())
            self._executors = {one.name: (one, None) for one in own}
            for plugin, kinds in self.plugins.call("palaver_executors"):
                for kind in kinds:
                    self._executors[free(kind.name, plugin, self._executors)] = (kind, plugin)
        return self._executors

    def executor(self, wanted: str) -> Executor:
        """The executor that `NAME` or `NAME:ARGUMENT` means.

        Raises:
            NotFound: with the nearest names. UsageError: the argument means nothing there. PluginFailed: it raised.
        """
        from palaver.executor import Guarded

        name, _, argument = wanted.partition(":")
        if name not in self.executors():
            raise not_found("executor", name, self.executors(), fix="palaver plugins list")
        kind, plugin = self.executors()[name]
        try:
            opened = kind.open(argument)
        except PalaverError:
            raise
        except Exception as bug:  # a plugin may raise anything at all
            self.plugins.blame(kind, bug)
            raise PluginFailed(f"The executor '{name}' broke: {describe(bug)}.", fix="palaver plugins list") from bug
        return opened if plugin is None else Guarded(name, opened, lambda bug: self.plugins.blame(kind, bug))

    def baseline_for(self, task: str) -> str:
        """Name of the trivial model to set beside a task's scores, if there is one."""
        name = self.tasks()[task].baseline if task in self.tasks() else ""
        return name if name in self._models else ""

    def config(self, task: Task, given: Mapping[str, str]) -> GenerationConfig:
        """The task's decoding parameters with the given ones above.

        Raises:
            UsageError: an unknown parameter, or a value out of its range.
        """
        return decoding(task, given)

    def close(self) -> None:
        """Close every running model."""
        while self._running:
            self._running.popitem()[1].close()
        self.plugins.close()

    def _refresh(self) -> None:
        """Look whether single files were changed; one whose import takes long is waited for by nobody."""
        if self._ready and time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            reading = threading.Thread(target=self._read_anew, name="palaver-plugins", daemon=True)
            reading.start()
            reading.join(REFRESH_SECONDS)
        self._load()

    def _read_anew(self) -> None:
        with self._loading:
            if self.plugins.refresh():
                self._fill()
            self._looked = time.monotonic()

    def _load(self) -> None:
        if self._ready:
            return
        with self._loading:
            if not self._ready:
                self._fill()
                self._ready = True

    def _fill(self) -> None:
        """Import what is waiting, and put all names in place at once: somebody may be reading them."""
        found = roster(self.plugins)
        self._tasks, self._origins, self._metrics = found.tasks, found.origins, found.metrics
        self._backends, self._models = found.backends, found.models
        self._datasets = self._executors = self._screens = None

    def _family(self, name: str) -> list[Metric]:
        members = [metric for metric in self.metrics().values() if getattr(metric, "family", "") == name]
        return members or [self.metric(name)]

    def _first_download(self, task: str, languages: Languages) -> str:
        usable = [info for info in self.models() if self.examine(info) is None]
        found = best_download(usable, task, languages) or best_download(self.models(), task, languages)
        return f"palaver models pull {found.name}" if found else "palaver plugins list"

    def _start(self, info: ModelInfo) -> Model:
        if info.backend not in self._backends:
            raise PluginFailed(f"{info.name} needs the backend '{info.backend}', which no plugin provides.")
        backend, module = self._backends[info.backend]
        if not backend.isolated:
            return backend.load(info)
        if self.shares_engine:
            from palaver.warm import WarmModel

            return WarmModel(info, module=module)
        from palaver.isolated import IsolatedModel  # pulls subprocess: paid by whoever runs a real model

        return IsolatedModel(info, module=module)
