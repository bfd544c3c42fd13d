"""The contract of data sets, screens and executors: what can be asked of them without a cluster or a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from palaver.data import Wanted
from palaver.errors import PalaverError
from palaver.job import Executor, ExecutorKind
from palaver.named import NamedDataset
from palaver.screen import ScreenKind
from palaver.sources import read_named
from palaver.task import Task
from palaver.testing.check import Check, claim

FIRST = 200
"""Examples that are compared: a large data set is not read twice."""


def check_dataset(dataset: NamedDataset, tasks: Mapping[str, type[Task]]) -> Iterator[Check]:
    """Every check of one data set."""
    subject = f"dataset {dataset.name}"
    yield claim("datasets", f"{subject}: each example can be used", lambda: _unusable(dataset, tasks))
    yield claim("datasets", f"{subject}: it is the same each time", lambda: _changing(dataset))
    yield claim("docs", subject, lambda: iter([] if dataset.summary.strip() else ["it has no summary"]))


def check_screen(kind: ScreenKind) -> Iterator[Check]:
    """Every check of one screen."""
    subject = f"screen {kind.name}"
    yield claim("screens", f"{subject}: it opens, anew each time", lambda: _unopened(kind))
    yield claim("docs", subject, lambda: iter([] if kind.summary.strip() else ["it has no summary"]))


def check_executor(kind: ExecutorKind) -> Iterator[Check]:
    """Every check of one kind of executor; it is not run, since it may be a cluster."""
    subject = f"executor {kind.name}"
    yield claim("executors", f"{subject}: an argument without meaning is refused in words", lambda: _careless(kind))
    yield claim("docs", subject, lambda: iter([] if kind.summary.strip() else ["it has no summary"]))


def _unusable(dataset: NamedDataset, tasks: Mapping[str, type[Task]]) -> Iterator[str]:
    for name in dataset.tasks:
        if name not in tasks:
            yield f"there is no task '{name}', which it says it is for"
    known = [name for name in dataset.tasks if name in tasks]
    inputs = tasks[known[0]].inputs if known else ("text",)
    found = read_named(dataset, Wanted(inputs))
    if found.bad:
        yield f"{found.bad[0].place}: {found.bad[0].reason}"


def _changing(dataset: NamedDataset) -> Iterator[str]:
    first, second = (list(itertools.islice(dataset.examples(), FIRST)) for _ in range(2))
    if first != second:
        yield "examples() gives others the second time: a run could not be resumed"


class _EmptyDesk:
    """Of a user who has asked nothing yet."""

    def turns(self, filter: str = "", limit: int = 100) -> Sequence[Mapping[str, object]]:
        return ()

    def say(self, line: str) -> None:
        raise AssertionError("a screen says nothing while it is made")


def _unopened(kind: ScreenKind) -> Iterator[str]:
    first, second = kind.open(_EmptyDesk()), kind.open(_EmptyDesk())
    if not any(f"{one.__module__}.{one.__name__}" == "textual.screen.Screen" for one in type(first).__mro__):
        yield f"open() gave {type(first).__name__}, which is no textual.screen.Screen"
    if first is second:
        yield "open() gives the same screen twice: one that broke could not be replaced"


def _careless(kind: ExecutorKind) -> Iterator[str]:
    try:
        opened = kind.open("\0 no such place")
    except PalaverError:
        return
    if not isinstance(opened, Executor):
        yield f"open() gave {type(opened).__name__}, which has no map()"
