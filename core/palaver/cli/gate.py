"""`palaver gate`: whether a change may pass, with "cannot tell" as an answer of its own.

Exit codes of this command:

    0    not worse by more than the margin
    1    a regression
    2    the command line is wrong, or the runs cannot be compared
    3    inconclusive: too few examples to tell
    4    a model or a plugin failed
    130  ctrl+c
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from palaver.cli.metrics import check_margin, single
from palaver.cli.paired import compare_runs, seed_option, settings_of, trials_option
from palaver.cli.program import Program, color_option, complete_metrics, json_option, pass_program
from palaver.errors import BadInput, NotFound, PalaverError, UsageError

if TYPE_CHECKING:
    from palaver.runs import Report

_CODES = {"not_worse": 0, "regression": 1, "inconclusive": 3}
_UNUSABLE, _FAILED = 2, 4


@click.command("gate")
@click.argument("candidate", type=int)
@click.argument("baseline", type=int)
@click.option("--metric", "name", required=True, shell_complete=complete_metrics, help="Which metric decides.")
@click.option("--margin", type=float, required=True, help="How much worse is acceptable, on the metric's own scale.")
@trials_option
@seed_option
@json_option
@color_option
@pass_program
@click.pass_context
def command(
    context: click.Context,
    program: Program,
    candidate: int,
    baseline: int,
    name: str,
    margin: float,
    trials: int,
    seed: int,
    as_json: bool,
) -> None:
    """Say whether run CANDIDATE is not worse than run BASELINE by more than a margin.

    Exits with 0: not worse, 1: a regression, 2: the command line is wrong or the runs cannot be compared, 3: too few
    examples to tell, 4: a model or a plugin failed.
    """
    from palaver.comparison import gate

    try:
        check_margin(single(program.registry, name), margin)
        with program.history() as store:
            reports, found = compare_runs(program, store, (candidate, baseline), (name,), settings_of(trials, seed))
        _refuse(reports, name)
        metric = next(one for one in found.metrics if one.metric == name)
        if metric.error and not metric.pairs:
            raise BadInput(f"{metric.title} cannot be compared: {metric.error}.", code="nothing_in_common")
        pair = found.pair(name, found.systems[0], found.systems[1])
        decided = gate(pair, margin=margin)
    except PalaverError as error:
        is_request = isinstance(error, UsageError | NotFound | BadInput)
        error.exit_code = _UNUSABLE if is_request else _FAILED
        raise
    code = _CODES[decided.decision]
    if as_json:
        record = {
            "schema": "palaver.gate/1",
            "decision": decided.decision,
            "reason": decided.reason,
            "exit_code": code,
            "margin": margin,
            "pair": asdict(pair),
            "dropped": [asdict(one) for one in found.dropped],
            "signature": metric.signature,
            "warnings": list(found.warnings),
        }
        program.output.record(record)
    else:
        program.output.show(f"{decided.decision.replace('_', ' ')}: {decided.reason}")
        for one in found.warnings:
            program.output.warn(one)
    context.exit(code)


def _refuse(reports: list[Report], name: str) -> None:
    """
    Raises:
        UsageError: a run is not complete. PalaverError: a model or metric failed, so that the rest says little.
    """
    for one in reports:
        if not one.is_complete:
            fix = f"palaver eval --resume {one.run_id}"
            raise UsageError(f"Run {one.run_id} is not complete.", fix=fix, code="run_incomplete")
        score = one.score(name)
        broken = score is not None and score.left_out and score.score.value is None
        if one.ended.get("failed") or broken:
            count = one.ended.get("failed", 0) or (score.left_out if score else 0)
            raise PalaverError(
                f"{one.model} failed on {count:,} of {one.total:,} examples of run {one.run_id}.",
                fix=f"palaver eval --resume {one.run_id} --retry-failed",
                code="answers_failed",
            )
