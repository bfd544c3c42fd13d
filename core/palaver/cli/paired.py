"""Options of the commands that compare runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from palaver.cli.metrics import split_names
from palaver.cli.program import Program

if TYPE_CHECKING:
    from palaver.comparison import Comparison, Settings
    from palaver.runs import Report
    from palaver.store import Store

trials_option = click.option(
    "--trials",
    type=click.IntRange(100, 1_000_000),
    default=10_000,
    show_default=True,
    help="Random exchanges of answers behind each p-value.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=12345, show_default=True, help="The same seed gives the same numbers."
)


def compare_runs(
    program: Program, store: Store, runs: Sequence[int], metrics: Sequence[str], settings: Settings
) -> tuple[list[Report], Comparison]:
    """See `palaver.paired.compare_runs`; a metric that is given may be several with commas between them."""
    from palaver import paired

    return paired.compare_runs(program.registry, store, runs, split_names(metrics), settings)


def settings_of(trials: int, seed: int) -> Settings:
    """The settings that the options mean."""
    from palaver.comparison import Settings

    return Settings(trials=trials, seed=seed)
