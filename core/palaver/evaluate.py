"""A data set over a model: each example answered once, written when it is done, scored; resumed where it stopped."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from palaver.choice import languages_of_first, with_source_of
from palaver.data import Dataset
from palaver.errors import BadInput, ContextExceeded, ModelFailed, PalaverError, PluginFailed, in_words
from palaver.example import Example
from palaver.executor import Inline
from palaver.job import Asked, Executor, Job, Prediction
from palaver.long import Listener, answer_in_parts
from palaver.metric import Score, applicable, need_logprobs, with_confidence
from palaver.model import Generation, GenerationConfig, ModelInfo, Request
from palaver.registry import Registry
from palaver.runs import Report, metrics_of, plan_of, report, score_safely
from palaver.sources import good_outputs
from palaver.store import STATUS_OF, Answered, Given, Status, Store, TurnStart
from palaver.tally import Tally
from palaver.task import Task

HOPELESS = 20
"""Failures in a row, with no success before, after which an evaluation ends."""

BATCH = 64
"""Requests that a model gets at once. PyTorch writes texts side by side: with 64 twice as many tokens as with 16."""

_PIECES = 16
"""Batches that several workers share at least, as far as these would not be smaller than `Job.batch`."""

_GROUP = 50
"""Answers that share a commit."""

_PENDING = 200
"""Answers that may be on their way to the disk; more would only fill the memory."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an evaluation is."""

    run_id: int
    model: str
    total: int
    tally: Tally
    """Live: it goes on growing."""
    rate: float | None
    """Answers a second in this session, cached ones not counted."""
    left: float | None
    """Seconds, at this rate."""


