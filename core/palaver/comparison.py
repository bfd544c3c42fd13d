"""What comparing systems found, as values that a screen, a report and JSON can show; and whether a change may pass."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from palaver.errors import UsageError

MINIMUM = 50
"""Examples below which a gate does not decide: what is rare may be missing, and resampling cannot show it."""

Label = Literal["short", "middle", "long"]
LABELS: tuple[Label, ...] = get_args(Label)
Decision = Literal["not_worse", "regression", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to test; all of it is printed or recorded, so that a result can be had again."""

    trials: int = 10_000
    """Of approximate randomization."""
    resamples: int = 2_000
    """Of the bootstrap, for the intervals."""
    seed: int = 12345
    """Each pair starts from it anew, so that a p-value does not depend on what else is compared."""
    alpha: float = 0.05
    """Chance of calling two equal systems different; intervals hold 1 - alpha."""
    power: float = 0.8
    """Chance of finding the smallest detectable difference."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From low to high, on the metric's own scale."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Examples that do not count, and why."""

    reason: str
    """`not answered`, `truncated`, `failed`, `cancelled`, `other references`, or why a metric has no score."""
    system: str
    """Whose answer it was, the first of them; empty when it was nobody's fault."""
    count: int


@dataclass(frozen=True, slots=True)
class SystemScore:
    """The corpus score of one system on the examples that count."""

    system: str
    value: float
    interval: Interval | None
    """None with fewer than two examples."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The corpus scores of a pair on the examples of similar length. Too few to test: a hint where to look."""

    label: Label
    n: int
    shortest: int
    """In the units of `Answer.length`; inclusive."""
    longest: int
    first: float
    second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two systems on one metric. All differences are first minus second, on the metric's own scale."""

    metric: str
    title: str
    higher_is_better: bool
    first: str
    second: str
    n: int
    difference: float
    interval: Interval | None
    """Holds the true difference with 1 - alpha; None with fewer than two examples."""
    one_sided: Interval | None
    """Each of its ends alone is a bound that holds with 1 - alpha: what a gate asks for."""
    p: float
    """Two-sided, by randomization."""
    p_holm: float
    """Corrected for the number of pairs."""
    trials: int
    is_exact: bool
    """All ways to swap outputs were tried, in place of random ones."""
    better: str
    """The system that is better beyond chance; empty when the two are not distinguishable."""
    note: str
    """Why they are not distinguishable, when the interval and the p-value say different things."""
    smallest_detectable: float | None
    """The true difference that such a set finds with a chance of `Settings.power`; None with under two examples."""
    more_examples: int | None
    """How many more are needed to find a difference as large as the observed one; None when no number would do."""
    wins: int
    """Examples on which `first` scores better. The sentence scores here are never averaged."""
    ties: int
    losses: int
    buckets: tuple[Bucket, ...]

    def flipped(self) -> Pair:
        """The same, as second minus first."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            difference=-self.difference,
            interval=-self.interval if self.interval else None,
            one_sided=-self.one_sided if self.one_sided else None,
            wins=self.losses,
            losses=self.wins,
            buckets=tuple(replace(one, first=one.second, second=one.first) for one in self.buckets),
        )


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """All systems on one metric."""

    metric: str
    title: str
    higher_is_better: bool
    signature: str
    n: int
    """Examples that all systems answered completely and that this metric scored for all."""
    scores: tuple[SystemScore, ...]
    pairs: tuple[Pair, ...]
    dropped: tuple[Dropped, ...] = ()
    """Beyond what the whole comparison dropped."""
    error: str = ""
    """Why there are no scores and pairs."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything there is to print; `dataclasses.asdict` makes it JSON."""

    systems: tuple[str, ...]
    settings: Settings
    n: int
    """Examples that all systems answered completely, against the same references."""
    dropped: tuple[Dropped, ...]
    """All other examples, each once."""
    metrics: tuple[MetricComparison, ...]
    warnings: tuple[str, ...] = ()
    """What makes these numbers say less than they seem to, in whole sentences."""

    def pair(self, metric: str, first: str, second: str) -> Pair:
        """Two systems on one metric, with differences as first minus second.

        Raises:
            UsageError: there is no such metric or system in this comparison, or it has no scores.
        """
        for found in self.metrics:
            if found.metric != metric:
                continue
            for one in found.pairs:
                if (one.first, one.second) == (first, second):
                    return one
                if (one.first, one.second) == (second, first):
                    return one.flipped()
            if found.error:
                raise UsageError(f"{found.title} cannot be compared: {found.error}.")
        raise UsageError(f"This comparison has no {metric} of {first} and {second}.")


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a change may pass."""

    decision: Decision
    reason: str
    """A whole sentence with the numbers."""


def gate(pair: Pair, *, margin: float, minimum: int = MINIMUM) -> Gate:
    """Whether `pair.first`, the candidate, is not worse than `pair.second` by more than `margin`.

    A test of non-inferiority: `not_worse` when the one-sided bound of what may be lost is within the margin,
    `regression` when even the least that may be lost is beyond it; each is wrong with a chance of alpha. All between,
    and all with fewer than `minimum` examples, is `inconclusive`.

    Raises:
        UsageError: the margin is negative or no number.
    """
    if not (math.isfinite(margin) and margin >= 0):
        raise UsageError(f"The margin is how much worse is acceptable, 0 or more, not {margin}.")
    bounds = pair.one_sided
    if pair.n < minimum or bounds is None:
        few = "1 example is" if pair.n == 1 else f"{pair.n} examples are"
        return Gate("inconclusive", f"{few} too few to decide; the least is {minimum}.")
    gain = bounds if pair.higher_is_better else -bounds
    lost = f"{pair.first} loses at most {max(-gain.low, 0):.2f} {pair.title} against {pair.second}"
    if gain.low >= -margin:
        return Gate("not_worse", f"{lost}, within the margin of {margin:g} (n={pair.n}).")
    least = f"{pair.first} loses at least {max(-gain.high, 0):.2f} {pair.title} against {pair.second}"
    if gain.high < -margin:
        return Gate("regression", f"{least}, beyond the margin of {margin:g} (n={pair.n}).")
    return Gate("inconclusive", f"{lost}, and the margin is {margin:g}: n={pair.n} cannot tell.")
