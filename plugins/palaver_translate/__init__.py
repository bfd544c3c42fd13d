"""Say a text in another language."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from palaver import Example, Request, Task, guess_language
from palaver.tongues import code_of, name_of, near

_EXAMPLE = "; a code or a name, as in: /translate fr Good morning"


def language_code(text: str) -> str:
    """The code that a code, a model's own token or an English name means: see `palaver.tongues`.

    Raises:
        ValueError: no language is known by it; with those that are spelled like it.
    """
    if code := code_of(text):
        return code
    alike = f". Did you mean {' or '.join(found)}?" if (found := near(text)) else ""
    raise ValueError(f"'{text}' is no language known here{alike or _EXAMPLE}")


@dataclass(frozen=True)
class Translate(Task):
    """Translate a text or a file."""

    name = "translate"
    metrics = ("bleu", "chrf", "ter")
    arguments = ("target",)
    baseline = "copy"
    target: str = field(metadata={"aliases": ("to",)})
    """Language to translate into: `fr`, `German`, or a model's own `deu_Latn`, `de_DE`."""
    source: str = field(default="", metadata={"aliases": ("from",)})
    """Language of the text. Without it, it is guessed for choosing a model of that pair."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", language_code(self.target))
        if self.source:
            object.__setattr__(self, "source", language_code(self.source))

    def prepare(self, example: Example) -> Example:
        if known := self.source or example.source_language:
            return replace(example, language=self.target, source_language=known)
        found = guess_language(example.inputs.get("text", ""))
        metadata = {**example.metadata, "guessed": "source_language"} if found else example.metadata
        return replace(example, language=self.target, source_language=found, metadata=metadata)

    def request(self, example: Example) -> Request:
        origin = f" from {name_of(self.source)}" if self.source else ""
        return self.ask(
            f"Translate the text{origin} into {name_of(self.target)}. Answer with the translation only.",
            example["text"],
            example=example,
        )