class Evaluation:
    """One run: begun by `begin`, and any number of times resumed."""

    def __init__(
        self,
        registry: Registry,
        store: Store,
        run_id: int,
        dataset: Dataset,
        *,
        executor: Executor | None = None,
        is_cached: bool = True,
    ) -> None:
        """
        Raises:
            BadInput: the data set is not the one that the run was begun with.
        """
        self.registry, self.store, self.run_id, self.dataset = registry, store, run_id, dataset
        self.plan = plan_of(store.run(run_id))
        if dataset.digest != self.plan.digest:
            raise BadInput(
                f"{dataset.name} has changed since run {run_id} began; its answers would not go together.",
                fix="evaluate anew, without --resume",
                code="dataset_changed",
            )
        self.task = registry.task(self.plan.task)(**self.plan.options)
        languages = languages_of_first(self.task, dataset.examples)
        self.info = registry.choose(self.task.name, self.plan.model, languages=languages)
        self._config = registry.config(self.task, self.plan.config)
        self._executor = executor or Inline(lambda info: registry.model(info.name))
        self._is_cached = is_cached
        self._scored = {known: need_logprobs(metrics_of(registry, self.plan, known)) for known in (True, False)}
        """Whether log-probabilities are needed for examples with references, and for those without."""
        self._examples = dataset.examples[: self.plan.limit]
        self._tally = Tally(self.plan.repeat)
        self._log = _Log(store)
        self._started = time.monotonic()
        self._asked = self._fresh = 0
        self._failed_in_a_row = 0

    @property
    def total(self) -> int:
        """Answers of the complete run."""
        return len(self._examples) * self.plan.repeat

    def run(self, cancel: threading.Event, on_progress: Callable[[Progress], None] = lambda progress: None) -> Report:
        """Answer what is missing. Blocks; what is done is on the disk when this returns, also when it raises.

        Raises:
            PalaverError: the model cannot be loaded, or every answer fails.
        """
        missing = self._resume()
        self._started = time.monotonic()
        try:
            for epoch in range(self.plan.repeat):
                todo = [one for one in self._examples if (one.id, epoch) in missing]
                if todo and not cancel.is_set():
                    self._run_epoch(epoch, todo, cancel, on_progress)
        finally:
            self._log.close()
        if self._tally.done == self.total:
            self.store.finish_run(self.run_id)
        return report(self.registry, self.store, self.run_id)

    def _resume(self) -> set[tuple[str, int]]:
        for one in self.store.results(self.run_id):
            self._tally.add((one.example_id, one.epoch), one.status, one.scores, is_cached=True)
        self._tally.cached = 0
        done = self.store.answered(self.run_id)
        return {(one.id, epoch) for one in self._examples for epoch in range(self.plan.repeat)} - done

    def _run_epoch(
        self, epoch: int, todo: Sequence[Example], cancel: threading.Event, on_progress: Callable[[Progress], None]
    ) -> None:
        config = replace(self._config, seed=(self._config.seed + epoch) % 2**32)
        info = self._known(cancel)
        waiting: dict[str, _Prepared] = {}
        ready: deque[tuple[_Prepared, Prediction, Given | None]] = deque()
        too_long: list[_Prepared] = []

        def ask() -> Iterator[Asked]:
            for example in todo:
                prepared = self._prepare(example, info, config, epoch)
                found = self.store.given(prepared.start) if self._is_cached and prepared.request else None
                if prepared.request is None:
                    failed = Generation("", "error", error=prepared.error)
                    ready.append((prepared, Prediction(example.id, failed, "task_failed"), None))
                elif found is not None:
                    ready.append((prepared, Prediction(example.id, found.generation), found))
                else:
                    waiting[example.id] = prepared
                    yield Asked(example.id, prepared.request)

        def take() -> None:
            while ready:
                self._finish(*ready.popleft())
                on_progress(self._progress(len(waiting)))

        job = Job(info, self._module(), config)
        pieces = 1 if isinstance(self._executor, Inline) else _PIECES
        job = replace(job, batch=max(job.batch, min(BATCH, len(todo) // pieces)))
        for prediction in self._executor.map(job, ask(), cancel):
            take()
            prepared = waiting.pop(prediction.key)
            if prediction.code == ContextExceeded.code:
                too_long.append(prepared)
                continue
            self._finish(prepared, prediction)
            on_progress(self._progress(len(waiting)))
        take()
        # The model is free only now: what is read in parts asks it several times.
        for prepared in too_long:
            self._answer_in_parts(prepared, config, cancel)
            on_progress(self._progress(len(waiting)))

    def _known(self, cancel: threading.Event) -> ModelInfo:
        """The model with its digest: where that is known only after loading, it is loaded."""
        if self.info.digest or not isinstance(self._executor, Inline):
            return self.info
        model = self.registry.model(self.info.name)
        load = getattr(model, "load", None)
        if callable(load):
            load(cancel)
        return replace(self.info, digest=model.info.digest)

    def _module(self) -> str:
        for plugin, backends in self.registry.plugins.call("palaver_backends"):
            if any(one.name == self.info.backend for one in backends):
                return str(plugin.found.module)
        return ""

    def _prepare(self, example: Example, info: ModelInfo, config: GenerationConfig, epoch: int) -> _Prepared:
        request: Request | None = None
        error = ""
        try:
            example = with_source_of(info, self.task.prepare(example))
            scored = self._scored[bool(example.references)]
            request = replace(self.task.request(example), logprobs=scored)
        except Exception as bug:  # a task plugin may raise anything at all
            error = str(bug) if isinstance(bug, PalaverError) else str(_culprit(self.task, bug))
        plugin, version = self.registry.origin(self.task.name)
        start = TurnStart(
            run_id=self.run_id,
            task=self.task.name,
            model=info.name,
            model_ref=info.ref,
            inputs=dict(example.inputs),
            input_text=(list(example.inputs.values()) or [""])[-1],
            options=self.task.options(),
            prompt=request.messages if request else (),
            config=config,
            model_digest=info.digest,
            backend=info.backend,
            plugin=plugin,
            plugin_version=version,
            language=example.language,
            example_id=example.id,
            epoch=epoch,
        )
        return _Prepared(example, request, start, error)

    def _answer_in_parts(self, prepared: _Prepared, config: GenerationConfig, cancel: threading.Event) -> None:
        """One whose input is longer than the model's window; nothing of it stays when it is cancelled."""
        if cancel.is_set():
            return
        refusal = ContextExceeded("The input is longer than the model's window.")
        output: str | None = None
        try:
            model = self.registry.model(self.info.name)
            listener = Listener(lambda count: None, *[lambda text: None] * 3)
            found = answer_in_parts(self.task, prepared.example, model, config, cancel, listener, refusal)
            generation, output = found.generation, found.answer
        except PalaverError as error:
            generation = Generation("", "error", error=str(error))
        except Exception as bug:  # a model or task plugin may raise anything at all
            generation = Generation("", "error", error=in_words(bug))
        if not cancel.is_set():
            self._finish(prepared, Prediction(prepared.example.id, generation), output=output)

    def _finish(
        self, prepared: _Prepared, prediction: Prediction, given: Given | None = None, *, output: str | None = None
    ) -> None:
        """Read, score and write one answer; an output that is given has been read."""
        generation, example = prediction.generation, prepared.example
        status: Status = STATUS_OF[generation.finish_reason]
        error = generation.error
        if given is not None:
            output = given.output
        if status == "failed":
            output = ""
        elif output is None:
            try:
                output = self.task.parse(generation.text, example)
            except Exception as bug:  # a task plugin may raise anything at all
                status, error, output = "failed", str(_culprit(self.task, bug)), generation.text.strip()
        scores: tuple[Score, ...] = ()
        if status != "failed":
            sure = with_confidence(example, generation.logprob, generation.scored_tokens, prepared.start.model_digest)
            chosen = metrics_of(self.registry, self.plan, bool(example.references))
            chosen = applicable(chosen, sure, named=bool(self.plan.metrics))
            scores = tuple(score_safely(self.registry, metric, output, sure) for metric in chosen)
        start = replace(prepared.start, cached_from=given.turn_id if given else None)
        references = good_outputs(example)
        self._log.add(Answered(start, status, output, generation.text, generation, error, references, scores))
        key = (example.id, start.epoch)
        is_cached = given is not None
        self._tally.add(
            key,
            status,
            scores,
            is_cached=is_cached,
            seconds=generation.seconds,
            output_tokens=generation.output_tokens,
        )
        self._fresh += not is_cached
        self._give_up_if_hopeless(status, error)

    def _give_up_if_hopeless(self, status: Status, error: str) -> None:
        self._failed_in_a_row = self._failed_in_a_row + 1 if status == "failed" else 0
        if self._failed_in_a_row == self._fresh == HOPELESS:
            raise ModelFailed(
                f"The first {HOPELESS} answers of {self.info.name} all failed: {error}",
                fix=f"palaver eval --resume {self.run_id} --retry-failed",
                code="all_failed",
            )

    def _progress(self, waiting: int) -> Progress:
        seconds = time.monotonic() - self._started
        rate = self._fresh / seconds if self._fresh and seconds > 0 else None
        left = (self.total - self._tally.done) / rate if rate else None
        return Progress(self.run_id, self.info.name, self.total, self._tally, rate, left)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An example on its way to the model."""

    example: Example
    request: Request | None
    start: TurnStart
    error: str = ""


class _Log:
    """Hands answers to the writer of history at once; those that come while it is busy go together.

    One by one they would cost twice as much: the index of words is brought up to date with each piece.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._change = threading.Condition()
        self._waiting: list[Answered] = []
        self._is_busy = False
        self._error: BaseException | None = None

    def add(self, answer: Answered) -> None:
        """Have it written; waits only where the disk cannot keep up.

        Raises:
            StoreError: an earlier one could not be written.
        """
        with self._change:
            self._waiting.append(answer)
            if not self._is_busy:
                self._send()
            self._change.wait_for(lambda: self._error is not None or len(self._waiting) < _PENDING)
            if self._error is not None:
                raise self._error

    def close(self) -> None:
        """Wait until all of it is on the disk.

        Raises:
            StoreError: it could not be written.
        """
        with self._change:
            self._change.wait_for(lambda: self._error is not None or not (self._is_busy or self._waiting))
            if self._error is not None:
                raise self._error

    def _send(self) -> None:
        group, self._waiting = self._waiting[:_GROUP], self._waiting[_GROUP:]
        try:
            written = self._store.add_answers(group)
        except PalaverError as error:  # the history was closed meanwhile
            self._error = error
            return
        self._is_busy = True
        written.add_done_callback(self._sent)

    def _sent(self, future: Future[list[int | None]]) -> None:
        """The writer is free again. Runs in its thread."""
        with self._change:
            self._is_busy = False
            self._error = self._error or future.exception()
            if self._waiting and self._error is None:
                self._send()
            self._change.notify_all()


def _culprit(task: Task, error: Exception) -> PluginFailed:
    from palaver.plugins import describe

    return PluginFailed(f"The plugin of '{task.name}' raised {describe(error)}.", fix="palaver plugins list")
