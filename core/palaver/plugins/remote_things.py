"""Metrics, data sets, formats, screens, executors and commands of a plugin in a process of its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from palaver import frames
from palaver.errors import PalaverError, PluginFailed
from palaver.example import Example
from palaver.interchange import ImportedTurn
from palaver.lines import BadRecord
from palaver.metric import Score
from palaver.named import Flawed
from palaver.plugins.describe import describe
from palaver.plugins.failures import add_failure, clear_failures
from palaver.plugins.provides import provided
from palaver.plugins.remote import Process
from palaver.plugins.told import CommandTold, DatasetTold, MetricTold, PartTold

if TYPE_CHECKING:
    import click

    from palaver.job import Executor

AT_ONCE = 200
"""Examples of a data set, or turns of a file, that one frame brings."""


class RemoteMetric:
    """A metric that the process computes."""

    def __init__(self, process: Process, told: MetricTold) -> None:
        self._process = process
        self.name, self.title, self.maximum = told.name, told.title, told.maximum
        self.higher_is_better, self.needs_references = told.higher_is_better, told.needs_references
        self.family, self.is_slow, self.needs_logprobs = told.family, told.is_slow, told.needs_logprobs

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
        """See `NamedDataset`; what is no example is told of in its place."""
        for first in itertools.count(0, AT_ONCE):
            some = self._process.call("examples", self.name, first=first, count=AT_ONCE)
            for one in some:
                yield cast(Example, Flawed(one["flaw"])) if "flaw" in one else frames.decode(Example, one)
            if len(some) < AT_ONCE:
                return


class RemoteImporter:
    """A format whose files the process reads, some turns at a time."""

    def __init__(self, process: Process, told: PartTold) -> None:
        self._process = process
        self.name, self.summary = told.name, told.summary

    def read(self, files: Sequence[Path]) -> Iterator[ImportedTurn | BadRecord]:
        """See `Importer`."""
        paths = [str(one.absolute()) for one in files]
        for first in itertools.count(0, AT_ONCE):
            some = self._process.call("turns", self.name, files=paths, first=first, count=AT_ONCE)
            for kind, value in some:
                is_turn = kind == "ImportedTurn"
                yield frames.decode(ImportedTurn, value) if is_turn else frames.decode(BadRecord, value)
            if len(some) < AT_ONCE:
                return


class RemoteExporter:
    """A format that the process writes: what it writes goes from file to file."""

    def __init__(self, process: Process, told: PartTold) -> None:
        self._process = process
        self.name, self.summary = told.name, told.summary

    def export(self, turns: Iterable[Mapping[str, object]], out: TextIO) -> int:
        """See `Exporter`."""
        with tempfile.TemporaryDirectory(prefix="palaver-") as folder:
            given, made = Path(folder) / "turns.jsonl", Path(folder) / "out"
            with given.open("w", encoding="utf-8") as file:
                file.writelines(f"{json.dumps(one)}\n" for one in turns)
            count = self._process.call("export", self.name, turns=str(given), out=str(made))
            with made.open(encoding="utf-8", errors="surrogatepass", newline="") as file:
                while piece := file.read(2**16):
                    out.write(piece)
        return int(count)


class RemoteScreen:
    """A screen that is drawn by a process of its own; the terminal UI starts it, and shows what it draws."""

    def __init__(self, process: Process, told: PartTold) -> None:
        self.found = process.found
        self.name, self.summary = told.name, told.summary

    def open(self, desk: object) -> object:
        """Never here: see `palaver_tui.hosted`."""
        raise PluginFailed(f"The screen {self.name} is drawn in a process of its own.")


class VisitingExecutor:
    """A place to answer an evaluation: its plugin comes into the process of the evaluation that names it."""

    def __init__(self, process: Process, told: PartTold) -> None:
        self._process = process
        self.name, self.summary = told.name, told.summary

    def open(self, argument: str) -> Executor:
        """See `ExecutorKind`."""
        kinds = provided(_here(self._process), "palaver_executors", {})
        found: Executor = next(one for one in kinds if one.name == self.name).open(argument)
        return found


def add_commands(process: Process, told: Sequence[CommandTold], group: click.Group) -> None:
    """The commands of a plugin by name; one that is run brings the plugin into this process, which then is its own."""
    import click

    class Visiting(click.Command):
        """Stands for the plugin's own command until somebody runs it."""

        def make_context(
            self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
        ) -> click.Context:
            own, module = click.Group(), _here(process)
            with _told_of(process.found.name, str(self.name)):
                provided(module, "palaver_commands", {"group": own})
                context = own.commands[str(self.name)].make_context(info_name, args, parent=parent, **extra)
            invoke = context.command.invoke

            def guarded(inner: click.Context) -> Any:
                with _told_of(process.found.name, str(self.name)):
                    return invoke(inner)

            context.command.invoke = guarded  # type: ignore[method-assign, assignment]
            return context

    for one in told:
        group.add_command(Visiting(one.name, help=one.help))


@contextlib.contextmanager
def _told_of(plugin: str, command: str) -> Iterator[None]:
    """What a command raises is told of with its plugin.

    Raises:
        PluginFailed: it raised.
    """
    import click

    try:
        yield
    except (PalaverError, OSError, click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except Exception as bug:  # a plugin may raise anything at all
        add_failure(plugin, f"command {command}", describe(bug))
        raise PluginFailed(
            f"The command '{command}' of the plugin {plugin} broke: {describe(bug)}.",
            fix=f"palaver plugins info {plugin}",
        ) from bug
    clear_failures(plugin, f"command {command}")


def _here(process: Process) -> Any:
    """The module of the plugin in this process.

    Raises:
        PluginFailed: it cannot be imported, or is in an environment of its own.
    """
    from palaver.plugins.loader import Importer

    found = process.found
    if found.python:
        raise PluginFailed(
            f"{found.name} is in an environment of its own, where its commands and executors cannot be used.",
            fix=f"palaver plugins isolate {found.name} process",
        )
    plugin = Importer().bring(found)
    if plugin.module is None:
        raise PluginFailed(f"The plugin {found.name} cannot be imported: {plugin.reason}.", fix="palaver plugins list")
    return plugin.module
