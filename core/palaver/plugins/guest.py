"""The process that holds one isolated plugin: `python -m palaver.plugins.guest`, started by `palaver.plugins.remote`.

It imports the plugin, says what it provides, and does what it is asked, one thing after the other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from palaver import frames
from palaver.child import Inbox, Wire, die_with_parent, take_over_descriptors
from palaver.errors import BadInput, PalaverError
from palaver.example import Example
from palaver.interchange import Importer as FileImporter
from palaver.model import ModelInfo
from palaver.named import flaw
from palaver.plugins.describe import describe
from palaver.plugins.found import Found
from palaver.plugins.loader import Importer, Plugin
from palaver.plugins.provides import provided
from palaver.plugins.telling import things_of, told_of
from palaver.task import Task


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
        plugin = brought(frame)
        assert plugin.module is not None
        self.things: dict[str, dict[str, Any]] = {
            hook: {one.name: one for one in things} for hook, things in things_of(plugin.module).items()
        }
        self.told = told_of(plugin.module, plugin.import_seconds)
        self._module = plugin.module
        self._open: dict[str, Iterator[object]] = {}

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
        return [{"flaw": flaw(one)} if flaw(one) else one for one in itertools.islice(self._open[name], count)]

    def models(self, name: str, frame: Mapping[str, Any]) -> object:
        """The named models as they are now: one that was downloaded meanwhile has a path."""
        return provided(self._module, "palaver_models", {})

    def resolve(self, name: str, frame: Mapping[str, Any]) -> object:
        """The model that a name means to a backend."""
        return self.things["palaver_backends"][name].resolve(str(frame["model"]))

    def examine(self, name: str, frame: Mapping[str, Any]) -> object:
        """Why a model would not load: message, fix and code of the error."""
        wrong = self.things["palaver_backends"][name].examine(frames.decode(ModelInfo, frame["info"]))
        return None if wrong is None else [type(wrong).__name__, wrong.message, wrong.fix, wrong.code]

    def take_over(self, name: str, frame: Mapping[str, Any]) -> object:
        """Another backend's model in a form of this one's."""
        info = frames.decode(ModelInfo, frame["info"])
        return self.things["palaver_backends"][name].take_over(info, str(frame["form"]))

    def for_batches(self, name: str, frame: Mapping[str, Any]) -> object:
        """The same weights in a form that answers many requests faster."""
        return self.things["palaver_backends"][name].for_batches(frames.decode(ModelInfo, frame["info"]))

    def for_streams(self, name: str, frame: Mapping[str, Any]) -> object:
        """The same weights in the form that this backend streams fastest."""
        return self.things["palaver_backends"][name].for_streams(frames.decode(ModelInfo, frame["info"]))

    def turns(self, name: str, frame: Mapping[str, Any]) -> object:
        """Some turns of another program's files, from one on; each with its class."""
        files = [Path(one) for one in frame["files"]]
        first, count = int(frame["first"]), int(frame["count"])
        if first == 0 or name not in self._open:
            self._open[name] = itertools.islice(_read(self.things["palaver_importers"][name], files), first, None)
        some = itertools.islice(self._open[name], count)
        return [[type(one).__name__, frames.encode(one)] for one in some]

    def export(self, name: str, frame: Mapping[str, Any]) -> object:
        """Write turns, one a line in one file, to another; how many were written."""
        with (
            Path(frame["turns"]).open(encoding="utf-8") as lines,
            Path(frame["out"]).open("w", encoding="utf-8", errors="surrogatepass", newline="") as out,
        ):
            return int(self.things["palaver_exporters"][name].export(map(json.loads, lines), out))


_CALLS: Mapping[str, Callable[[Guest, str, Mapping[str, Any]], object]] = {
    "task": Guest.task,
    "score": Guest.score,
    "corpus": Guest.corpus,
    "examples": Guest.examples,
    "models": Guest.models,
    "resolve": Guest.resolve,
    "examine": Guest.examine,
    "take_over": Guest.take_over,
    "for_batches": Guest.for_batches,
    "for_streams": Guest.for_streams,
    "turns": Guest.turns,
    "export": Guest.export,
}


def _read(importer: FileImporter, files: Sequence[Path]) -> Iterator[object]:
    """
    Raises:
        BadInput: a file is not there, or cannot be read.
    """
    try:
        yield from importer.read(files)
    except FileNotFoundError as error:
        raise BadInput(f"There is no file {error.filename}.", fix="check the name", code="no_file") from error
    except OSError as error:
        raise BadInput(f"{error.filename or 'The file'} cannot be read: {error.strerror or error}.") from error


def brought(frame: frames.Frame) -> Plugin:
    """The plugin that the first frame names, imported, with the limits that it names.

    Raises:
        PalaverError: with the reason why it cannot be used.
    """
    found = frames.decode(Found, frame["found"])
    path = frame.get("path")
    # Look for modules where the parent does, after where this Python looks anyway.
    sys.path.extend(one for one in (path if isinstance(path, list) else []) if one not in sys.path)
    _limit_memory(int(str(frame["memory"])) * 1_000_000)
    plugin = Importer().bring(dataclasses.replace(found, python=""))
    if plugin.health != "ok":
        raise PalaverError(plugin.reason, code="plugin_broken")
    return plugin


def _limit_memory(size: int) -> None:
    """No more address space than this, where the system can say so."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


if __name__ == "__main__":
    main()
