"""Data sets that plugins provide by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, runtime_checkable

from palaver.errors import PalaverError, PluginFailed
from palaver.example import Example


@runtime_checkable
class NamedDataset(Protocol):
    """A data set that is evaluated by its name: `palaver eval TASK NAME`."""

    name: str
    summary: str
    """What it is, whose, under which licence, in one line."""
    tasks: tuple[str, ...]
    """The tasks it is made for, the first one first; none means any whose inputs it has."""

    def examples(self) -> Iterable[Example]:
        """The examples, the same ones in the same order each time. Files and network are opened here, not before.

        Raises:
            PalaverError: with what to do about it, where they cannot be had.
        """
        ...


class GuardedDataset:
    """A data set that others wrote: what it raises is told with its name, and counted against its plugin."""

    def __init__(self, found: NamedDataset, name: str, blame: Callable[[Exception], None]) -> None:
        self._found, self._blame = found, blame
        self.name, self.summary, self.tasks = name, found.summary, found.tasks

    def examples(self) -> Iterator[Example]:
        """See `NamedDataset`.

        Raises:
            PluginFailed: it raised what is no PalaverError.
        """
        try:
            yield from self._found.examples()
        except PalaverError:
            raise
        except Exception as bug:  # a plugin may raise anything at all
            self._blame(bug)
            raise PluginFailed(
                f"The data set '{self.name}' broke: {type(bug).__name__}: {bug}.", fix="palaver plugins list"
            ) from bug
