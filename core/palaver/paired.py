"""Runs of history side by side: the same examples, the same references, every metric, and the segments one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from palaver.aligned import Answer, Origin, align
from palaver.compare import compare
from palaver.comparison import Comparison, Settings
from palaver.errors import UsageError
from palaver.metric import Metric
from palaver.registry import Registry
from palaver.runs import Report, report
from palaver.store import Result, Store


@dataclass(frozen=True, slots=True)
class Segment:
    """One example that both of two runs answered completely against the same references."""

    example_id: str
    turns: tuple[int, int]
    """The turns of the first and of the second run."""
    values: Mapping[str, tuple[float, float]]
    """Sentence scores of both by metric, on the metric's own scale. They are never averaged."""

    def gap(self, metric: str) -> float:
        """First minus second; 0 where the metric did not score both."""
        first, second = self.values.get(metric, (0.0, 0.0))
        return first - second


def compare_runs(
    registry: Registry,
    store: Store,
    runs: Sequence[int],
    metrics: Sequence[str] = (),
    settings: Settings | None = None,
) -> tuple[list[Report], Comparison]:
    """The reports of runs, and their comparison on the examples that all of them answered; `metrics` else the runs'.

    Raises:
        NotFound: no such run. BadInput: it is no evaluation. UsageError: the runs have nothing in common.
    """
    if len(set(runs)) < len(runs):
        raise UsageError("A run is not compared with itself.")
    reports = [report(registry, store, run) for run in runs]
    tasks = {one.plan.task for one in reports}
    if len(tasks) > 1:
        raise UsageError(f"These runs are of different tasks: {', '.join(sorted(tasks))}.", fix="palaver compare")
    names = names_of(reports)
    systems = {
        name: answers_of(store.results(one.run_id), names, reports) for name, one in zip(names, reports, strict=True)
    }
    return reports, compare(systems, _metrics(registry, reports, metrics), settings)


def segments(store: Store, first: int, second: int) -> list[Segment]:
    """The examples that count when two runs are compared, in the order in which the first run answered them."""
    return [_segment(one, other) for one, other in together(store, (first, second))]


def together(store: Store, runs: Sequence[int]) -> list[tuple[Result, ...]]:
    """The results of the examples that count when runs are compared, in the order in which the first answered them."""
    found = [{_key(one): one for one in store.results(run) if one.epoch == 0} for run in runs]
    answers = {
        str(run): {key: _answer(one, {}) for key, one in each.items()} for run, each in zip(runs, found, strict=True)
    }
    kept = set(align(answers).keys)
    return [tuple(results[key] for results in found) for key in found[0] if key in kept]


def _segment(one: Result, other: Result) -> Segment:
    theirs = {score.metric: score.value for score in other.scores}
    values = {
        score.metric: (score.value, value)
        for score in one.scores
        if score.value is not None and (value := theirs.get(score.metric)) is not None
    }
    return Segment(one.example_id, (one.turn_id, other.turn_id), values)


def _metrics(registry: Registry, reports: Sequence[Report], wanted: Sequence[str]) -> list[Metric]:
    task = reports[0].plan.task
    found = [metric for wants in (True, False) for metric in registry.metrics_for(task, wants, wanted)]
    if wanted:
        return found
    scored = {one.score.metric for one in reports[0].scores if one.score.value is not None}
    return [metric for metric in found if metric.name in scored]


def names_of(reports: Sequence[Report]) -> list[str]:
    """The models' names, with the run where two runs have the same model."""
    models = [one.model for one in reports]
    return [one.model if models.count(one.model) == 1 else f"{one.model}#{one.run_id}" for one in reports]


def answers_of(results: Sequence[Result], names: Sequence[str], reports: Sequence[Report]) -> Mapping[str, Answer]:
    """A run's answers by example; of several seeds the first."""
    compared = {one.model: name for one, name in zip(reports, names, strict=True)}
    return {_key(one): _answer(one, compared) for one in results if one.epoch == 0}


def _key(result: Result) -> str:
    # Ids alone could be line numbers of two different files.
    return f"{result.example_id}:{result.inputs}"


def _answer(one: Result, compared: Mapping[str, str]) -> Answer:
    return Answer(
        {score.metric: score for score in one.scores},
        one.reference_set,
        one.status,
        one.length,
        tuple(Origin(kind, compared.get(author, author)) for kind, author in one.origins),
    )
