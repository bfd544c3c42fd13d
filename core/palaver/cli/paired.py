"""Runs of history side by side, for the commands that compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from palaver.cli.metrics import split_names
from palaver.cli.program import Program
from palaver.errors import UsageError

if TYPE_CHECKING:
    from palaver.aligned import Answer
    from palaver.comparison import Comparison, Settings
    from palaver.metric import Metric
    from palaver.runs import Report
    from palaver.store import Result, Store

trials_option = click.option(
    "--trials", type=click.IntRange(100, 1_000_000), default=10_000, show_default=True, help="Of the randomization."
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=12345, show_default=True, help="The same seed gives the same numbers."
)


def compare_runs(
    program: Program, store: Store, runs: Sequence[int], metrics: Sequence[str], settings: Settings
) -> tuple[list[Report], Comparison]:
    """The reports of runs, and their comparison on the examples that all of them answered.

    Raises:
        NotFound: no such run. BadInput: it is no evaluation. UsageError: the runs have nothing in common.
    """
    from palaver.compare import compare
    from palaver.runs import report

    if len(set(runs)) < len(runs):
        raise UsageError("A run is not compared with itself.")
    reports = [report(program.registry, store, run) for run in runs]
    tasks = {one.plan.task for one in reports}
    if len(tasks) > 1:
        raise UsageError(f"These runs are of different tasks: {', '.join(sorted(tasks))}.", fix="palaver compare")
    names = names_of(reports)
    systems = {
        name: answers_of(store.results(one.run_id), names, reports) for name, one in zip(names, reports, strict=True)
    }
    return reports, compare(systems, _metrics(program, reports, metrics), settings)


def _metrics(program: Program, reports: Sequence[Report], wanted: Sequence[str]) -> list[Metric]:
    plan, names = reports[0].plan, split_names(wanted)
    found = [metric for wants in (True, False) for metric in program.registry.metrics_for(plan.task, wants, names)]
    if names:
        return found
    scored = {one.score.metric for one in reports[0].scores if one.score.value is not None}
    return [metric for metric in found if metric.name in scored]


def names_of(reports: Sequence[Report]) -> list[str]:
    """The models' names, with the run where two runs have the same model."""
    models = [one.model for one in reports]
    return [one.model if models.count(one.model) == 1 else f"{one.model}#{one.run_id}" for one in reports]


def answers_of(results: Sequence[Result], names: Sequence[str], reports: Sequence[Report]) -> Mapping[str, Answer]:
    """A run's answers by example; of several seeds the first."""
    from palaver.aligned import Answer, Origin

    compared = {one.model: name for one, name in zip(reports, names, strict=True)}
    return {
        # Ids alone could be line numbers of two different files.
        f"{one.example_id}:{one.inputs}": Answer(
            {score.metric: score for score in one.scores},
            one.reference_set,
            one.status,
            one.length,
            tuple(Origin(kind, compared.get(author, author)) for kind, author in one.origins),
        )
        for one in results
        if one.epoch == 0
    }


def settings_of(trials: int, seed: int) -> Settings:
    """The settings that the options mean."""
    from palaver.comparison import Settings

    return Settings(trials=trials, seed=seed)
