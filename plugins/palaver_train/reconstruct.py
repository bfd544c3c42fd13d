"""Give a text back as it is: what an autoencoder has learnt, and a test of memory for other models."""

from __future__ import annotations

from dataclasses import dataclass, replace

from palaver import Example, Request, Task


@dataclass(frozen=True)
class Reconstruct(Task):
    """Give a text back from the vector that an autoencoder makes of it."""

    name = "reconstruct"
    metrics = ("bleu", "chrf")

    def prepare(self, example: Example) -> Example:
        """The text is its own reference."""
        return example if example.references else replace(example, references=(example["text"],))

    def request(self, example: Example) -> Request:
        return self.ask("Repeat the text word for word.", example["text"], example=example)
