"""The backend `reverse`, with one model of that name."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from palaver import Backend, Delta, FinishReason, GenerationConfig, Model, ModelInfo, Request, hookimpl

INFO = ModelInfo(
    "reverse",
    "reverse",
    tasks=("generate",),
    description="says it backwards",
    is_baseline=True,
    digest="1",
)


class Reverse:
    """A model that says the words of the last message backwards."""

    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """Each request ends with one `finish_reason`; a cancel is seen between two words."""
        for index, request in enumerate(requests):
            words = request.messages[-1].content.split(" ")[::-1] if request.messages else []
            reason: FinishReason = "stop" if len(words) <= config.max_new_tokens else "length"
            said = words[: config.max_new_tokens]
            for number, word in enumerate(said):
                if cancel.is_set():
                    reason = "cancelled"
                    break
                yield Delta(word if number == 0 else f" {word}", index)
            yield Delta(request=index, finish_reason=reason, output_tokens=len(said))

    def close(self) -> None:
        """It holds nothing."""


class ReverseBackend:
    """What loads it."""

    name: str = "reverse"
    isolated: bool = False
    """True for all that runs native code or holds weights: it is then loaded in a process of its own."""

    def resolve(self, name: str) -> ModelInfo | None:
        return None

    def load(self, info: ModelInfo) -> Model:
        return Reverse(info)


@hookimpl
def palaver_backends() -> list[Backend]:
    return [ReverseBackend()]


@hookimpl
def palaver_models() -> list[ModelInfo]:
    return [INFO]
