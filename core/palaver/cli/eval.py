"""`palaver eval`: a data set over one or more models, scored as a whole, resumed where it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from palaver.cli.output import report as tell_error
from palaver.cli.program import Program, color_option, complete_metrics, complete_models, json_option, pass_program
from palaver.cli.stop import STOPPED, Stop
from palaver.errors import PalaverError, UsageError
from palaver.present import format_value
from palaver.terminal import clip

if TYPE_CHECKING:
    from palaver.data import Dataset
    from palaver.runs import Plan, Report
    from palaver.store import Store

SOME_FAILED, BELOW, BAD_RECORDS = 5, 6, 4
SHOWN_BAD = 10
"""Bad records that are told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line asks for."""

    task: str
    dataset: str
    models: tuple[str, ...]
    pairs: tuple[str, ...]
    references: tuple[str, ...]
    columns: tuple[str, ...]
    metrics: tuple[str, ...]
    limit: int | None
    repeat: int
    resume: tuple[int, ...]
    retries_failed: bool
    is_cached: bool
    workers: int
    place: str
    fail_under: tuple[str, ...]
    progress: str
    is_preview: bool
    as_json: bool
    junit: str
    markdown: str


@click.command("eval")
@click.argument("task", default="")
@click.argument("dataset", default="")
@click.option(
    "-m", "--model", "models", multiple=True, shell_complete=complete_models, help="Which model; repeat it for several."
)
@click.option("-o", "--option", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of the task, or seed=1.")
@click.option("-r", "--refs", "references", multiple=True, metavar="FILE", help="References of DATASET, line by line.")
@click.option("--column", "columns", multiple=True, metavar="PART=COLUMN", help="As in: text=body, references=summary.")
@click.option(
    "--metric", "metrics", multiple=True, metavar="A,B", shell_complete=complete_metrics, help="Instead of the task's."
)
@click.option("--limit", type=click.IntRange(min=1), help="The first N examples only.")
@click.option("--repeat", type=click.IntRange(1, 1000), default=1, help="Answer each N times, the seed counted up.")
@click.option("--resume", multiple=True, type=int, metavar="RUN", help="Do what is missing from this run.")
@click.option("--retry-failed", "retries_failed", is_flag=True, help="With --resume: failed examples are missing too.")
@click.option("--no-cache", "is_uncached", is_flag=True, help="Ask again what history has the answer of.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, help="Processes with the model in each.")
@click.option("--on", "place", default="", metavar="NAME[:ARG]", help="Where: inline, local:4, or a plugin's place.")
@click.option("--fail-under", multiple=True, metavar="METRIC=X", help="Exit with 6 if a score is worse than X.")
@click.option("--progress", type=click.Choice(["auto", "plain", "json", "none"]), default="auto", help="On stderr.")
@click.option("--preview", "is_preview", is_flag=True, help="Show what the examples would be, and stop.")
@click.option("--junit", default="", metavar="FILE", help="Also write the result as JUnit XML.")
@click.option("--markdown", default="", metavar="FILE", help="Also write the table of scores as Markdown.")
@json_option
@color_option
@pass_program
@click.pass_context
def command(
    context: click.Context,
    program: Program,
    /,
    models: tuple[str, ...],
    metrics: tuple[str, ...],
    is_uncached: bool,
    **given: object,
) -> None:
    """Run TASK over the examples of DATASET, and print what each model scores.

    DATASET is a file (JSONL, JSON, CSV, TSV, Parquet, plain lines; .gz of these), history:FILTER, or a name that
    `palaver dataset list` has. Ctrl+c keeps what is done; --resume does the rest.
    """
    from palaver.cli.metrics import split_names

    wish = Wish(
        models=tuple(one for given_ in models for one in given_.split(",") if one),
        metrics=split_names(metrics),
        is_cached=not is_uncached,
        **given,  # type: ignore[arg-type]
    )
    context.exit(_evaluate(program, wish))


def _evaluate(program: Program, wish: Wish) -> int:
    from palaver.cli.reports import eval_record, junit_xml, markdown, score_table, write_report

    if wish.place and wish.workers > 1:
        raise UsageError("--workers N is --on local:N: give one of the two.", fix=f"--on local:{wish.workers}")
    bounds = _bounds(program, wish.fail_under)
    with program.history() as store:
        try:
            if wish.resume:
                runs = [(run, _reopen(program, store, run, wish)) for run in wish.resume]
            else:
                dataset, plans = _plans(program, store, wish)
                _describe(program, dataset, plans[0] if plans else None, is_preview=wish.is_preview)
                _tell_engines(program, plans)
                if wish.is_preview:
                    return BAD_RECORDS if dataset.bad else 0
                from palaver.runs import begin

                runs = [(begin(store, plan), dataset) for plan in plans]
            reports, error = _run_all(program, store, runs, wish)
        finally:
            program.registry.close()
    dataset = runs[0][1]
    misses = [miss for one in reports for miss in _misses(program, one, bounds)]
    if wish.as_json:
        program.output.record(eval_record(dataset, reports, misses))
    elif reports:
        program.output.show(score_table(reports))
    if wish.junit:
        write_report(wish.junit, junit_xml(reports, misses))
    if wish.markdown:
        write_report(wish.markdown, markdown(reports))
    for miss in misses:
        program.output.talk(f"below the bound: {miss}")
    if error is not None:
        tell_error(error, as_json=wish.as_json)
    return _exit_code(program, reports, dataset, misses, error)


def _exit_code(
    program: Program,
    reports: Sequence[Report],
    dataset: Dataset,
    misses: Sequence[str],
    error: PalaverError | None,
) -> int:
    open_ = [one.run_id for one in reports if not one.is_complete]
    if open_:
        program.output.talk("the rest: palaver eval " + " ".join(f"--resume {run}" for run in open_))
    if error is not None:
        return error.exit_code
    if open_:
        return STOPPED
    if len(reports) > 1:
        program.output.talk("side by side: palaver compare " + " ".join(str(one.run_id) for one in reports))
    if misses:
        return BELOW
    if dataset.bad:
        return BAD_RECORDS
    return SOME_FAILED if any(one.ended.get("failed") for one in reports) else 0


def _run_all(
    program: Program, store: Store, runs: Sequence[tuple[int, Dataset]], wish: Wish
) -> tuple[list[Report], PalaverError | None]:
    """The reports of all runs, and the first error that ended one."""
    from palaver.cli.evalprogress import EvalProgress
    from palaver.evaluate import Evaluation
    from palaver.runs import report

    first_error: PalaverError | None = None
    reports: list[Report] = []
    place = wish.place or (f"local:{wish.workers}" if wish.workers > 1 else "inline")
    with Stop(program.output) as stop:
        for run, dataset in runs:
            progress = EvalProgress(program, wish.progress)
            try:
                executor = program.registry.executor(place)
                if wish.retries_failed:
                    store.forget_failed(run)
                evaluation = Evaluation(
                    program.registry, store, run, dataset, executor=executor, is_cached=wish.is_cached
                )
                progress.start(evaluation)
                reports.append(evaluation.run(stop.event, progress.show))
            except PalaverError as error:
                first_error = first_error or error
                reports.append(report(program.registry, store, run))
            finally:
                progress.end()
    return reports, first_error


def _plans(program: Program, store: Store, wish: Wish) -> tuple[Dataset, list[Plan]]:
    """The data set, read, and one plan a model; every typo is an error before anything is asked."""
    from palaver.plans import Wanted, make_plans

    if not wish.task or not wish.dataset:
        raise UsageError("palaver eval takes a task and a data set.", fix="palaver eval --help")
    if wish.place:
        program.registry.executor(wish.place)
    if wish.retries_failed:
        raise UsageError("--retry-failed goes with --resume RUN.")
    wanted = Wanted(
        task=wish.task,
        dataset=wish.dataset,
        models=wish.models,
        options=_pairs(wish.pairs, "-o takes KEY=VALUE"),
        references=wish.references,
        columns=_pairs(wish.columns, "--column takes PART=COLUMN"),
        metrics=wish.metrics,
        limit=wish.limit,
        repeat=wish.repeat,
    )
    return make_plans(program.registry, store, wanted)


def _reopen(program: Program, store: Store, run: int, wish: Wish) -> Dataset:
    from palaver.plans import reopen

    if wish.task or wish.models or wish.pairs:
        raise UsageError(
            "A resumed run keeps its task, data set, models and options.", fix=f"palaver eval --resume {run}"
        )
    return reopen(program.registry, store, run)


def _describe(program: Program, dataset: Dataset, plan: Plan | None, *, is_preview: bool) -> None:
    """Which column is which, what is bad, and with `is_preview` the first examples."""
    output = program.output
    columns = ", ".join(f"{part} ← {column}" for part, column in dataset.columns.items())
    of = f" of {dataset.n_in:,}" if dataset.bad else ""
    first = f", the first {plan.limit}" if plan and plan.limit else ""
    output.talk(f"{dataset.name}: {len(dataset.examples):,}{of} examples{first}" + (f" · {columns}" if columns else ""))
    for bad in dataset.bad[:SHOWN_BAD]:
        output.warn(f"{bad.place}: {bad.reason}")
    if len(dataset.bad) > SHOWN_BAD:
        output.warn(f"and {len(dataset.bad) - SHOWN_BAD:,} more bad records")
    if not any(one.references for one in dataset.examples):
        output.warn(
            "no references: only numbers that need none; --refs FILE or --column references=COLUMN says where they are"
        )
    for one in dataset.examples[:3] if is_preview else ():
        shown = {**one.inputs} | {f"reference {number}": text for number, text in enumerate(one.references, 1)}
        output.show("\n".join([f"example {one.id}", *(f"  {key}: {clip(text, 100)}" for key, text in shown.items())]))


def _tell_engines(program: Program, plans: Sequence[Plan]) -> None:
    from palaver.plans import told

    for plan in plans:
        if said := told(program.registry, plan):
            program.output.talk(said)


def _pairs(pairs: Sequence[str], told: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip() or not value:
            raise UsageError(f"{told}, not '{pair}'.")
        found[key.strip()] = value
    return found


def _bounds(program: Program, given: Sequence[str]) -> dict[str, float]:
    """Metrics with the score that each must reach."""
    found: dict[str, float] = {}
    for name, text in _pairs(given, "--fail-under takes METRIC=X").items():
        metric = program.registry.metric(name)
        try:
            found[name] = float(text)
        except ValueError:
            raise UsageError(f"--fail-under {name} takes a number, not '{text}'.") from None
        if not metric.higher_is_better or found[name] <= metric.maximum:
            continue
        raise UsageError(f"{metric.title} goes up to {metric.maximum:g}: {text} cannot be reached.")
    return found


def _misses(program: Program, report: Report, bounds: Mapping[str, float]) -> list[str]:
    """The bounds that a run did not reach, in words."""
    found: list[str] = []
    for name, bound in bounds.items():
        metric, score = program.registry.metric(name), report.score(name)
        value = score.score.value if score else None
        if value is None:
            found.append(f"{report.model} has no {metric.title}, {bound:g} was wanted")
        elif (value < bound) if metric.higher_is_better else (value > bound):
            shown, wanted = format_value(name, value), format_value(name, bound)
            found.append(f"{report.model} {metric.title} {shown}, {wanted} was wanted")
    return found
