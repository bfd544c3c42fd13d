"""The contract of a backend: every request ends once, limits and cancels hold, a batch answers like single calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from palaver.example import Example
from palaver.model import Backend, Delta, GenerationConfig, Message, Model, ModelInfo, Request
from palaver.task import Task
from palaver.testing.check import Check, claim
from palaver.testing.hostile import HOSTILE, SCRIPTS
from palaver.testing.tasks import SAMPLE, made

CANCELLED_SECONDS = 1.0
"""A fifth of a second is promised; a busy machine gets five."""
ENOUGH = GenerationConfig(max_new_tokens=8)


def check_backend(backend: Backend, models: Sequence[ModelInfo], tasks: Mapping[str, type[Task]]) -> Iterator[Check]:
    """Every check of one backend, with those of its models that need no file."""
    subject = f"backend {backend.name}"
    yield claim("backends", f"{subject}: a name it does not know is None", lambda: _resolves(backend))
    mine = [info for info in models if info.backend == backend.name and not info.files]
    if not mine:
        yield Check("backends", subject, "skipped", "it has no named model that needs no download")
    for info in mine:
        yield from _check_model(backend, info, tasks)


def _check_model(backend: Backend, info: ModelInfo, tasks: Mapping[str, type[Task]]) -> Iterator[Check]:
    subject = f"model {info.name}"
    try:
        model = backend.load(info)
    except Exception as error:  # a plugin may raise anything at all
        yield Check("backends", subject, "failed", f"load() raised {type(error).__name__}: {error}")
        return
    requests = [request_for(info, tasks, text) for text in (SAMPLE, SCRIPTS["Greek"], SCRIPTS["Han"])]
    yield claim("backends", f"{subject}: every request ends once", lambda: _unended(model, requests))
    yield claim("backends", f"{subject}: limits hold", lambda: _unlimited(model, requests))
    yield claim("backends", f"{subject}: a cancel ends it", lambda: _unstoppable(model, requests))
    yield claim("batch", f"{subject}: a batch answers like single calls", lambda: _differs(model, requests))
    yield claim("hostile text", subject, lambda: _upset(model, info, tasks))
    yield claim("backends", f"{subject}: it can be closed twice", lambda: _closes(model))


def request_for(info: ModelInfo, tasks: Mapping[str, type[Task]], text: str) -> Request:
    """What the first task that a model can do asks of it; a plain message where that task is not installed."""
    task = next((tasks[name] for name in info.tasks if name in tasks), None)
    if task is None:
        return Request((Message("user", text),), (info.tasks or ("",))[0], Example({"text": text}))
    one = made(task)
    return one.request(one.prepare(Example(dict.fromkeys(task.inputs, text))))


def _answers(model: Model, requests: Sequence[Request], config: GenerationConfig = ENOUGH) -> list[list[Delta]]:
    answers: list[list[Delta]] = [[] for _ in requests]
    for delta in model.stream(requests, config, threading.Event()):
        answers[delta.request].append(delta)
    return answers


def _resolves(backend: Backend) -> Iterator[str]:
    if (info := backend.resolve("a name that nobody has")) is not None:
        yield f"resolve() makes {info.ref} of a name that nobody has"


def _unended(model: Model, requests: Sequence[Request]) -> Iterator[str]:
    for index, deltas in enumerate(_answers(model, requests)):
        reasons = [delta.finish_reason for delta in deltas if delta.finish_reason]
        if len(reasons) != 1:
            yield f"request {index} of {len(requests)} ended {len(reasons)} times; its last Delta has a finish_reason"
        elif deltas[-1].finish_reason is None:
            yield f"request {index} went on after its finish_reason"
        elif reasons == ["error"]:
            yield f"request {index} ended with an error: {deltas[-1].error}"


def _unlimited(model: Model, requests: Sequence[Request]) -> Iterator[str]:
    limit = GenerationConfig(max_new_tokens=1)
    for deltas in _answers(model, requests, limit):
        if (count := deltas[-1].output_tokens) is not None and count > limit.max_new_tokens:
            yield f"with max_new_tokens=1 it says it wrote {count} tokens"


def _unstoppable(model: Model, requests: Sequence[Request]) -> Iterator[str]:
    cancel = threading.Event()
    cancel.set()
    start = time.monotonic()
    ended = {
        delta.request
        for delta in model.stream(requests, GenerationConfig(max_new_tokens=100_000), cancel)
        if delta.finish_reason
    }
    if (took := time.monotonic() - start) > CANCELLED_SECONDS:
        yield f"a cancelled call took {took:.1f} s"
    if len(ended) < len(requests):
        yield f"{len(requests) - len(ended)} of {len(requests)} cancelled requests did not end"


def _differs(model: Model, requests: Sequence[Request]) -> Iterator[str]:
    together = ["".join(delta.text for delta in deltas) for deltas in _answers(model, requests)]
    alone = ["".join(delta.text for delta in _answers(model, [request])[0]) for request in requests]
    for index, (one, other) in enumerate(zip(together, alone, strict=True)):
        if one != other:
            yield f"request {index} gives {one[:60]!a} in a batch and {other[:60]!a} alone"


def _upset(model: Model, info: ModelInfo, tasks: Mapping[str, type[Task]]) -> Iterator[str]:
    for text in HOSTILE:
        try:
            _answers(model, [request_for(info, tasks, text)])
        except Exception as error:  # a plugin may raise anything at all
            yield f"stream() raised {type(error).__name__}: {error!s:.100} for {text[:40]!a}"


def _closes(model: Model) -> Iterator[str]:
    model.close()
    model.close()
    yield from ()
