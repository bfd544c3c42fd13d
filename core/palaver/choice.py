"""Which model suits a task and its languages best; knows descriptions of models, and nothing of how they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from palaver.errors import BadInput
from palaver.example import Example
from palaver.model import ModelInfo
from palaver.task import Task
from palaver.tongues import name_of, near

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

_FEW_PAIRS = 6
"""Pairs that are told one by one."""


def with_source_of(info: ModelInfo, example: Example) -> Example:
    """The example as a model of certain languages reads it: a guessed source that it does not know becomes the one it
    does, or with several none.

    Only a model that the user named himself is ever asked so.
    """
    languages = Languages.of(example)
    if not (info.pairs or info.languages) or not languages.is_guessed or fits(info, languages):
        return example
    sources = [pair.partition("-")[0] for pair in info.pairs if pair.endswith(f"-{languages.target}")]
    metadata = {key: value for key, value in example.metadata.items() if key != GUESSED}
    if not sources and languages.target not in info.languages:
        return example
    return replace(example, source_language=sources[0] if len(sources) == 1 else "", metadata=metadata)


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
    """Whether the model knows these languages; one that names none is taken to know all.

    Not strict, a guessed source is not held against it.
    """
    if not (info.pairs or info.languages) or not languages.target:
        return not (info.pairs or info.languages) or not is_strict
    is_held = is_strict or not languages.is_guessed
    if info.languages:
        return {languages.target, languages.source if is_held else ""} - {""} <= {*info.languages}
    if languages.source and is_held:
        return str(languages) in info.pairs
    return any(pair.endswith(f"-{languages.target}") for pair in info.pairs)


def preference(info: ModelInfo, task: str) -> tuple[bool, bool, int, int, str]:
    """Real models before baselines, good at it before able to, made for the pair before many languages before general,
    then the larger."""
    is_good = task in info.good_at
    made_for = 2 if not is_good else 0 if info.pairs else 1 if info.languages else 2
    return (info.is_baseline, not is_good, made_for, -info.memory if is_good else 0, info.name)


def spoken(info: ModelInfo) -> str:
    """What a translator translates, in few words: `en-fr`, `any of 202 languages`; empty for what is made for none."""
    if info.languages:
        return f"any of {len(info.languages)} languages"
    if len(info.pairs) <= _FEW_PAIRS:
        return ", ".join(info.pairs)
    sources, targets = ({pair.split("-")[side] for pair in info.pairs} for side in (0, 1))
    if len(targets) == 1:
        return f"any of {len(sources)} languages into {targets.pop()}"
    if len(sources) == 1:
        return f"{sources.pop()} into any of {len(targets)} languages"
    return f"{len(info.pairs)} pairs of {len(sources | targets)} languages"


def not_spoken(info: ModelInfo, languages: Languages) -> BadInput:
    """The refusal of languages that a model does not know, with the nearest that it does."""
    said = f"{info.name} translates {spoken(info)}, not {languages}"
    unknown = [code for code in (languages.source, languages.target) if code and code not in info.languages]
    if info.languages and unknown:
        said += f": it does not know {' and '.join(f'{name_of(code)} ({code})' for code in unknown)}"
        if nearest := [one for code in unknown for one in near(code, info.languages)]:
            said += f", but {', '.join(nearest)}"
    return BadInput(f"{said}.", code="model_cannot", fix=f"palaver models info {info.name}")


def best_download(infos: Sequence[ModelInfo], task: str, languages: Languages) -> ModelInfo | None:
    """The smallest download that does the task well in these languages, else the smallest that can do it at all."""
    able = [info for info in infos if info.files and can(info, task) and fits(info, languages)]
    good = [info for info in able if task in info.good_at]
    return min(good or able, key=lambda info: info.download_size, default=None)
