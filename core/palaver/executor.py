"""Where a data set's requests are answered: in this process, or by several model processes at once.

An executor knows models and requests, and neither tasks, metrics nor history. Whatever happens to a worker, each
request gets exactly one prediction, and only the requests that ended a worker twice are given up.
"""

from __future__ import annotations

import itertools
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from palaver.errors import ModelFailed, PalaverError, PluginFailed, UsageError, in_words
from palaver.job import Asked, Executor, ExecutorKind, Job, Prediction
from palaver.model import FinishReason, Generation, GenerationConfig, Model, ModelInfo, Request

__all__ = [
    "Asked",
    "Executor",
    "ExecutorKind",
    "Guarded",
    "Inline",
    "InlineKind",
    "Job",
    "LocalKind",
    "LocalProcesses",
    "Prediction",
    "answer_batch",
]

DEATHS = 2
"""Worker deaths after which a request is no longer tried."""

MOST_PROCESSES = 64

_ON_A_CARD, _CHARACTERS = 4096, 4_000_000
"""Requests that a graphics card is given at once, and the characters after which it is enough."""

_DEADLY = ("model_died", "model_silent", "engine_gone")
"""Codes of the errors that a worker leaves when it ends in the middle."""


class Inline:
    """Answers with a model that is given, in this thread."""

    def __init__(self, load: Callable[[ModelInfo], Model]) -> None:
        self._load = load

    def map(self, job: Job, asked: Iterable[Asked], cancel: threading.Event) -> Iterator[Prediction]:
        """Batch after batch. See `Executor`."""
        rest, most = iter(asked), job.batch
        model: Model | None = None
        while not cancel.is_set() and (batch := _some(rest, most)):
            if model is None:  # where all was answered before, nothing is loaded
                model = self._load(job.model)
                _make_ready(model, cancel)
                if model.info.device.startswith("cuda"):
                    most = max(most, _ON_A_CARD)
            yield from answer_batch(model, batch, job.config, cancel)


def _some(rest: Iterator[Asked], most: int) -> list[Asked]:
    """The next requests: at most so many, and no more than a message to another process can hold."""
    taken: list[Asked] = []
    length = 0
    while len(taken) < most and length < _CHARACTERS and (one := next(rest, None)) is not None:
        taken.append(one)
        length += sum(len(message.content) for message in one.request.messages)
        length += sum(len(text) for text in one.request.example.inputs.values())
    return taken


@dataclass(slots=True)
class _Round:
    """What a stream has said of each request so far."""

    pieces: list[list[str]]
    first: dict[int, float] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)


def answer_batch(
    model: Model, batch: Sequence[Asked], config: GenerationConfig, cancel: threading.Event
) -> Iterator[Prediction]:
    """All of a batch, whatever one request does to the model: what did not end is asked again, one by one."""
    deaths = [0] * len(batch)
    open_ = list(range(len(batch)))
    together = True
    while open_ and not cancel.is_set():
        tried = list(open_) if together else open_[:1]
        error: PalaverError | None = None
        try:
            for place, found, code in _stream(model, [batch[one].request for one in tried], config, cancel):
                index = tried[place]
                open_.remove(index)
                if found.finish_reason != "cancelled":
                    yield Prediction(batch[index].key, found, code)
        except PalaverError as failed:
            error = failed
        except Exception as bug:  # a model plugin may raise anything at all
            error = PalaverError(f"{model.info.name} broke: {in_words(bug)}.", code="model_broke")
        if cancel.is_set():
            return
        left = [one for one in tried if one in open_]
        if error is None and left:
            error = PalaverError(f"{model.info.name} stopped without finishing its answer.", code="model_silent")
        if error is not None and left:
            yield from _blame(left, error, deaths, open_, batch, together)
        together = False


def _blame(
    left: Sequence[int],
    error: PalaverError,
    deaths: list[int],
    open_: list[int],
    batch: Sequence[Asked],
    together: bool,
) -> Iterator[Prediction]:
    """Give up a request that was asked alone, for a death only the second time; of a batch nobody knows who it was."""
    is_death = error.code in _DEADLY
    for index in left:
        deaths[index] += is_death
        alone = not together or len(left) == 1
        if deaths[index] >= DEATHS or (alone and not is_death):
            open_.remove(index)
            said = str(error) if not is_death else f"{error} Given up after {DEATHS} times."
            yield Prediction(batch[index].key, Generation("", "error", error=said), error.code)


def _stream(
    model: Model, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event
) -> Iterator[tuple[int, Generation, str]]:
    """The generations of one call, each as soon as it is whole, with its place and the code of its error.

    Their seconds count from the answer before, so that they add up to the time that the model took, however many it
    answers side by side; the time to the first token counts from the call.
    """
    start = since = time.perf_counter()
    now = _Round([[] for _ in requests])
    tokens: dict[int, tuple[int | None, int | None]] = {}
    logprobs: list[list[float]] = [[] for _ in requests]
    for delta in model.stream(requests, config, cancel):
        place = delta.request
        if place in now.done or not 0 <= place < len(requests):
            continue
        if delta.text:
            now.first.setdefault(place, time.perf_counter() - start)
            now.pieces[place].append(delta.text)
        logprobs[place] += delta.logprobs
        before = tokens.get(place, (None, None))
        tokens[place] = (
            delta.prompt_tokens if delta.prompt_tokens is not None else before[0],
            delta.output_tokens if delta.output_tokens is not None else before[1],
        )
        if delta.finish_reason is not None:
            now.done.add(place)
            reason: FinishReason = delta.finish_reason
            error = (delta.error or "The model stopped with an error.") if reason == "error" else ""
            seconds = time.perf_counter() - since
            text = "".join(now.pieces[place])
            sure = math.fsum(logprobs[place]) if logprobs[place] else None
            counts = (*tokens[place], now.first.get(place), seconds)
            code = (delta.code or ModelFailed.code) if error else ""
            yield place, Generation(text, reason, *counts, error, sure, len(logprobs[place])), code
            since = time.perf_counter()  # what the caller did with it is not the model's time


