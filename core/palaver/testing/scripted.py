"""A model that says what a test tells it to, and a registry in which it answers every task."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from palaver.choice import ANY, Languages
from palaver.example import Example
from palaver.model import Delta, GenerationConfig, Model, ModelInfo, Request
from palaver.plugins import Found, Plugins
from palaver.registry import Registry
from palaver.store import Turn
from palaver.task import Task

Script = Callable[[Request], str]
Ask = Callable[[Task, Example], Turn]
"""Asks a task for an example; gives the turn that is in history then."""


def says(text: str) -> Script:
    """Always this answer."""
    return lambda request: text


class Scripted:
    """The model `scripted`: it keeps what it was asked in `asked`, and answers by its script, word by word."""

    def __init__(self, script: Script | str) -> None:
        self.info = ModelInfo("scripted", "scripted", tasks=("*",), description="says what it is told", digest="0")
        self.script = says(script) if isinstance(script, str) else script
        self.asked: list[Request] = []

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        for index, request in enumerate(requests):
            self.asked.append(request)
            for number, word in enumerate(self.script(request).split(" ")):
                if cancel.is_set():
                    break
                yield Delta(word if number == 0 else f" {word}", index)
            yield Delta(request=index, finish_reason="cancelled" if cancel.is_set() else "stop")

    def close(self) -> None:
        """It holds nothing."""


class ScriptedRegistry(Registry):
    """The registry of what is installed, or of the given plugins, in which the scripted model answers every task."""

    def __init__(self, model: Scripted, plugins: Sequence[Found] | None = None) -> None:
        super().__init__(Plugins(plugins, is_apart=False))
        self.scripted = model

    def info(self, name: str) -> ModelInfo:
        return self.scripted.info if name in ("scripted", self.scripted.info.ref) else super().info(name)

    def choose(self, task: str, wanted: str = "", *, languages: Languages = ANY) -> ModelInfo:
        if wanted in ("", "scripted"):
            return self.scripted.info
        return super().choose(task, wanted, languages=languages)

    def model(self, name: str) -> Model:
        return self.scripted if name in ("scripted", self.scripted.info.ref) else super().model(name)
