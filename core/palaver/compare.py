"""Compare systems on the same examples: the difference, what chance could have done, and what the set could show.

Pure: it takes scores that were made elsewhere, and knows no store and no model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from palaver.aligned import Answer, Column, align, column_of, warnings_about
from palaver.comparison import LABELS, Bucket, Comparison, Interval, MetricComparison, Pair, Settings, SystemScore
from palaver.errors import UsageError
from palaver.metric import Metric

if TYPE_CHECKING:
    from palaver.significance import Corpus, Floats

_EQUAL = 1e-9
"""Scores of one example that are closer than this are a tie."""


def compare(
    systems: Mapping[str, Mapping[str, Answer]], metrics: Sequence[Metric], settings: Settings | None = None
) -> Comparison:
    """The systems, by name, on the examples, by key, that all of them answered completely against the same references.

    Raises:
        UsageError: there are fewer than two systems.
    """
    if len(systems) < 2:
        raise UsageError("Comparing takes at least two systems.")
    settings = settings or Settings()
    aligned = align(systems)
    columns = [column_of(metric, systems, aligned.keys) for metric in metrics]
    # Metrics that scored the same examples share the random choices, and so one product of matrices.
    groups: dict[tuple[str, ...], list[Column]] = {}
    for column in columns:
        groups.setdefault(column.keys, []).append(column)
    found: dict[int, MetricComparison] = {}
    for group in groups.values():
        for column, result in zip(group, _compare_group(tuple(systems), group, settings), strict=True):
            found[id(column)] = result
    return Comparison(
        systems=tuple(systems),
        settings=settings,
        n=len(aligned.keys),
        dropped=aligned.dropped,
        metrics=tuple(found[id(column)] for column in columns),
        warnings=warnings_about(systems, aligned),
    )


@dataclass(frozen=True, slots=True)
class _Test:
    """What all pairs on one metric need. S systems, the other letters as in significance."""

    column: Column
    corpus: Corpus
    settings: Settings
    totals: Floats
    """Sums of statistics (S, K)."""
    values: Floats
    """Corpus scores (S,)."""
    resampled: Floats
    """Corpus scores (S, T) of the bootstrap; (S, 0) with fewer than two examples."""


def _compare_group(names: Sequence[str], group: Sequence[Column], settings: Settings) -> list[MetricComparison]:
    """The comparisons of columns that have the same examples."""
    import numpy as np

    from palaver.significance import swapped

    if not group[0].keys:
        return [_nothing(column, "no example was scored for all systems") for column in group]
    stats = np.concatenate([column.stats for column in group], axis=2)  # (S, N, K of all columns)
    ends = np.cumsum([column.stats.shape[2] for column in group])[:-1]
    drawn = np.split(_resampled(stats, settings), ends, axis=2)
    tests = [_tested(column, sums, settings) for column, sums in zip(group, drawn, strict=True)]
    pairs: list[list[Pair]] = [[] for _ in group]
    for one, other in combinations(range(len(names)), 2):
        moved = swapped(stats[one] - stats[other], settings.trials, np.random.default_rng([settings.seed, 1]))
        for test, sums, into in zip(tests, np.split(moved, ends, axis=1), pairs, strict=True):
            into.append(_pair(names, (one, other), test, sums))
    return [_whole(names, test, found) for test, found in zip(tests, pairs, strict=True)]


def _resampled(stats: Floats, settings: Settings) -> Floats:
    """Bootstrap sums (T, S, K) of statistics (S, N, K), the same examples for all systems; T is 0 with one example."""
    import numpy as np

    from palaver.significance import resampled

    systems, n, width = stats.shape
    if n < 2:
        return np.empty((0, systems, width))
    # Systems as differences from the first: what references alone decide is then 0, and costs nothing.
    apart = np.concatenate([stats[:1], stats[1:] - stats[:1]]).transpose(1, 0, 2).reshape(n, systems * width)
    drawn = resampled(apart, settings.resamples, np.random.default_rng([settings.seed, 0]))
    drawn = drawn.reshape(-1, systems, width)
    drawn[:, 1:] += drawn[:, :1]
    return drawn


def _nothing(column: Column, reason: str) -> MetricComparison:
    metric = column.metric
    return MetricComparison(metric.name, metric.title, metric.higher_is_better, "", 0, (), (), column.dropped, reason)


def _tested(column: Column, drawn: Floats, settings: Settings) -> _Test:
    """One metric's corpus scores of all examples, and of resampled sums (T, S, K)."""
    import numpy as np

    from palaver.significance import corpus_of

    corpus, n = corpus_of(column.metric, column.signature), len(column.keys)
    scores = [corpus(drawn[:, system], n) for system in range(drawn.shape[1])]
    totals = column.stats.sum(axis=1)
    return _Test(column, corpus, settings, totals, corpus(totals, n), np.array(scores))


