"""One input with what a good answer looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Example:
    """Inputs by name, and the references that an output is measured against."""

    inputs: Mapping[str, str]
    """By the task's own names: `text`; `context` and `question`; ..."""
    references: tuple[str, ...] = ()
    """Good outputs, any number of them. For QA an empty string means "the text does not answer"."""
    id: str = ""
    language: str = ""
    """Language of the output and the references, ISO 639-1 (`de`), or empty when unknown. Scores tokenize by it."""
    source_language: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.inputs[name]
