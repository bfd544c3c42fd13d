"""A plugin in a process of its own: its tasks, metrics, data sets and backends as if they were here.

What is called goes to the process as a frame, with a deadline. A process that hangs is ended, one that dies is told
of by how it died; the next call starts a new one.
"""

from __future__ import annotations

import dataclasses
import itertools
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, Literal, cast

from palaver import frames
from palaver.errors import PluginFailed
from palaver.example import Example
from palaver.life import error_of
from palaver.metric import Score
from palaver.model import Model, ModelInfo, Request
from palaver.paths import state_dir
from palaver.plugins.found import Found
from palaver.plugins.isolation import Isolation
from palaver.plugins.told import DatasetTold, MetricTold, OptionTold, TaskTold, Told
from palaver.process import ModelProcess
from palaver.task import Task

AT_ONCE = 200
"""Examples of a data set that one frame brings."""
_POLL = 0.05


class Raised(Exception):
    """What the plugin raised in its process, in words."""


class Process:
    """The process of one plugin, started at the first call and again after its end."""

    def __init__(self, found: Found, isolation: Isolation) -> None:
        self.found, self.isolation = found, isolation
        self._numbers = itertools.count(1)
        self._turn = threading.Lock()
        self._running: ModelProcess | None = None
        self._heard: queue.SimpleQueue[frames.Frame] = queue.SimpleQueue()

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._running.pid if self._running and self._running.alive else None

    def told(self) -> Told:
        """What the plugin provides.

        Raises:
            PalaverError: it cannot be imported, with the reason.
        """
        with self._turn:
            return self._opened()

    def call(self, do: str, name: str, /, **given: object) -> Any:
        """What the plugin answers.

        Raises:
            Raised: the plugin raised. PalaverError: it raised one, its process died, or it took too long.
        """
        with self._turn:
            if self.pid is None:
                self._opened()
            return self._ask("call", do=do, name=name, **given)

    def close(self) -> None:
        """End the process."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def _opened(self) -> Told:
        self.close()
        log = state_dir() / "logs" / f"plugin-{self.found.name.replace('/', '_')}.log"
        heard = self._heard = queue.SimpleQueue()
        try:
            self._running = ModelProcess(
                log=log, module=self.found.module, program="palaver.plugins.guest", on_frame=heard.put
            )
        except OSError as error:
            raise PluginFailed(f"The process for the plugin {self.found.name} cannot be started: {error}.") from error
        value = self._ask("open", found=frames.encode(self.found), memory=self.isolation.memory)
        try:
            return frames.decode(Told, value)
        except frames.FrameError as error:
            raise PluginFailed(f"The plugin {self.found.name} says nonsense of itself: {error}.") from error

    def _ask(self, kind: str, **given: object) -> Any:
        running = self._running
        assert running is not None
        number = next(self._numbers)
        try:
            running.send(kind, id=number, **given)
        except frames.FrameError as error:
            raise PluginFailed(f"It is too much for the plugin {self.found.name}: {error}.") from error
        deadline = time.monotonic() + self.isolation.seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                frame = self._heard.get(timeout=min(left, _POLL))
            except queue.Empty:
                if not running.ended.is_set():
                    continue
                if self._heard.empty():
                    self._running = None
                    raise PluginFailed(
                        f"The plugin {self.found.name} {running.epitaph()}.", code="plugin_died", fix=self._remedy()
                    ) from None
                continue
            if frame.get("id") != number:
                continue
            if frame.get("type") == "result":
                return frame.get("value")
            raise error_of(frame) if frame.get("kind") else Raised(str(frame.get("message")))
        self._running = None
        threading.Thread(target=running.terminate_until_gone, daemon=True).start()
        raise PluginFailed(
            f"The plugin {self.found.name} took more than {self.isolation.seconds:g} s and was ended.",
            code="plugin_slow",
            fix=f"palaver plugins isolate {self.found.name} {self.isolation.level} --seconds N",
        )

    def _remedy(self) -> str:
        return f"palaver plugins info {self.found.name}"


def module_of(process: Process, told: Told) -> ModuleType:
    """A module with the hooks of the plugin, which ask its process."""
    made = ModuleType(process.found.module, "A plugin in a process of its own.")
    tasks = [_task(process, one) for one in told.tasks]
    metrics = [_of(process, RemoteMetric)(process, one) for one in told.metrics]
    datasets = [_of(process, RemoteDataset)(process, one) for one in told.datasets]
    backends = [RemoteBackend(process, name) for name in told.backends]
    for hook, things in (
        ("palaver_tasks", tasks),
        ("palaver_metrics", metrics),
        ("palaver_datasets", datasets),
        ("palaver_backends", backends),
        ("palaver_models", list(told.models)),
    ):
        if things:
            setattr(made, hook, lambda things=things: things)
    return made


def _of(process: Process, kind: type[Any]) -> type[Any]:
    """The class, as if it were the plugin's: failures are counted against the module that a class is from."""
    return type(kind.__name__, (kind,), {"__module__": process.found.module})


def _task(process: Process, told: TaskTold) -> type[Task]:
    """A task class with the same fields, whose own methods are answered by the process."""

    def ask(self: Task, method: str, example: Example, **given: object) -> Any:
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


class RemoteMetric:
    """A metric that the process computes."""

    def __init__(self, process: Process, told: MetricTold) -> None:
        self._process = process
        self.name, self.title, self.maximum = told.name, told.title, told.maximum
        self.higher_is_better, self.needs_references = told.higher_is_better, told.needs_references
        self.family = told.family

    def score(self, output: str, example: Example) -> Score:
        """See `Metric`."""
        value = self._process.call("score", self.name, output=output, example=frames.encode(example))
        return frames.decode(Score, value)

    def corpus(self, stats: Sequence[float], n: int, signature: str) -> Score:
        """See `Metric`."""
        value = self._process.call("corpus", self.name, stats=[float(one) for one in stats], n=n, signature=signature)
        return frames.decode(Score, value)


class RemoteDataset:
    """A data set that the process reads, some examples at a time."""

    def __init__(self, process: Process, told: DatasetTold) -> None:
        self._process = process
        self.name, self.summary, self.tasks = told.name, told.summary, told.tasks

    def examples(self) -> Iterator[Example]:
        """See `NamedDataset`."""
        for first in itertools.count(0, AT_ONCE):
            some = self._process.call("examples", self.name, first=first, count=AT_ONCE)
            yield from (frames.decode(Example, one) for one in some)
            if len(some) < AT_ONCE:
                return


class RemoteBackend:
    """A backend whose models are loaded in processes of their own, in the environment of the plugin."""

    isolated: bool = True

    def __init__(self, process: Process, name: str) -> None:
        self._process, self.name = process, name

    def resolve(self, name: str) -> ModelInfo | None:
        """See `Backend`."""
        found = self._process.call("resolve", self.name, model=name)
        return None if found is None else frames.decode(ModelInfo, found)

    def load(self, info: ModelInfo) -> Model:
        """Never here: the registry starts a process for it."""
        raise PluginFailed(f"{info.name} is loaded in a process of its own.")
