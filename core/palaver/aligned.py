"""Bring the answers of several systems to the same examples, and count what is left out and what may mislead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from palaver.comparison import MINIMUM, Dropped
from palaver.metric import Metric, Score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a reference came from."""

    kind: str
    """`written`, `imported`, `post-edit` or `model`, as the store has it."""
    system: str = ""
    """Whose output was edited, or who wrote it, by the name that it is compared under; empty for people."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one system gave for one example."""

    scores: Mapping[str, Score]
    """By the metric's name."""
    references: str
    """A name of the set of references that the scores are against, as `palaver.store.rows.reference_set` makes it."""
    status: str = "complete"
    """As the store has it; only complete answers are compared."""
    length: int = 0
    """Of the reference, or of the input where there is none, in any one unit: what the length buckets go by."""
    origins: tuple[Origin, ...] = ()
    """Of its references."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """The examples that count."""

    keys: tuple[str, ...]
    """Sorted: results do not depend on the order in which examples were answered."""
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One metric's scores on the examples that it scored for all systems. S systems, N examples, K statistics."""

    metric: Metric
    signature: str
    """Of the corpus scores that the statistics sum to."""
    keys: tuple[str, ...]
    stats: NDArray[np.float64]
    """(S, N, K)"""
    values: NDArray[np.float64]
    """Scores of single examples (S, N)."""
    lengths: NDArray[np.int64]
    """Of the examples (N,)."""
    dropped: tuple[Dropped, ...]


@dataclass(slots=True)
class _Sieve:
    """Counts why examples fall through."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def drop(self, reason: str, system: str = "") -> None:
        self.counts[reason, system] += 1

    def dropped(self) -> tuple[Dropped, ...]:
        return tuple(Dropped(reason, system, count) for (reason, system), count in sorted(self.counts.items()))


def align(systems: Mapping[str, Mapping[str, Answer]]) -> Aligned:
    """The examples that every system answered completely against the same references."""
    sieve = _Sieve()
    keys: list[str] = []
    for key in sorted({key for answers in systems.values() for key in answers}):
        given = [(name, answers.get(key)) for name, answers in systems.items()]
        missing = next((name for name, answer in given if answer is None), None)
        unfinished = next(((one.status, name) for name, one in given if one and one.status != "complete"), None)
        if missing is not None:
            sieve.drop("not answered", missing)
        elif unfinished:
            sieve.drop(*unfinished)
        elif len({one.references for _, one in given if one}) > 1:
            sieve.drop("other references")
        else:
            keys.append(key)
    return Aligned(tuple(keys), sieve.dropped())


def column_of(metric: Metric, systems: Mapping[str, Mapping[str, Answer]], keys: Sequence[str]) -> Column:
    """The statistics of one metric on those of `keys` that it scored for all systems with one corpus signature."""
    import numpy as np  # 0.1 s: paid by whoever compares

    sieve = _Sieve()
    scored: dict[str, list[Score]] = {}
    for key in keys:
        row = [answers[key].scores.get(metric.name) for answers in systems.values()]
        bad = next((pair for pair in zip(row, systems, strict=True) if _unusable(pair[0])), None)
        if bad:
            sieve.drop(_unusable(bad[0]), bad[1])
        elif len({one.corpus_signature for one in row if one}) > 1:
            sieve.drop("other signature")
        else:
            scored[key] = [one for one in row if one]
    # Statistics of two tokenizers do not sum: the signature of most examples counts.
    common = Counter(row[0].corpus_signature for row in scored.values()).most_common(1)
    signature = common[0][0] if common else ""
    for key in [key for key, row in scored.items() if row[0].corpus_signature != signature]:
        del scored[key]
        sieve.drop("other signature")
    rows = list(scored.values())
    first = next(iter(systems.values()))
    return Column(
        metric,
        signature,
        tuple(scored),
        np.array([[one.stats for one in row] for row in rows], np.float64).swapaxes(0, 1)
        if rows
        else np.empty((0, 0, 0)),
        np.array([[one.value for one in row] for row in rows], np.float64).T,
        np.array([first[key].length for key in scored], np.int64),
        sieve.dropped(),
    )


def _unusable(score: Score | None) -> str:
    if score is None:
        return "not scored"
    if score.value is None:
        return score.error or "not scored"
    return "" if score.stats else "no statistics to sum"


def warnings_about(systems: Mapping[str, Mapping[str, Answer]], aligned: Aligned) -> tuple[str, ...]:
    """What makes a comparison on these examples say less than it seems to, in whole sentences."""
    n = len(aligned.keys)
    found: list[str] = []
    if 0 < n < MINIMUM:
        few = (
            "1 example: a p-value of one says nothing"
            if n == 1
            else f"{n} examples: intervals and p-values of so few are rough"
        )
        found.append(f"Only {few}.")
    for one in aligned.dropped:
        if one.system and one.reason != "not answered":
            left_out = "1 answer of {0} is" if one.count == 1 else f"{one.count:,} answers of {{0}} are"
            found.append(
                f"{left_out.format(one.system)} left out ({one.reason}): if hard examples are among them, "
                f"the comparison favours {one.system}."
            )
    kinds: Counter[str] = Counter()
    favoured: Counter[tuple[str, str]] = Counter()
    for key in aligned.keys:
        origins = {origin for answers in systems.values() for origin in answers[key].origins}
        kinds.update({origin.kind for origin in origins})
        favoured.update({(one.system, one.kind) for one in origins if one.system in systems})
    for (system, kind), count in sorted(favoured.items()):
        how = "written by" if kind == "model" else "made by editing answers of"
        found.append(f"References of {count:,} of {n:,} examples were {how} {system}: they favour {system}.")
    if len(kinds) > 1:
        mix = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        found.append(
            f"References come from several origins ({mix}): those added because an answer was bad are no random sample."
        )
    return tuple(found)
