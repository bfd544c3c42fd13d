"""A model that says what a test tells it to, in process, with events instead of time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from palaver import Backend, Delta, GenerationConfig, ModelInfo, Request
from palaver.plugins import Found, Plugins
from palaver.registry import Registry

Script = Callable[[Request, GenerationConfig, threading.Event], Iterator[Delta]]


def says(text: str) -> Script:
    """Word by word, then stop."""

    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        words = text.split(" ")
        for index, word in enumerate(words):
            yield Delta(word if index == 0 else " " + word)
        yield Delta(finish_reason="stop", prompt_tokens=len(request.messages), output_tokens=len(words))

    return script


class Scripted:
    """The model `scripted`: keeps what it was asked, and answers by its script."""

    def __init__(self, script: Script, *, context: int | None = 2048) -> None:
        self.info = ModelInfo(
            "scripted", "scripted", tasks=("*",), good_at=("chat", "generate", "summarize", "translate", "qa"),
            context=context, memory=1, digest="sha256:scripted",
        )  # fmt: skip
        self.script = script
        self.asked: list[Request] = []

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        self.asked += requests
        yield from self.script(requests[0], config, cancel)

    def close(self) -> None:
        return None


class ReadsAlong(Scripted):
    """The same, and it can read ahead: keeps what it was to read, and reads as long as a test says."""

    def __init__(self, script: Script, *, context: int | None = 2048) -> None:
        super().__init__(script, context=context)
        self.read: list[Request] = []
        self.may_end = threading.Event()
        self.may_end.set()
        self.stopped: list[Request] = []

    def read_ahead(self, request: Request, cancel: threading.Event) -> None:
        self.read.append(request)
        while not self.may_end.is_set() and not cancel.wait(0.005):
            pass
        if cancel.is_set():
            self.stopped.append(request)


class ScriptedBackend:
    """Hands out the one scripted model."""

    name = "scripted"
    isolated = False

    def __init__(self, model: Scripted) -> None:
        self.model = model

    def resolve(self, name: str) -> ModelInfo | None:
        return None

    def load(self, info: ModelInfo) -> Scripted:
        return self.model


class ScriptedRegistry(Registry):
    """The real registry with all built-in plugins and the scripted model beside them."""

    def __init__(self, model: Scripted, plugins: Sequence[Found] | None = None) -> None:
        super().__init__(Plugins(plugins))
        self.scripted = model

    def _load(self) -> None:
        if not self._ready:
            super()._load()
            backend: Backend = ScriptedBackend(self.scripted)
            self._backends["scripted"] = (backend, "")
            self._models["scripted"] = self.scripted.info
