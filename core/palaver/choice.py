"""Which model suits a task and its languages best; knows descriptions of models, and nothing of how they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from palaver.example import Example
from palaver.model import ModelInfo
from palaver.task import Task

GUESSED = "guessed"
"""Key of an example's metadata: which of its languages nobody gave. A model of one pair knows its own better."""


@dataclass(frozen=True, slots=True)
class Languages:
    """What is translated into what, ISO 639-1 codes; empty where it is not known or does not matter."""

    source: str = ""
    target: str = ""
    is_guessed: bool = False
    """The source was guessed from the text: a hint for a choice, no reason to refuse."""

    @classmethod
    def of(cls, example: Example) -> Languages:
        """The languages of an example that its task has prepared."""
        is_guessed = example.metadata.get(GUESSED) == "source_language"
        return cls(example.source_language, example.language, is_guessed)

    @property
    def told(self) -> str:
        """For the user: `en-fr`, `en-fr, en guessed`."""
        return f"{self}, {self.source} guessed" if self.is_guessed and self.source else str(self)

    def __str__(self) -> str:
        return f"{self.source}-{self.target}" if self.source else self.target


ANY = Languages()


def with_source_of(info: ModelInfo, example: Example) -> Example:
    """The example as a model of certain pairs reads it: a guessed source that it does not know becomes the one it does.

    Only a model that the user named himself is ever asked so.
    """
    languages = Languages.of(example)
    if not info.pairs or not languages.is_guessed or str(languages) in info.pairs:
        return example
    sources = [pair.partition("-")[0] for pair in info.pairs if pair.endswith(f"-{languages.target}")]
    metadata = {key: value for key, value in example.metadata.items() if key != GUESSED}
    return replace(example, source_language=sources[0], metadata=metadata) if sources else example


def languages_of_first(task: Task, examples: Sequence[Example]) -> Languages:
    """The languages of a data set, as its first example has them."""
    try:
        return Languages.of(task.prepare(examples[0])) if examples else ANY
    except Exception:  # a task plugin may raise anything at all; each example will tell
        return ANY


def can(info: ModelInfo, task: str) -> bool:
    """A model that can chat follows instructions, and so can be asked any task that a plugin adds."""
    return not info.tasks or task in info.tasks or "*" in info.tasks or "chat" in info.tasks


def fits(info: ModelInfo, languages: Languages, *, is_strict: bool = True) -> bool:
    """Whether the model knows these languages; one that names no pairs is taken to know all.

    Not strict, a guessed source is not held against it.
    """
    if not info.pairs or not languages.target:
        return not info.pairs or not is_strict
    if languages.source and (is_strict or not languages.is_guessed):
        return str(languages) in info.pairs
    return any(pair.endswith(f"-{languages.target}") for pair in info.pairs)


def preference(info: ModelInfo, task: str) -> tuple[bool, bool, bool, int, str]:
    """Real models before baselines, good at it before able to, made for the pair before general, then the larger."""
    is_good = task in info.good_at
    return (info.is_baseline, not is_good, not info.pairs, -info.memory if is_good else 0, info.name)


def best_download(infos: Sequence[ModelInfo], task: str, languages: Languages) -> ModelInfo | None:
    """The smallest download that does the task well in these languages, else the smallest that can do it at all."""
    able = [info for info in infos if info.files and can(info, task) and fits(info, languages)]
    good = [info for info in able if task in info.good_at]
    return min(good or able, key=lambda info: info.download_size, default=None)
