"""How far a plugin is kept apart: in this process, in one of its own, or in a virtual environment of its own.

This is against faults and for conflicting dependencies. It is no security border: a plugin runs as the user.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from palaver.config import read_settings
from palaver.errors import PalaverError, UsageError
from palaver.plugins.found import Found

Level = Literal["inproc", "process", "venv"]
SECONDS = 30.0
MEMORY = 4000
"""MB of address space, which is more than what is used: libraries reserve it."""

_FORM = re.compile(r"(inproc|process|venv)(?:, (\d+(?:\.\d+)?) s)?(?:, (\d+) MB)?")


@dataclass(frozen=True, slots=True)
class Isolation:
    """A level, and what a plugin may take there."""

    level: Level = "inproc"
    seconds: float = SECONDS
    """For one call; then the process is ended."""
    memory: int = MEMORY
    """MB of address space, where the system can limit it (Linux)."""

    def __str__(self) -> str:
        """As the settings have it: `process`, or `process, 10 s, 2000 MB`."""
        time = f", {self.seconds:g} s" if self.seconds != SECONDS else ""
        return f"{self.level}{time}" + (f", {self.memory} MB" if self.memory != MEMORY else "")


def parse(text: str) -> Isolation:
    """What the settings say.

    Raises:
        UsageError: it is none of the levels.
    """
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise UsageError(
            f"'{text}' is no level of isolation. One is: process, or process, 10 s, 2000 MB.",
            fix="palaver plugins isolate NAME inproc",
        )
    level: Level = found[1]  # type: ignore[assignment]
    return Isolation(level, float(found[2] or SECONDS), int(found[3] or MEMORY))


def isolation_of(found: Found) -> Isolation:
    """The level of a plugin: `venv` if it has an environment, else what the settings say, else `process`.

    What came with Palaver is in this process.

    Settings that cannot be read are told elsewhere.
    """
    if found.is_built_in:
        return Isolation()
    try:
        said = parse(read_settings().isolation.get(found.name, "process"))
    except PalaverError:
        said = Isolation("process")
    if found.python:
        return Isolation("venv", said.seconds, said.memory)
    return Isolation("process", said.seconds, said.memory) if said.level == "venv" else said
