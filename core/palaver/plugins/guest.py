"""The process that holds one isolated plugin: `python -m palaver.plugins.guest`, started by `palaver.plugins.remote`.

It imports the plugin, says what it provides, and does what it is asked, one thing after the other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from palaver import frames
from palaver.child import Inbox, Wire, die_with_parent, take_over_descriptors
from palaver.errors import PalaverError
from palaver.example import Example
from palaver.plugins.describe import describe
from palaver.plugins.found import Found
from palaver.plugins.loader import Importer, Plugin
from palaver.plugins.provides import provided
from palaver.plugins.told import CARRIED, DatasetTold, MetricTold, OptionTold, TaskTold, Told, is_carried
from palaver.task import Task

METHODS = ("request", "parse", "prepare", "chunks", "merge")


def main() -> None:
    """Serve frames until the parent is gone."""
    incoming, wire = take_over_descriptors()
    die_with_parent()
    inbox = Inbox()
    threading.Thread(target=inbox.listen, args=(incoming,), name="frames", daemon=True).start()
    guest: Guest | None = None
    while True:
        frame = inbox.work.get()
        number = frame.get("id")
        try:
            if guest is None:
                guest = Guest(frame)  # the first frame opens it
                value: object = frames.encode(guest.told)
            else:
                value = guest.do(str(frame["do"]), frame)
            wire.send("result", id=number, value=value)
        except MemoryError:
            _tell(wire, number, "it wanted more memory than it may have")
        except PalaverError as error:
            wire.send(
                "error", id=number, kind=type(error).__name__, message=error.message, fix=error.fix, code=error.code
            )
        except BaseException as error:  # a plugin may raise anything at all, SystemExit included
            _tell(wire, number, describe(error))


def _tell(wire: Wire, number: object, message: str) -> None:
    wire.send("error", id=number, kind="", message=message)


class Guest:
    """The plugin, imported, and its things by name."""

    def __init__(self, frame: frames.Frame) -> None:
        """
        Raises:
            RuntimeError: with the reason why it cannot be used.
        """
        found = frames.decode(Found, frame["found"])
        _limit_memory(int(str(frame["memory"])) * 1_000_000)
        plugin = Importer().bring(dataclasses.replace(found, python=""))
        if plugin.health != "ok":
            raise PalaverError(plugin.reason, code="plugin_broken")
        self.things: dict[str, dict[str, Any]] = {
            hook: {one.name: one for one in provided(plugin.module, hook, {})}
            if plugin.module and hasattr(plugin.module, hook)
            else {}
            for hook in CARRIED
        }
        self.told = self._told(plugin)
        self._open: dict[str, Iterator[object]] = {}

    def _told(self, plugin: Plugin) -> Told:
        """What it provides."""
        return Told(
            tuple(one for one in plugin.adds if is_carried(one)),
            tuple(map(_task_told, self.things["palaver_tasks"].values())),
            tuple(
                MetricTold(
                    one.name, one.title, float(one.maximum), bool(one.higher_is_better), bool(one.needs_references),
                    str(getattr(one, "family", "")),
                )
                for one in self.things["palaver_metrics"].values()
            ),
            tuple(
                DatasetTold(one.name, str(one.summary), tuple(map(str, one.tasks)))
                for one in self.things["palaver_datasets"].values()
            ),
            tuple(self.things["palaver_models"].values()),
            tuple(self.things["palaver_backends"]),
            plugin.import_seconds,
        )  # fmt: skip

    def do(self, what: str, frame: Mapping[str, Any]) -> object:
        """The value of one call, as frames carry it."""
        return frames.encode(_CALLS[what](self, str(frame["name"]), frame))

    def task(self, name: str, frame: Mapping[str, Any]) -> object:
        """One method of a task with these options."""
        one: Task = self.things["palaver_tasks"][name](**frame["options"])
        example = frames.decode(Example, frame["example"])
        method = str(frame["method"])
        if method == "request":
            return one.request(example)
        if method == "parse":
            return one.parse(str(frame["output"]), example)
        if method == "prepare":
            return one.prepare(example)
        if method == "chunks":
            return list(one.chunks(example, int(frame["limit"])))
        return one.merge(list(map(str, frame["answers"])), example)

    def score(self, name: str, frame: Mapping[str, Any]) -> object:
        """The score of one output."""
        return self.things["palaver_metrics"][name].score(frame["output"], frames.decode(Example, frame["example"]))

    def corpus(self, name: str, frame: Mapping[str, Any]) -> object:
        """The score of a corpus."""
        return self.things["palaver_metrics"][name].corpus(frame["stats"], frame["n"], frame["signature"])

    def examples(self, name: str, frame: Mapping[str, Any]) -> object:
        """Some examples of a data set, from one on."""
        first, count = int(frame["first"]), int(frame["count"])
        if first == 0 or name not in self._open:
            # After a death in the middle the process is a new one: what was given before is passed over.
            self._open[name] = itertools.islice(self.things["palaver_datasets"][name].examples(), first, None)
        return list(itertools.islice(self._open[name], count))

    def resolve(self, name: str, frame: Mapping[str, Any]) -> object:
        """The model that a name means to a backend."""
        return self.things["palaver_backends"][name].resolve(str(frame["model"]))


_CALLS: Mapping[str, Callable[[Guest, str, Mapping[str, Any]], object]] = {
    "task": Guest.task,
    "score": Guest.score,
    "corpus": Guest.corpus,
    "examples": Guest.examples,
    "resolve": Guest.resolve,
}


def _task_told(task: type[Task]) -> TaskTold:
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


def _limit_memory(size: int) -> None:
    """No more address space than this, where the system can say so."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


if __name__ == "__main__":
    main()
