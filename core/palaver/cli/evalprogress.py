"""How far an evaluation is: a line that is rewritten on a terminal, else a line every ten seconds, or JSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from palaver.cli.output import Progress as Line
from palaver.cli.output import to_json, write
from palaver.cli.program import Program
from palaver.cli.waiting import Waiting
from palaver.evaluate import Evaluation, Progress
from palaver.metric import Metric
from palaver.present import format_seconds, format_value
from palaver.runs import metrics_of
from palaver.tally import LIVE_RESAMPLES, CorpusScore, Pace

REPORT_SECONDS = 10.0
"""Between two lines where there is no terminal."""
DRAW_SECONDS = 0.1
JSON_SECONDS = 1.0


class EvalProgress:
    """Tells on stderr how far one run is."""

    def __init__(self, program: Program, mode: str) -> None:
        self._output = program.output
        self._line = Line(program.output)
        is_rewritten = mode == "auto" and self._line.is_shown
        self._mode = "rewritten" if is_rewritten else "plain" if mode == "auto" else mode
        self._seconds = {"rewritten": DRAW_SECONDS, "json": JSON_SECONDS}.get(self._mode, REPORT_SECONDS)
        self._told = time.monotonic()
        self._pace = Pace()
        self._score: CorpusScore | None = None
        self._metric: Metric | None = None
        self._last: Progress | None = None
        if is_rewritten:
            self._waiting = Waiting(self._line.show)
        else:
            self._waiting = Waiting(self._output.talk, REPORT_SECONDS)

    def start(self, evaluation: Evaluation) -> None:
        """The run begins; what stands beside the counts is its main metric."""
        has_references = any(one.references for one in evaluation.dataset.examples)
        metrics = metrics_of(evaluation.registry, evaluation.plan, has_references)
        self._metric = metrics[0] if metrics else None
        if self._mode != "json":
            self._output.talk(f"run {evaluation.run_id}: {evaluation.info.name}")
        if self._mode in ("rewritten", "plain"):
            self._waiting.begin(f"{evaluation.info.name} · waiting for the first answer")

    def show(self, progress: Progress) -> None:
        """Another answer is there."""
        self._last = progress
        self._waiting.end()
        now = time.monotonic()
        if self._mode == "none" or now - self._told < self._seconds:
            return
        self._told = now
        self._tell(progress)

    def end(self) -> None:
        """The run is over."""
        self._waiting.end()
        self._line.clear()
        if self._mode == "json" and self._last is not None:
            self._pace = Pace()
            self._tell(self._last)

    def _tell(self, progress: Progress) -> None:
        score = self._live(progress)
        if self._mode == "json":
            write(sys.stderr, to_json(progress_record(progress, score)) + "\n")
        elif self._mode == "rewritten":
            self._line.show(progress_line(progress, score))
        else:
            self._output.talk(progress_line(progress, score))

    def _live(self, progress: Progress) -> CorpusScore | None:
        """The score so far, computed anew only when it is cheap beside the work."""
        if self._metric is not None and self._pace.allows():
            started = time.monotonic()
            self._score = progress.tally.corpus(self._metric, resamples=LIVE_RESAMPLES)
            self._pace.took(time.monotonic() - started)
        return self._score


def progress_line(progress: Progress, score: CorpusScore | None) -> str:
    """`lexrank · 74/618 · 8.3/s · 1:05 left · 1 failed · R-1 28.1 [27.0, 29.2] n=74`."""
    parts = [progress.model, f"{progress.tally.done:,}/{progress.total:,}"]
    if progress.rate:
        parts.append(f"{progress.rate:.1f}/s" if progress.rate >= 1 else f"{progress.rate * 60:.1f}/min")
    if progress.left is not None:
        parts.append(f"{format_seconds(progress.left)} left")
    parts += [f"{count} {status}" for status, count in sorted(progress.tally.ended.items()) if status != "complete"]
    if progress.tally.cached:
        parts.append(f"{progress.tally.cached} cached")
    if score is not None and score.score.value is not None:
        parts.append(f"{score.score.title} {with_interval(score)} n={score.score.n}")
    return " · ".join(parts)


def with_interval(score: CorpusScore) -> str:
    """`28.1 [27.0, 29.2]`."""
    name = score.score.metric
    shown = format_value(name, score.score.value)
    if score.interval is None:
        return shown
    return f"{shown} [{format_value(name, score.interval.low)}, {format_value(name, score.interval.high)}]"


def progress_record(progress: Progress, score: CorpusScore | None) -> Mapping[str, object]:
    """The same as `palaver.progress/1`."""
    from palaver.cli.reports import score_record

    return {
        "schema": "palaver.progress/1",
        "run": progress.run_id,
        "model": progress.model,
        "done": progress.tally.done,
        "total": progress.total,
        "ended": dict(progress.tally.ended),
        "cached": progress.tally.cached,
        "rate": progress.rate,
        "left_seconds": progress.left,
        "scores": [score_record(score)] if score is not None else [],
    }
