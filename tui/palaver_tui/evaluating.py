"""An evaluation off the screen's thread: model after model through the core, paused, stopped, taken up again."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from textual.message import Message

from palaver.errors import PalaverError, PluginFailed
from palaver_tui.progress import ModelLine, Poor, State, View, main_metric

if TYPE_CHECKING:
    from palaver.comparison import Pair
    from palaver.data import Dataset
    from palaver.evaluate import Progress
    from palaver.metric import Metric
    from palaver.runs import Plan
    from palaver.session import Session
    from palaver.tally import Tally

SHARE = 8
"""Live scores may take one part in so many of the time: they are what the user looks at."""
LOOK_SECONDS = 0.1
"""Between two looks whether there is something to score."""
WORST = 5
"""Examples with the lowest scores that are shown, and failed ones beside them."""
CLOSE_SECONDS = 2.0
"""How long a running evaluation has at the end to write what it has."""


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
        self._lock = threading.RLock()
        """Around each change of the view: one thread counts answers, another one scores them."""

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
            with _Listener(self, metrics) as listener:
                found = evaluation.run(self._cancel, listener.hear)
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
        main = main_metric(view)
        if len(runs) < 2 or not main:
            return ()
        _, found = compare_runs(self._registry, self._store, runs, (main,))
        return found.metrics[0].pairs if found.metrics else ()

    def _poor(self, view: View, run: int) -> tuple[Poor, ...]:
        """The lowest ones by the main metric, then those that failed last."""
        from palaver.store import parse_filter

        main, found = main_metric(view), []
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
        with self._lock:
            assert self._view is not None
            lines = tuple(
                replace(one, **changes) if one.run_id == run else one  # type: ignore[arg-type]
                for one in self._view.lines
            )
            self._view = replace(self._view, lines=lines)
        if is_told:
            self._show(self._view)

    def count(self, progress: Progress) -> None:
        """Another answer is there."""
        self._tallies[progress.model] = progress.tally
        self._change(  # told to nobody: a fast model answers thousands of times a second, the screen looks five times
            progress.run_id,
            is_told=False,
            state="running",
            ended=dict(progress.tally.ended),
            cached=progress.tally.cached,
            rate=progress.rate,
            left=progress.left,
        )

    def score(self, progress: Progress, metrics: Sequence[Metric]) -> None:
        """Compute the scores of what is there, the test against the other models, and the poorest answers."""
        from palaver.tally import LIVE_RESAMPLES, paired

        assert self._view is not None
        scores = tuple(progress.tally.corpus(one, resamples=LIVE_RESAMPLES) for one in metrics)
        shared = {one.model: self._tallies[one.model] for one in self._view.lines if one.model in self._tallies}
        pairs = paired(shared, metrics[0]) if len(shared) > 1 else ()
        self._change(progress.run_id, is_told=False, scores=scores)
        poor = self._poor(self._view, progress.run_id)
        with self._lock:
            self._view = replace(self._view, pairs=pairs, poor={**self._view.poor, progress.run_id: poor})

    def _show(self, view: View) -> None:
        self._tell(Moved(self, view))

    def _tell(self, message: Message) -> None:
        if not self._is_closed:
            self._post(message)


class _Listener:
    """Hears each answer in the thread that asks; a thread of its own scores, only as often as it may.

    A slow model may be silent for long after many answers that came at once, and these are to be scored meanwhile.
    """

    def __init__(self, evaluating: Evaluating, metrics: Sequence[Metric]) -> None:
        from palaver.tally import Pace

        self._evaluating, self._metrics, self._pace = evaluating, metrics, Pace(SHARE)
        self._last: Progress | None = None
        self._scored = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._score, name="palaver-evaluate-scores", daemon=True)

    def __enter__(self) -> _Listener:
        if self._metrics:
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        if self._metrics:
            self._thread.join()

    def hear(self, progress: Progress) -> None:
        """Another answer is there."""
        self._last = progress
        self._evaluating.count(progress)

    def _score(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            progress = self._last
            if progress is None or progress.tally.done == self._scored or not self._pace.allows():
                continue
            started, self._scored = time.monotonic(), progress.tally.done
            try:
                self._evaluating.score(progress, self._metrics)
            except Exception:  # a metric plugin may raise anything at all: the answers come all the same
                return
            self._pace.took(time.monotonic() - started)
