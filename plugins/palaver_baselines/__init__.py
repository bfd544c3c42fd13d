"""Models without weights: what a real model must beat."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence

from palaver import Backend, Delta, GenerationConfig, ModelFailed, ModelInfo, Request, hookimpl

VERSION = "1"
"""Part of every baseline's digest: raised when the text that a baseline gives changes."""

# A sentence ends at . ! ? (and closing quotes) before white space, or at the full stops of Chinese and Japanese.
_SENTENCE = re.compile(r".+?(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[」』”’]*|$)", re.DOTALL)
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No|Fig|Inc|Ltd|Jr|Sr)|\b[A-Z])\.$")


def sentences(text: str) -> list[str]:
    """The sentences of a text, by punctuation; a blank line always ends one."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        held = ""
        for match in _SENTENCE.finditer(paragraph):
            held += match.group()
            if held.strip() and not _ABBREVIATION.search(held.strip()):
                found.append(" ".join(held.split()))
                held = ""
        if held.strip():
            found.append(" ".join(held.split()))
    return found


def lead3(request: Request) -> str:
    """The first three sentences, or as many as the task's `length` says. Nallapati et al. 2017 call it Lead-3."""
    length = request.options.get("length")
    return " ".join(sentences(_text(request))[: length if isinstance(length, int) else 3])


def copy(request: Request) -> str:
    """The input as it is: the floor of any translation score."""
    return _text(request)


BASELINES: dict[str, tuple[Callable[[Request], str], tuple[str, ...], str]] = {
    "lead-3": (lead3, ("summarize",), "the first sentences of the text"),
    "copy": (copy, ("summarize", "translate", "generate"), "the input as it is"),
}


class Baseline:
    """A function from a request to a text, as a Model."""

    def __init__(self, info: ModelInfo, answer: Callable[[Request], str]) -> None:
        self.info = info
        self._answer = answer

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        for index, request in enumerate(requests):
            if cancel.is_set():
                yield Delta(request=index, finish_reason="cancelled")
            else:
                yield Delta(self._answer(request), index, "stop")

    def close(self) -> None:
        return None


class Baselines:
    """The backend of all baselines."""

    name = "baseline"
    isolated = False

    def resolve(self, name: str) -> ModelInfo | None:
        return None

    def load(self, info: ModelInfo) -> Baseline:
        if info.name not in BASELINES:
            raise ModelFailed(f"There is no baseline named '{info.name}'.", fix="palaver models list")
        return Baseline(info, BASELINES[info.name][0])


@hookimpl
def palaver_backends() -> list[Backend]:
    return [Baselines()]


@hookimpl
def palaver_models() -> list[ModelInfo]:
    return [
        ModelInfo(
            name,
            "baseline",
            title=name,
            tasks=tasks,
            description=description,
            is_baseline=True,
            digest=f"{name} {VERSION}",
        )
        for name, (_, tasks, description) in BASELINES.items()
    ]


def _text(request: Request) -> str:
    inputs = request.example.inputs
    return inputs.get("text") or next(iter(inputs.values()), "")
