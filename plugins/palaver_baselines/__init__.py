"""Models without weights: what a real model must beat."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence

from palaver import Backend, Delta, GenerationConfig, ModelFailed, ModelInfo, Request, hookimpl
from palaver_baselines.extract import bm25_sentence, copy, lead3, lexrank, luhn, text_of
from palaver_baselines.ngram import NgramModel

VERSION = "1"
"""Part of every baseline's digest: raised when the text that a baseline gives changes."""

BASELINES: dict[str, tuple[Callable[[Request], str] | None, tuple[str, ...], str]] = {
    "lead-3": (lead3, ("summarize",), "the first sentences of the text"),
    "luhn": (luhn, ("summarize",), "the sentences with the densest run of what the text repeats"),
    "lexrank": (lexrank, ("summarize",), "the most central sentences of the text"),
    "bm25": (bm25_sentence, ("qa",), "the sentence nearest to the question"),
    "copy": (copy, ("summarize", "translate", "generate"), "the input as it is"),
    "ngram": (None, ("generate",), "goes on with trigrams learnt from the input"),
}


GOOD_AT = {"lead-3": ("summarize",), "bm25": ("qa",)}
"""Answers that one may want from a program without a model; the others are there to be compared with."""


class Baseline:
    """A function from a request to a text, as a Model."""

    def __init__(self, info: ModelInfo, answer: Callable[[Request], str] | None) -> None:
        self.info = info
        self._answer = answer

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        for index, request in enumerate(requests):
            if cancel.is_set():
                yield Delta(request=index, finish_reason="cancelled")
            elif self._answer is None:
                yield from _continue(request, index, config, cancel)
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
            good_at=GOOD_AT.get(name, ()),
            description=description,
            is_baseline=True,
            digest=f"{name} {VERSION}",
        )
        for name, (_, tasks, description) in BASELINES.items()
    ]


def _continue(request: Request, index: int, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
    generator = random.Random(config.seed)
    count = 0
    for token in NgramModel(text_of(request)).sample(generator, temperature=config.temperature):
        if cancel.is_set():
            yield Delta(request=index, finish_reason="cancelled")
            return
        if count == config.max_new_tokens:
            break
        yield Delta(token.lstrip() if count == 0 else token, index)
        count += 1
    yield Delta(request=index, finish_reason="length" if count else "stop", output_tokens=count)
