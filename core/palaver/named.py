"""Data sets that plugins provide by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from palaver.errors import PalaverError, PluginFailed, in_words
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


@dataclass(frozen=True, slots=True)
class Flawed:
    """Stands for an example of a plugin that is none."""

    reason: str


def flaw(one: object) -> str:
    """Why what a data set gave is no example; empty for one."""
    if isinstance(one, Flawed):
        return one.reason
    if not isinstance(one, Example):
        return f"it is no Example but {type(one).__name__}"
    if not isinstance(one.inputs, Mapping):
        return "its inputs are no mapping of names to texts"
    texts = [*one.inputs.values(), *one.references, one.id]
    return "" if all(isinstance(text, str) for text in texts) else "an input, a reference or its id is no text"


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
                f"The data set '{self.name}' broke: {in_words(bug)}.", fix="palaver plugins list"
            ) from bug
