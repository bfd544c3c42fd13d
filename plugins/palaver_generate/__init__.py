"""Continue a text or follow an instruction."""

from __future__ import annotations

from dataclasses import dataclass

from palaver import Example, GenerationConfig, Message, Request, Task


@dataclass(frozen=True)
class Generate(Task):
    """Write freely from an instruction or a beginning."""

    name = "generate"
    metrics = ("rouge", "chrf", "length", "distinct1", "distinct2", "repetition", "perplexity")
    defaults = GenerationConfig(temperature=0.7, top_p=0.9)
    system: str = ""
    """What the model is told about its part before the text."""

    def request(self, example: Example) -> Request:
        told = (Message("system", self.system),) if self.system else ()
        return Request((*told, Message("user", example["text"])), self.name, example, self.options())
