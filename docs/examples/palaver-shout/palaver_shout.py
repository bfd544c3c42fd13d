"""Say a text louder: one task, and one model without weights that can do it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from palaver import Backend, Delta, Example, GenerationConfig, Model, ModelInfo, Request, Task, hookimpl


@dataclass(frozen=True)
class Shout(Task):
    """Say a text louder."""

    name = "shout"
    metrics = ("chrf", "bleu")
    marks: int = 0
    """Exclamation marks at the end."""

    def request(self, example: Example) -> Request:
        return self.ask("Repeat the text in capital letters. Answer with the text only.", example["text"])

    def parse(self, output: str, example: Example) -> str:
        return output.strip() + "!" * self.marks


# The task above is a whole plugin: any model that follows instructions can be asked. What follows gives it a model of
# its own, which needs no download and so is what the task's scores can be compared with.


class Upper:
    """Python's own `str.upper`, as a Model."""

    info = ModelInfo(
        "upper", "shout", tasks=("shout",), description="capital letters", is_baseline=True, digest="upper 1"
    )

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        for index, request in enumerate(requests):
            yield Delta(request.messages[-1].content.upper(), index, finish_reason="stop")

    def close(self) -> None:
        """It holds nothing."""


class Voice:
    """The backend that loads `upper`."""

    name = "shout"
    isolated = False  # no native code and no weights: it may run inside Palaver's own process

    def resolve(self, name: str) -> ModelInfo | None:
        return None

    def load(self, info: ModelInfo) -> Model:
        return Upper()


@hookimpl
def palaver_backends() -> list[Backend]:
    return [Voice()]


@hookimpl
def palaver_models() -> list[ModelInfo]:
    return [Upper.info]
