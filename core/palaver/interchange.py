"""What crosses between history and other programs' files: turns as values, and who reads and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TextIO, runtime_checkable

from palaver.lines import BadRecord
from palaver.model import Message


@dataclass(frozen=True, slots=True)
class ImportedTurn:
    """A turn as another program kept it. What the other did not keep stays empty; nothing is made up."""

    place: str
    """Where it stands: `logs.db:response 3`."""
    inputs: Mapping[str, str]
    output: str
    task: str = "chat"
    model: str = ""
    """The model's name there."""
    references: tuple[str, ...] = ()
    prompt: tuple[Message, ...] = ()
    """The messages that were sent, where they are known."""
    conversation: str = ""
    """Turns of one conversation become one; empty stands alone."""
    title: str = ""
    """Of the conversation."""
    created: float | None = None
    """Unix time."""
    seconds: float | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    language: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    """Of the task."""


@runtime_checkable
class Importer(Protocol):
    """What reads another program's files: `palaver history import --format NAME FILE...`."""

    name: str
    summary: str
    """Which files, in which order, in one line."""

    def read(self, files: Sequence[Path]) -> Iterator[ImportedTurn | BadRecord]:
        """The turns in these files, oldest first; what cannot be one, with its place and the reason.

        Raises:
            BadInput: the files are not what this reads.
        """
        ...


@runtime_checkable
class Exporter(Protocol):
    """What writes turns for another program: `palaver history export --format NAME`."""

    name: str
    summary: str

    def export(self, turns: Iterable[Mapping[str, object]], out: TextIO) -> int:
        """Write turns, each with the fields of the JSON Lines export, and say how many were written."""
        ...