def _whole(names: Sequence[str], test: _Test, pairs: Sequence[Pair]) -> MetricComparison:
    """One metric's comparison, its p-values corrected and its pairs decided."""
    from palaver.significance import holm

    column, metric, n = test.column, test.column.metric, len(test.column.keys)
    if not all(map(math.isfinite, test.values)):
        return _nothing(column, "it gives no corpus score")
    # Of all outputs together, so that what only a sum knows (was any text normalised?) holds for all systems.
    everything = test.totals.sum(axis=0).tolist()
    signature = metric.corpus(everything, n * len(names), column.signature).signature
    adjusted = holm([one.p for one in pairs])
    return MetricComparison(
        metric.name,
        metric.title,
        metric.higher_is_better,
        signature,
        n,
        tuple(
            SystemScore(name, float(value), _interval(resampled, test, sides=2))
            for name, value, resampled in zip(names, test.values, test.resampled, strict=True)
        ),
        tuple(_decided(one, p, test.settings.alpha) for one, p in zip(pairs, adjusted, strict=True)),
        column.dropped,
    )


def _pair(names: Sequence[str], which: tuple[int, int], test: _Test, moved: Floats) -> Pair:
    """Two systems, given the sums (T, K) that change sides in each trial; not yet decided."""
    from palaver import significance

    one, other = which
    column, settings, n = test.column, test.settings, len(test.column.keys)
    shuffled = test.corpus(test.totals[one] - moved, n) - test.corpus(test.totals[other] + moved, n)
    difference = float(test.values[one] - test.values[other])
    is_exact = significance.is_enumerable(n, settings.trials)
    p = significance.p_value(difference, shuffled, exact=is_exact)
    spread = test.resampled[one] - test.resampled[other]
    smallest = None
    if n > 1:
        smallest = significance.detectable(significance.standard_error(spread, n), settings.alpha, settings.power)
    gain = (column.values[one] - column.values[other]) * (1 if column.metric.higher_is_better else -1)
    wins, losses = int((gain > _EQUAL).sum()), int((gain < -_EQUAL).sum())
    return Pair(
        metric=column.metric.name,
        title=column.metric.title,
        higher_is_better=column.metric.higher_is_better,
        first=names[one],
        second=names[other],
        n=n,
        difference=difference,
        interval=_interval(spread, test, sides=2),
        one_sided=_interval(spread, test, sides=1),
        p=p,
        p_holm=p,
        trials=len(shuffled),
        is_exact=is_exact,
        better="",
        note="",
        smallest_detectable=smallest,
        more_examples=None if smallest is None else significance.more_examples(difference, smallest, n),
        wins=wins,
        ties=n - wins - losses,
        losses=losses,
        buckets=_buckets(which, test),
    )


def _interval(values: Floats, test: _Test, *, sides: int) -> Interval | None:
    from palaver.significance import interval

    if not len(values):
        return None
    low, high = interval(values, len(test.column.keys), 1 - test.settings.alpha * 2 / sides)
    return Interval(low, high) if math.isfinite(low) and math.isfinite(high) else None


def _decided(pair: Pair, adjusted: float, alpha: float) -> Pair:
    """The pair with its corrected p-value, and the better system only where interval and p-value both say so."""
    leaves_out_zero = pair.interval is not None and 0 not in pair.interval
    is_rare = adjusted <= alpha
    better = note = ""
    if leaves_out_zero and is_rare:
        better = pair.first if (pair.difference > 0) == pair.higher_is_better else pair.second
    elif leaves_out_zero:
        note = f"the interval leaves out 0, but p={adjusted:.3f} is over {alpha:g}"
    elif is_rare:
        held = "the interval holds 0" if pair.interval else "there is no interval"
        note = f"p={adjusted:.3f} is not over {alpha:g}, but {held}"
    return replace(pair, p_holm=adjusted, better=better, note=note)


def _buckets(which: tuple[int, int], test: _Test) -> tuple[Bucket, ...]:
    """The pair's scores by terciles of length; none where all examples are equally long."""
    import numpy as np

    lengths = test.column.lengths
    ends = np.quantile(lengths, [1 / 3, 2 / 3], method="inverted_cdf")
    place = np.searchsorted(ends, lengths)  # examples of one length stay together
    if len(np.unique(place)) < 2:
        return ()
    found: list[Bucket] = []
    for index, label in enumerate(LABELS):
        here = np.flatnonzero(place == index)
        if not len(here):
            continue
        first, second = test.corpus(test.column.stats[list(which)][:, here].sum(axis=1), len(here)).tolist()
        shortest, longest = int(lengths[here].min()), int(lengths[here].max())
        found.append(Bucket(label, len(here), shortest, longest, first, second))
    return tuple(found)
