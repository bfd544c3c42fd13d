"""What an evaluation is recorded as, and what it found: from history alone, whoever ran it and wherever it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from palaver.errors import BadInput, in_words
from palaver.example import Example
from palaver.metric import Metric, Score
from palaver.registry import Registry
from palaver.store import Run, Store
from palaver.tally import CorpusScore, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that it takes to do an evaluation again, or the rest of it; recorded with the run."""

    task: str
    options: Mapping[str, object] = field(default_factory=dict)
    model: str
    config: Mapping[str, str] = field(default_factory=dict)
    """Decoding parameters as they were given."""
    dataset: str
    """Its source: see `palaver.sources`."""
    name: str
    """Of the data set, as shown."""
    digest: str
    """Of the data set's content."""
    references: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    """Which column is which, where the user said so."""
    metrics: tuple[str, ...] = ()
    """Empty leaves them to the task."""
    limit: int | None = None
    """The first so many examples."""
    repeat: int = 1
    """Times that each example is answered, with the seed counted up."""
    n: int = 0
    """Examples, repetitions not counted."""
    bad: int = 0
    """Records of the data set that could not be used."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found."""

    run_id: int
    plan: Plan
    model: str
    digest: str
    """Of the model."""
    total: int
    """Answers that belong to a complete run."""
    ended: Mapping[str, int]
    """Answers by status; only `complete` ones are in the scores."""
    cached: int
    output_tokens: int
    seconds: float
    """That the model took for the answers of this run, all sessions together."""
    scores: tuple[CorpusScore, ...]
    errors: tuple[tuple[str, str], ...]
    """Example and reason of the failed answers."""
    is_complete: bool

    def score(self, metric: str) -> CorpusScore | None:
        """The score of that metric, where there is one."""
        return next((one for one in self.scores if one.score.metric == metric), None)


def plan_of(run: Run) -> Plan:
    """The plan of a run.

    Raises:
        BadInput: the run is no evaluation.
    """
    if run.kind != "eval" or not run.plan:
        raise BadInput(f"Run {run.id} is no evaluation.", fix="palaver compare", code="not_an_evaluation")
    known = {one.name for one in fields(Plan)}
    values = {key: tuple(one) if isinstance(one, list) else one for key, one in run.plan.items() if key in known}
    return Plan(**values)  # type: ignore[arg-type]


def begin(store: Store, plan: Plan) -> int:
    """The run of a plan, written before anything is asked."""
    return store.begin_run("eval", f"{plan.task} · {plan.name} · {plan.model}", plan=asdict(plan))


def metrics_of(registry: Registry, plan: Plan, with_references: bool) -> list[Metric]:
    """The metrics that a plan scores by."""
    return registry.metrics_for(plan.task, with_references, plan.metrics)


def score_safely(registry: Registry, metric: Metric, output: str, example: Example) -> Score:
    """The score of one output; a metric that breaks gives none, with the reason."""
    try:
        score = metric.score(output, example)
    except Exception as bug:  # a metric plugin may raise anything at all; the answer stands
        registry.plugins.blame(metric, bug)
        reason = f"the metric broke: {in_words(bug)}"
        return Score(metric.name, metric.title, None, metric.title, error=reason)
    registry.plugins.praise(metric)
    return score


def report(registry: Registry, store: Store, run_id: int) -> Report:
    """What a run has found so far, from history alone.

    Raises:
        BadInput: the run is no evaluation.
    """
    plan = plan_of(store.run(run_id))
    tally, errors, has_references = Tally(plan.repeat), [], False
    results = store.results(run_id)
    for one in results:
        tally.add(
            (one.example_id, one.epoch),
            one.status,
            one.scores,
            is_cached=one.is_cached,
            seconds=one.seconds,
            output_tokens=one.output_tokens,
        )
        has_references = has_references or bool(one.reference_set)
        if one.status == "failed":
            errors.append((one.example_id, one.error))
    named = {score.metric for one in results for score in one.scores}
    chosen = metrics_of(registry, plan, has_references)
    # What was added by `palaver rescore` stands after what the plan asked for.
    chosen += [metric for name, metric in registry.metrics().items() if name in named and metric not in chosen]
    total = plan.n * plan.repeat
    digest = store.turn(results[0].turn_id).model_digest if results else ""
    return Report(
        run_id=run_id,
        plan=plan,
        model=plan.model,
        digest=digest,
        total=total,
        ended=dict(tally.ended),
        cached=tally.cached,
        output_tokens=tally.output_tokens,
        seconds=tally.seconds,
        scores=tuple(tally.corpus(metric) for metric in chosen),
        errors=tuple(errors),
        is_complete=tally.done >= total,
    )
