"""`palaver compare`: which run is better, and whether chance could have done it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import combinations
from typing import TYPE_CHECKING

import click

from palaver.cli.history import when
from palaver.cli.judge import judgement, record_of, told
from palaver.cli.output import table
from palaver.cli.paired import compare_runs, seed_option, settings_of, trials_option
from palaver.cli.program import Program, color_option, complete_metrics, complete_models, json_option, pass_program
from palaver.cli.stop import STOPPED
from palaver.errors import UsageError
from palaver.present import format_value

if TYPE_CHECKING:
    from palaver.comparison import Comparison, Interval, MetricComparison, Pair
    from palaver.store import Store

LISTED = 20
"""Evaluations that are listed without a run's number."""


@click.command("compare")
@click.argument("runs", nargs=-1, type=int, metavar="[RUN]...")
@click.option(
    "--metric", "metrics", multiple=True, metavar="A,B", shell_complete=complete_metrics, help="Else those of the runs."
)
@click.option(
    "--judge",
    default="",
    metavar="MODEL",
    shell_complete=complete_models,
    help="Also ask MODEL which answer is better, in both orders.",
)
@trials_option
@seed_option
@json_option
@color_option
@pass_program
@click.pass_context
def command(
    context: click.Context,
    program: Program,
    runs: tuple[int, ...],
    metrics: tuple[str, ...],
    judge: str,
    trials: int,
    seed: int,
    as_json: bool,
) -> None:
    """Compare evaluations by their numbers; without one, list them; with one, show it.

    Only examples that all runs answered completely, against the same references, count. A difference is called one
    only if its interval leaves out 0 and the p-value, corrected for the number of pairs, is at most 0.05.
    """
    if judge and len(runs) < 2:
        raise UsageError("A judge compares the answers of at least two runs.", fix="palaver compare")
    with program.history() as store:
        if not runs:
            _list(program, store, as_json=as_json)
        elif len(runs) == 1:
            _show(program, store, runs[0], as_json=as_json)
        else:
            settings = settings_of(trials, seed)
            reports, found = compare_runs(program, store, runs, metrics, settings)
            verdicts = judgement(program, store, judge, reports, settings) if judge else None
            if as_json:
                ids = [one.run_id for one in reports]
                judged = {"judge": record_of(verdicts)} if verdicts else {}
                program.output.record({"schema": "palaver.compare/1", "runs": ids, **asdict(found), **judged})
            else:
                program.output.show(text_of(found) + (f"\n\n{told(verdicts)}" if verdicts else ""))
            if judge and verdicts is None:
                program.output.talk("The judge was stopped; what it has said is kept, and is not asked again.")
                context.exit(STOPPED)


def _list(program: Program, store: Store, *, as_json: bool) -> None:
    runs = store.runs(kind="eval", limit=LISTED)
    if as_json:
        rows = [{"id": one.id, "created": one.created, "answers": one.turns, "plan": dict(one.plan)} for one in runs]
        program.output.record({"schema": "palaver.runs/1", "runs": rows})
        return
    shown = [
        (
            str(one.id),
            when(one.created),
            str(one.plan.get("task", "")),
            str(one.plan.get("model", "")),
            f"{one.turns:,}" + ("" if one.finished else " so far"),
            str(one.plan.get("name", "")),
        )
        for one in runs
    ]
    if shown:
        program.output.show(table(("run", "when", "task", "model", "answers", "data set"), shown, right={0}))
    else:
        program.output.talk("Nothing has been evaluated yet: palaver eval --help")


def _show(program: Program, store: Store, run: int, *, as_json: bool) -> None:
    from palaver.cli.reports import run_record, score_table
    from palaver.runs import report

    found = report(program.registry, store, run)
    if as_json:
        program.output.record({"schema": "palaver.run-report/1", **run_record(found)})
    else:
        program.output.show(score_table([found]))


def text_of(found: Comparison) -> str:
    """A comparison for people."""
    examples = "1 example" if found.n == 1 else f"{found.n:,} examples"
    lines = [f"{examples} that all of {', '.join(found.systems)} answered, against the same references"]
    for one in found.dropped:
        lines.append(f"left out: {one.count:,} · {one.reason}" + (f" ({one.system})" if one.system else ""))
    for first, second in combinations(found.systems, 2):
        rows = [
            _row(pair, {one.system: one.value for one in metric.scores})
            for metric in found.metrics
            for pair in metric.pairs
            if (pair.first, pair.second) == (first, second)
        ]
        if rows:
            head = ("metric", first, second, "difference, 95 %", "p", "win tie lose", "better")
            lines += ["", table(head, rows, whole=range(1, 6))]
    lines += ["", *(note for metric in found.metrics for note in _notes(metric))]
    lines += [f"warning: {one}" for one in found.warnings]
    settings = found.settings
    lines.append(
        f"approximate randomization, {settings.trials:,} trials, Holm's correction; intervals by "
        f"{settings.resamples:,} resamples; seed {settings.seed}"
    )
    return "\n".join(lines)


def _row(pair: Pair, scores: Mapping[str, float]) -> tuple[str, ...]:
    return (
        pair.title,
        format_value(pair.metric, scores[pair.first]),
        format_value(pair.metric, scores[pair.second]),
        _between(pair.metric, pair.difference, pair.interval),
        f"{pair.p_holm:.4f}",
        f"{pair.wins} {pair.ties} {pair.losses}",
        pair.better or "neither",
    )


def _between(metric: str, value: float, interval: Interval | None) -> str:
    shown = format_value(metric, value)
    if interval is None:
        return shown
    return f"{shown} [{format_value(metric, interval.low)}, {format_value(metric, interval.high)}]"


def _notes(metric: MetricComparison) -> list[str]:
    """What belongs to one metric: its signature, what it left out, how much it could have shown, lengths."""
    lines = [f"{metric.title}: n={metric.n} {metric.signature}" + (f" · {metric.error}" if metric.error else "")]
    lines += [f"  {one.system} {_between(metric.metric, one.value, one.interval)}" for one in metric.scores]
    lines += [f"  left out: {one.count:,} · {one.reason} {one.system}".rstrip() for one in metric.dropped]
    for pair in metric.pairs:
        lines += [f"  {line}" for line in _about(pair)]
    return lines


def _about(pair: Pair) -> list[str]:
    lines: list[str] = []
    if pair.note:
        lines.append(pair.note)
    if not pair.better and pair.smallest_detectable:  # 0 where no example differs: that tells nothing
        least = format_value(pair.metric, pair.smallest_detectable)
        more = f"; for this one, about {pair.more_examples:,} more examples" if pair.more_examples else ""
        lines.append(f"so many examples show a difference of {least} or more{more}")
    if pair.buckets:
        parts = [
            f"{one.label} ({one.shortest}-{one.longest}, n={one.n}) "
            f"{format_value(pair.metric, one.first)} : {format_value(pair.metric, one.second)}"
            for one in pair.buckets
        ]
        lines.append(f"{pair.first} : {pair.second} by characters of the reference: " + ", ".join(parts))
    return lines
