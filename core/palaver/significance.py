"""Resample summed statistics: randomization tests, intervals, Holm's correction, and what a set can detect at all.

Letters: N examples, K statistics of one example, T trials or resamples. A corpus score is a function of the K sums, so
that each trial is one row of a matrix product, and all trials are scored at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from palaver.metric import Metric, VectorMetric

Floats = NDArray[np.float64]
Corpus = Callable[[Floats, int], Floats]
"""Corpus scores (T,) of T sums of statistics (T, K) over a number of examples."""

_BLOCK = 500_000
"""Cells of a block of the (T, N) matrix of choices: 4 MB stay in the cache."""
_SAME = 1e-9
"""Differences that are closer than this share are equal: sums in another order differ in the last bits."""


def corpus_of(metric: Metric, signature: str) -> Corpus:
    """The metric's `corpus_values`, or its `corpus` a row at a time; NaN where it gives no value."""
    if isinstance(metric, VectorMetric):
        return metric.corpus_values

    def row_by_row(stats: Floats, n: int) -> Floats:
        values = (metric.corpus(row, n, signature).value for row in stats.tolist())
        return np.array([math.nan if value is None else value for value in values])

    return row_by_row


def is_enumerable(n: int, trials: int) -> bool:
    """Whether `n` examples can be swapped in so few ways that all are tried and the test is exact."""
    return n <= 62 and 2**n <= trials


def swapped(difference: Floats, trials: int, generator: np.random.Generator) -> Floats:
    """Sums (T, K) of the rows of `difference` (N, K) that change sides, each with probability 1/2 in each trial.

    `difference` is first minus second system: their swapped sums are `first - swapped` and `second + swapped`. Where it
    `is_enumerable` each of the 2^N ways occurs once, the one that swaps nothing first; `generator` is then not used.
    """
    n = len(difference)
    if is_enumerable(n, trials):
        ways = np.arange(2**n)[:, None] >> np.arange(n) & 1  # (2^N, N)
        return ways.astype(np.float64) @ difference

    def toss(count: int) -> NDArray[np.uint8]:
        coins = np.frombuffer(generator.bytes(count * (-(-n // 8))), np.uint8).reshape(count, -1)
        return np.unpackbits(coins, axis=1, count=n)

    return _summed(toss, trials, difference, float(np.abs(difference).sum(axis=0).max()))


def resampled(stats: Floats, resamples: int, generator: np.random.Generator) -> Floats:
    """Sums (T, K) of N rows of `stats` (N, K), drawn with replacement: the bootstrap (Efron 1979)."""
    n = len(stats)

    def draw(count: int) -> NDArray[np.int64]:
        drawn = generator.integers(n, size=(count, n)) + np.arange(0, count * n, n)[:, None]
        return np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n)

    return _summed(draw, resamples, stats, n * float(np.abs(stats).max()))


def p_value(observed: float, shuffled: Floats, *, exact: bool) -> float:
    """Two-sided p-value of an observed difference among those (T,) of randomly swapped systems.

    (c + 1) / (T + 1), where c trials are at least as far from 0 (Noreen 1989; Riezler and Maxwell 2005). An exact test
    has the observed difference among its trials: c / T. A trial without a value counts against a difference.
    """
    reach = abs(observed) * (1 - _SAME)
    as_far = len(shuffled) - int(np.count_nonzero(np.abs(shuffled) < reach))
    return as_far / len(shuffled) if exact else (as_far + 1) / (len(shuffled) + 1)


def interval(values: Floats, n: int, level: float) -> tuple[float, float]:
    """The expanded percentile interval of bootstrap values (T,) from `n` examples; its ends are two of them.

    The percentile interval is narrow by the factor sqrt((n - 1) / n) and knows normal, not Student's, tails. Hesterberg
    (2015, "What Teachers Should Know About the Bootstrap", 5.2) takes wider percentiles to make up for both. In
    simulations on captions with `level` 0.95 (tests/bench/bench_compare.py --coverage) it held the true difference of
    corpora 94 to 96 % of the time, with 20, 50 and 200 examples; percentile and BCa held it 91 to 93 % with 20, and
    BCa, which corrects a bias that differences of BLEU, chrF and ROUGE do not show, was not better with more.
    """
    wide = math.sqrt(n / (n - 1)) * student_quantile((1 + level) / 2, n - 1)
    left_out = int(NormalDist().cdf(-wide) * len(values))  # on each side, so that swapping two systems mirrors it
    ordered = np.sort(values)
    return float(ordered[left_out]), float(ordered[-1 - left_out])


def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t, within 0.2 % between the 2.5th and 97.5th percentile."""
    if freedom == 1:
        return math.tan(math.pi * (probability - 0.5))
    if freedom == 2:
        return (2 * probability - 1) / math.sqrt(2 * probability * (1 - probability))
    z = NormalDist().inv_cdf(probability)
    terms = (  # Abramowitz and Stegun 1964, 26.7.5
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum((z, *(term / freedom**power for power, term in enumerate(terms, 1))))


def standard_error(values: Floats, n: int) -> float:
    """Of the statistic whose bootstrap values (T,) come from `n` examples, with the same correction for small n."""
    return float(values.std()) * math.sqrt(n / (n - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, corrected for their number (Holm 1979): the smallest of m counts m times, the next m - 1 times."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def detectable(error: float, alpha: float, power: float) -> float:
    """The smallest true difference that a two-sided test at `alpha` finds with probability `power`."""
    return (NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)) * error


def more_examples(difference: float, smallest: float, n: int) -> int | None:
    """How many more examples like these would make `difference` detectable; None when no number would.

    The error of a mean falls with the square root of n.
    """
    if smallest <= abs(difference):
        return 0
    share = abs(difference) / smallest
    if not share >= 1e-6:  # no set is a million million times as large; nor does one help without a number
        return None
    return math.ceil(n / share**2) - n


def _summed(choose: Callable[[int], NDArray[np.integer]], trials: int, rows: Floats, most: float) -> Floats:
    """Sums (T, K) of `rows` (N, K), each as often as `choose` says: it gives the next (count, N) numbers of times.

    No sum of absolute values in a column is over `most`.
    """
    n = len(rows)
    used = rows.any(axis=0)  # lengths of references, for one, are the same for all systems: their differences are 0
    # Whole numbers that sum to less than 2^24 are exact in single precision, which takes half the time.
    is_small = most < 2**24 and bool((rows == np.rint(rows)).all())
    kind = np.float32 if is_small else np.float64
    kept = rows[:, used].astype(kind)
    size = max(1, min(_BLOCK // n, trials))
    times, sums = np.empty((size, n), kind), np.zeros((trials, rows.shape[1]))
    for start in range(0, trials, size):
        count = min(size, trials - start)
        times[:count] = choose(count)  # into one buffer: fresh memory costs more than the product
        sums[start : start + count, used] = times[:count] @ kept
    return sums
