"""An evaluation off the screen's thread: model after model through the core, paused, stopped, taken up again."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from textual.message import Message

from palaver.errors import PalaverError, PluginFailed

if TYPE_CHECKING:
    from palaver.comparison import Pair
    from palaver.data import Dataset
    from palaver.evaluate import Progress
    from palaver.metric import Metric
    from palaver.runs import Plan
    from palaver.session import Session
    from palaver.tally import CorpusScore, Tally

State = Literal["wait", "loading", "running", "paused", "stopped", "done", "broken"]

WORST = 5
"""Examples with the lowest scores that are shown, and failed ones beside them."""
CLOSE_SECONDS = 2.0
"""How long a running evaluation has at the end to write what it has."""


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One model of an evaluation, and how far it is."""

    run_id: int
    model: str
    total: int
    state: State = "wait"
    ended: Mapping[str, int] = field(default_factory=dict)
    """Answers by status."""
    cached: int = 0
    rate: float | None = None
    """Answers a second."""
    left: float | None = None
    """Seconds."""
    scores: tuple[CorpusScore, ...] = ()
    """The main one first."""
    error: str = ""
    """Why it ended before its time."""

    @property
    def done(self) -> int:
        """Answers, whatever became of them."""
        return sum(self.ended.values())

    @property
    def failed(self) -> int:
        """Answers that failed: they are no answers."""
        return self.ended.get("failed", 0)


@dataclass(frozen=True, slots=True)
class Poor:
    """An example that scored low, or failed."""

    turn_id: int
    example_id: str
    value: float | None
    input: str
    output: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """All that the screen shows of an evaluation."""

    plan: Plan
    started: float
    """Unix time."""
    lines: tuple[ModelLine, ...]
    pairs: tuple[Pair, ...] = ()
    """On the main metric."""
    poor: Mapping[int, tuple[Poor, ...]] = field(default_factory=dict)
    """By run."""

    @property
    def is_running(self) -> bool:
        """A model is being asked."""
        return any(one.state in ("loading", "running") for one in self.lines)

    @property
    def is_done(self) -> bool:
        """Nothing is missing."""
        return all(one.state == "done" for one in self.lines)


@dataclass
class Moved(Message):
    """There is something new to see."""

    work: Evaluating
    view: View


@dataclass
class Refused(Message):
    """It cannot begin, or could not be opened."""

    error: PalaverError


