"""Say a long text in few sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from palaver import Example, GenerationConfig, Request, Task, split_text

# Small models announce what they do; the summary begins after it.
_PREAMBLE = re.compile(
    r"\A\W*(?:here (?:is|are)\b[^\n:]{0,80}|(?:the )?summary(?: of the text)?)\s*:[*_]*\s*", re.IGNORECASE
)


@dataclass(frozen=True)
class Summarize(Task):
    """Shorten a text or a file."""

    name = "summarize"
    metrics = ("rouge", "chrf")
    baseline = "lead-3"
    defaults = GenerationConfig(max_new_tokens=256)
    length: int = 3
    """Number of sentences."""

    def __post_init__(self) -> None:
        if not 1 <= self.length <= 100:
            raise ValueError(f"length is 1 to 100 sentences, not {self.length}")

    def request(self, example: Example) -> Request:
        count = "one sentence" if self.length == 1 else f"{self.length} sentences"
        return self.ask(
            f"Summarize the text in {count}. Keep the facts, add nothing. Answer with the summary only.",
            example["text"],
            example=example,
        )

    def parse(self, output: str, example: Example) -> str:
        return _PREAMBLE.sub("", output.strip(), count=1)

    def chunks(self, example: Example, limit: int) -> Sequence[Example]:
        return [replace(example, inputs={"text": piece}) for piece in split_text(example["text"], limit)]

    def merge(self, answers: Sequence[str], example: Example) -> Example:
        """The summaries of the parts, to be summarized."""
        return replace(example, inputs={"text": "\n\n".join(filter(None, answers))})
