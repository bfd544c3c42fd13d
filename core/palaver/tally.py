"""Corpus scores of a growing set of answers: sums of statistics with their intervals, in any order of arrival."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from palaver.aligned import Answer
from palaver.comparison import Interval, Pair, Settings
from palaver.metric import Metric, Score

LIVE_RESAMPLES = 200
"""Of the interval that is shown while an evaluation runs."""
LIVE_TRIALS = 1_000
"""Of the test that is shown while an evaluation runs."""
LIVE_SECONDS = 1.0
"""At least so long lies between two computations of what is shown while an evaluation runs."""
SHARE = 50
"""What is shown live may take one part in so many of the time."""


@dataclass(frozen=True, slots=True)
class CorpusScore:
    """One metric over all complete answers."""

    score: Score
    """Of all epochs together; `n` counts outputs."""
    interval: Interval | None
    """95 %, by the bootstrap over examples; None with fewer than two."""
    examples: int
    epochs: tuple[float, ...] = ()
    """The score of each repetition with another seed; empty without repetitions."""
    left_out: int = 0
    """Complete answers that this metric could not score, or scored with another signature."""

    @property
    def spread(self) -> float | None:
        """Standard deviation over the repetitions."""
        if len(self.epochs) < 2:
            return None
        mean = math.fsum(self.epochs) / len(self.epochs)
        return math.sqrt(math.fsum((one - mean) ** 2 for one in self.epochs) / (len(self.epochs) - 1))


@dataclass(slots=True)
class Tally:
    """Counts how answers ended, and keeps the statistics of the complete ones."""

    repeat: int = 1
    ended: Counter[str] = field(default_factory=Counter)
    """By status."""
    cached: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    """That models took, all answers added up; for cached ones nothing."""
    _scores: dict[str, dict[tuple[str, int], Score]] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Answers, whatever became of them."""
        return self.ended.total()

    def add(
        self,
        key: tuple[str, int],
        status: str,
        scores: Sequence[Score],
        *,
        is_cached: bool = False,
        seconds: float | None = None,
        output_tokens: int | None = None,
    ) -> None:
        """One more answer: of an example, in an epoch."""
        self.ended[status] += 1
        if is_cached:
            self.cached += 1
        else:
            self.seconds += seconds or 0.0
            self.output_tokens += output_tokens or 0
        if status == "complete":
            for score in scores:
                self._scores.setdefault(score.metric, {})[key] = score

    def corpus(self, metric: Metric, *, resamples: int = Settings().resamples) -> CorpusScore:
        """The corpus score so far: of the examples that are complete in every epoch."""
        found = self._scores.get(metric.name, {}).copy()  # another thread may go on adding
        usable = {key: one for key, one in found.items() if one.value is not None and one.stats}
        common = Counter(one.corpus_signature for one in usable.values()).most_common(1)
        signature = common[0][0] if common else ""
        usable = {key: one for key, one in usable.items() if one.corpus_signature == signature}
        times = Counter(example for example, _ in usable)
        examples = sorted(example for example, count in times.items() if count == self.repeat)
        if not examples:
            reasons = Counter(one.error for one in found.values() if one.error).most_common(1)
            reason = reasons[0][0] if reasons else "no statistics to sum" if found else "no scored outputs"
            empty = Score(metric.name, metric.title, None, metric.title, n=0, error=reason)
            return CorpusScore(empty, None, 0, left_out=len(found))
        rows = [[usable[example, epoch].stats for example in examples] for epoch in range(self.repeat)]
        epochs = [metric.corpus(_sums(one), len(one), signature) for one in rows]
        whole = metric.corpus(_sums([row for one in rows for row in one]), len(examples) * self.repeat, signature)
        return CorpusScore(
            whole,
            _interval(rows, metric, signature, resamples) if len(examples) > 1 else None,
            len(examples),
            tuple(one.value for one in epochs if one.value is not None) if self.repeat > 1 else (),
            len(found) - len(examples) * self.repeat,
        )

    def answers(self, metric: str) -> dict[str, Answer]:
        """The complete answers of the first epoch by example, with their score by one metric."""
        found = self._scores.get(metric, {}).copy()
        return {example: Answer({metric: score}, "") for (example, epoch), score in found.items() if epoch == 0}


def paired(tallies: Mapping[str, Tally], metric: Metric) -> tuple[Pair, ...]:
    """The paired tests of growing systems, by name, on the examples of one data set that all have answered so far.

    With fewer trials than a comparison at the end, and looked at many times: it says whether a winner is in sight.
    """
    from palaver.compare import compare  # numpy, 0.1 s

    systems = {name: tally.answers(metric.name) for name, tally in tallies.items()}
    settings = Settings(trials=LIVE_TRIALS, resamples=LIVE_RESAMPLES)
    return compare(systems, [metric], settings).metrics[0].pairs


class Pace:
    """Says when something that takes long may be computed anew: at most once a second, and for a small share of it.

    One part in `share` of the time; more where it is computed beside the work and not in its place.
    """

    def __init__(self, share: int = SHARE) -> None:
        self._share = share
        self._next = 0.0

    def allows(self) -> bool:
        """Whether it is time."""
        return time.monotonic() >= self._next

    def took(self, seconds: float) -> None:
        """It was computed in so many seconds."""
        self._next = time.monotonic() - seconds + max(LIVE_SECONDS, self._share * seconds)


def _sums(rows: Sequence[Sequence[float]]) -> list[float]:
    # fsum: the sum does not depend on the order in which answers came.
    return [math.fsum(column) for column in zip(*rows, strict=True)]


def _interval(
    rows: Sequence[Sequence[tuple[float, ...]]], metric: Metric, signature: str, resamples: int
) -> Interval | None:
    """Of the corpus score of statistics by epoch and example; examples are drawn, each with all its epochs."""
    import numpy as np  # 0.1 s: paid by whoever scores a corpus

    from palaver.significance import corpus_of, interval, resampled

    stats = np.array(rows, np.float64).sum(axis=0)  # (N, K)
    drawn = resampled(stats, resamples, np.random.default_rng([Settings().seed, 0]))
    values = corpus_of(metric, signature)(drawn, len(stats) * len(rows))
    low, high = interval(values, len(stats), 0.95)
    return Interval(low, high) if math.isfinite(low) and math.isfinite(high) else None