class Evaluating:
    """At most one evaluation at a time, of one or more models; it tells by messages."""

    def __init__(self, session: Session, post: Callable[[Message], object]) -> None:
        self._registry, self._store, self._post = session.registry, session.store, post
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None
        self._halted: State = "paused"
        self._view: View | None = None
        self._dataset: Dataset | None = None
        self._tallies: dict[str, Tally] = {}
        self._is_closed = False

    @property
    def is_running(self) -> bool:
        """A thread works on it."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def view(self) -> View | None:
        """What was told last."""
        return self._view

    @property
    def runs(self) -> Sequence[int]:
        """The numbers of its runs."""
        return [one.run_id for one in self._view.lines] if self._view is not None else []

    def begin(self, dataset: Dataset, plans: Sequence[Plan]) -> None:
        """Write the runs of these plans, and answer them one after the other."""
        self._start(self._do_begin, dataset, plans)

    def open(self, runs: Sequence[int]) -> None:
        """Show runs that are in history, finished or not."""
        self._start(self._do_open, runs)

    def halt(self, how: Literal["paused", "stopped"]) -> None:
        """End what runs; each answer that is there is kept."""
        self._halted = how
        self._cancel.set()

    def go_on(self) -> None:
        """Answer what is missing."""
        if self._view is not None and not self.is_running:
            self._start(self._do_go_on)

    def close(self) -> None:
        """Stop, and wait a little until it is written."""
        self._is_closed = True
        self._cancel.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    # In the thread

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        self._cancel = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=lambda: context.run(self._guarded, work, *arguments), name="palaver-evaluate", daemon=True
        )
        self._thread.start()

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except PalaverError as error:
            self._tell(Refused(error))
        except Exception as error:  # the screen must hear of it, or it would wait for ever
            self._tell(Refused(PluginFailed(f"{type(error).__name__}: {error}", fix="palaver doctor")))

    def _do_begin(self, dataset: Dataset, plans: Sequence[Plan]) -> None:
        from palaver.runs import begin

        self._dataset, self._tallies = dataset, {}
        total = plans[0].n * plans[0].repeat
        lines = tuple(ModelLine(begin(self._store, plan), plan.model, total) for plan in plans)
        self._view = View(plans[0], time.time(), lines)
        self._show(self._view)
        self._do_go_on()

    def _do_open(self, runs: Sequence[int]) -> None:
        from palaver.runs import plan_of, report

        found = [self._store.run(run) for run in runs]
        plan = plan_of(found[0])
        lines = []
        for run in runs:
            one = report(self._registry, self._store, run)
            state: State = "done" if one.is_complete else "stopped"
            lines.append(ModelLine(run, one.model, one.total, state, one.ended, one.cached, scores=one.scores))
        self._dataset, self._tallies = None, {one.model: self._tally(one.run_id, plan.repeat) for one in lines}
        view = View(plan, found[0].created, tuple(lines))
        self._view = replace(view, pairs=self._compared(view), poor={run: self._poor(view, run) for run in runs})
        self._show(self._view)

    def _tally(self, run: int, repeat: int) -> Tally:
        from palaver.tally import Tally

        tally = Tally(repeat)
        for one in self._store.results(run):
            tally.add((one.example_id, one.epoch), one.status, one.scores)
        return tally

    def _do_go_on(self) -> None:
        from palaver.plans import reopen

        assert self._view is not None
        if self._dataset is None:
            self._dataset = reopen(self._registry, self._store, self._view.lines[0].run_id)
        lines = tuple(one if one.state == "done" else replace(one, state="wait", error="") for one in self._view.lines)
        self._view = replace(self._view, lines=lines)
        for one in lines:
            if self._cancel.is_set():
                break
            if one.state != "done":
                self._run(one.run_id, self._dataset)
        self._settle()

    def _run(self, run: int, dataset: Dataset) -> None:
        """One model, to the end or until it is halted."""
        from palaver.evaluate import Evaluation
        from palaver.runs import metrics_of, report

        self._change(run, state="loading")
        error = ""
        try:
            evaluation = Evaluation(self._registry, self._store, run, dataset)
            metrics = metrics_of(self._registry, evaluation.plan, any(one.references for one in dataset.examples))
            found = evaluation.run(self._cancel, _Listener(self, metrics).hear)
        except PalaverError as failed:
            if self._is_closed:  # the history went away under it, and has what was answered
                return
            error = str(failed) + (f" Fix: {failed.fix}" if failed.fix else "")
            found = report(self._registry, self._store, run)
        state: State = "done" if found.is_complete else "broken" if error else self._halted
        self._change(
            run,
            state=state,
            ended=found.ended,
            cached=found.cached,
            scores=found.scores,
            rate=None,
            left=None,
            error=error,
        )

    def _settle(self) -> None:
        """The last look: full intervals and tests, as `palaver compare` has them."""
        assert self._view is not None
        halted = tuple(
            replace(one, state=self._halted) if one.state in ("wait", "loading", "running") else one
            for one in self._view.lines
        )
        view = replace(self._view, lines=halted)
        poor = {one.run_id: self._poor(view, one.run_id) for one in view.lines}
        self._view = replace(view, pairs=self._compared(view), poor=poor)
        self._show(self._view)

    def _compared(self, view: View) -> tuple[Pair, ...]:
        from palaver.paired import compare_runs

        runs = [one.run_id for one in view.lines if one.done]
        main = _main(view)
        if len(runs) < 2 or not main:
            return ()
        _, found = compare_runs(self._registry, self._store, runs, (main,))
        return found.metrics[0].pairs if found.metrics else ()

    def _poor(self, view: View, run: int) -> tuple[Poor, ...]:
        """The lowest ones by the main metric, then those that failed last."""
        from palaver.store import parse_filter

        main, found = _main(view), []
        if main:
            lowest = self._registry.metric(main).higher_is_better
            for turn_id, value in self._store.extremes(run, main, lowest=lowest, limit=WORST):
                turn = self._store.turn(turn_id)
                found.append(Poor(turn_id, turn.example_id or "", value, turn.input_text, turn.output))
        for line in self._store.page(parse_filter(f"run:{run} is:failed"), limit=WORST):
            turn = self._store.turn(line.id)
            found.append(Poor(turn.id, turn.example_id or "", None, turn.input_text, "", turn.error))
        return tuple(found)

    def _change(self, run: int, *, is_told: bool = True, **changes: object) -> None:
        assert self._view is not None
        lines = tuple(
            replace(one, **changes) if one.run_id == run else one  # type: ignore[arg-type]
            for one in self._view.lines
        )
        self._view = replace(self._view, lines=lines)
        if is_told:
            self._show(self._view)

    def hear(self, progress: Progress, scores: tuple[CorpusScore, ...] | None, metric: Metric | None) -> None:
        """Another answer is there; `scores` are given when they have been computed anew."""
        from palaver.tally import paired

        assert self._view is not None
        self._tallies[progress.model] = progress.tally
        if scores is not None and metric is not None:
            shared = {one.model: self._tallies[one.model] for one in self._view.lines if one.model in self._tallies}
            pairs = paired(shared, metric) if len(shared) > 1 else ()
            poor = {**self._view.poor, progress.run_id: self._poor(self._view, progress.run_id)}
            self._view = replace(self._view, pairs=pairs, poor=poor)
        changes: dict[str, object] = {"scores": scores} if scores is not None else {}
        self._change(  # told to nobody: a fast model answers thousands of times a second, the screen looks five times
            progress.run_id,
            is_told=False,
            state="running",
            ended=dict(progress.tally.ended),
            cached=progress.tally.cached,
            rate=progress.rate,
            left=progress.left,
            **changes,
        )

    def _show(self, view: View) -> None:
        self._tell(Moved(self, view))

    def _tell(self, message: Message) -> None:
        if not self._is_closed:
            self._post(message)


class _Listener:
    """Hears each answer, and computes scores only as often as they may be."""

    def __init__(self, evaluating: Evaluating, metrics: Sequence[Metric]) -> None:
        from palaver.tally import Pace

        self._evaluating, self._metrics, self._pace = evaluating, metrics, Pace()

    def hear(self, progress: Progress) -> None:
        from palaver.tally import LIVE_RESAMPLES

        if not self._pace.allows():
            self._evaluating.hear(progress, None, None)
            return
        started = time.monotonic()
        scores = tuple(progress.tally.corpus(one, resamples=LIVE_RESAMPLES) for one in self._metrics)
        self._evaluating.hear(progress, scores, self._metrics[0] if self._metrics else None)
        self._pace.took(time.monotonic() - started)


def _main(view: View) -> str:
    """The metric that comes first, and has a value."""
    scores = [score.score for one in view.lines for score in one.scores if score.score.value is not None]
    return scores[0].metric if scores else ""