def _make_ready(model: Model, cancel: threading.Event) -> None:
    """Load the weights, where that can be told from answering: a model that cannot load fails once, not per example."""
    load = getattr(model, "load", None)
    for attempt in range(1, DEATHS + 1):
        try:
            if callable(load):
                load(cancel)
            return
        except PalaverError as error:
            if error.code not in _DEADLY or attempt == DEATHS:
                raise


class LocalProcesses:
    """Answers with `count` processes on this machine, each with the model in it."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.pids: list[int | None] = []
        """Of the workers that were last seen alive."""

    def map(self, job: Job, asked: Iterable[Asked], cancel: threading.Event) -> Iterator[Prediction]:
        """Each worker takes the next batch when it is done with one. See `Executor`."""
        from palaver import paths
        from palaver.isolated import IsolatedModel  # pulls subprocess: paid by whoever runs several

        logs = paths.state_dir() / "logs"
        models = [IsolatedModel(job.model, module=job.module, log=logs / f"worker-{n}.log") for n in range(self.count)]
        batches, done = _Batches(asked, job.batch), queue.Queue[Prediction | BaseException | None](job.batch * 4)
        stop = threading.Event()  # the generator was left: nobody takes the results any more
        threads = [
            threading.Thread(target=_work, args=(model, job, batches, done, _Either(cancel, stop)), daemon=True)
            for model in models
        ]
        try:
            for thread in threads:
                thread.start()
            working = len(threads)
            while working:
                found = done.get()
                self.pids = [model.pid for model in models]
                if isinstance(found, BaseException):
                    raise found
                if found is None:
                    working -= 1
                else:
                    yield found
        finally:
            stop.set()
            for model in models:
                model.close()
            _drain(done, threads)


class _Either(threading.Event):
    """Set when one of two events is; for those who look, not for those who wait."""

    def __init__(self, first: threading.Event, second: threading.Event) -> None:
        super().__init__()
        self._both = (first, second)

    def is_set(self) -> bool:
        return any(one.is_set() for one in self._both)


class _Batches:
    """Batches for several threads, read from the input only as they are wanted."""

    def __init__(self, asked: Iterable[Asked], size: int) -> None:
        self._rest, self._size, self._lock = iter(asked), size, threading.Lock()

    def take(self) -> list[Asked]:
        with self._lock:
            return list(itertools.islice(self._rest, self._size))


def _work(
    model: Model,
    job: Job,
    batches: _Batches,
    done: queue.Queue[Prediction | BaseException | None],
    cancel: threading.Event,
) -> None:
    try:
        _make_ready(model, cancel)
        while not cancel.is_set() and (batch := batches.take()):
            for prediction in answer_batch(model, batch, job.config, cancel):
                done.put(prediction)
        done.put(None)
    except BaseException as error:  # the thread that waits for this one raises it
        done.put(error)


def _drain(done: queue.Queue[Prediction | BaseException | None], threads: Sequence[threading.Thread]) -> None:
    """Let threads that wait for room in the queue end."""
    while any(thread.is_alive() for thread in threads):
        try:
            done.get(timeout=0.05)
        except queue.Empty:
            continue


class InlineKind:
    """In this process."""

    name: str = "inline"
    summary: str = "in this process, batch after batch"

    def __init__(self, load: Callable[[ModelInfo], Model]) -> None:
        self._load = load

    def open(self, argument: str) -> Executor:
        """The one there is. See `ExecutorKind`."""
        if argument:
            raise UsageError(f"'inline' takes no argument, such as '{argument}'.", fix="--on local:4")
        return Inline(self._load)


class LocalKind:
    """In processes of this machine."""

    name: str = "local"
    summary: str = "in N processes of this machine, each with the model in it: local:4"

    def open(self, argument: str) -> Executor:
        """As many processes as the argument says, 2 without one. See `ExecutorKind`."""
        if argument and not (argument.isascii() and argument.isdigit() and 1 <= int(argument) <= MOST_PROCESSES):
            raise UsageError(f"'local' takes a number from 1 to {MOST_PROCESSES}, not '{argument}'.")
        return LocalProcesses(int(argument or 2))


class Guarded:
    """An executor that others wrote: what it raises is told with its name, and no answer is taken twice or missed."""

    def __init__(self, name: str, executor: Executor, blame: Callable[[BaseException], None]) -> None:
        self._name, self._executor, self._blame = name, executor, blame

    def map(self, job: Job, asked: Iterable[Asked], cancel: threading.Event) -> Iterator[Prediction]:
        """See `Executor`.

        Raises:
            PluginFailed: it raised, or left requests without a prediction.
        """
        open_: set[str] = set()

        def noted() -> Iterator[Asked]:
            for one in asked:
                open_.add(one.key)
                yield one

        try:
            for prediction in self._executor.map(job, noted(), cancel):
                if prediction.key in open_:
                    open_.remove(prediction.key)
                    yield prediction
        except PalaverError:
            raise
        except Exception as bug:  # a plugin may raise anything at all
            self._blame(bug)
            raise PluginFailed(
                f"The executor '{self._name}' broke: {in_words(bug)}.", fix="evaluate with --on inline"
            ) from bug
        if open_ and not cancel.is_set():
            raise PluginFailed(
                f"The executor '{self._name}' left {len(open_)} requests unanswered.", fix="evaluate with --on inline"
            )
