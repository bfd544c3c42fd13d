"""How an evaluation is worded as a row of the list, and which runs were begun together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from palaver.present import format_value
from palaver.store import Run, Store, parse_filter
from palaver_tui.screens.turn_rows import when
from palaver_tui.widgets.table import Column, Layout
from palaver_tui.widgets.window import Cell, Row

if TYPE_CHECKING:
    from palaver.session import Session

MOST = 10_000
"""Evaluations that the list goes back."""
TOGETHER_SECONDS = 2.0
"""Runs of one plan that follow each other within so long were begun by one command."""

_RUN = Column("run", "run", 5)
_WHEN = Column("when", "when", 5)
_TASK = Column("task", "task", 10)
_MODEL = Column("model", "model", 20)
_SCORE = Column("score", "score", 12)
_DONE = Column("done", "answered", 13)
_DATA = Column("data", "data set")

LAYOUTS: tuple[Layout, ...] = (
    (104, (_RUN, _WHEN, _TASK, _MODEL, _SCORE, _DONE, _DATA)),
    (72, (_RUN, _WHEN, _MODEL, _SCORE, _DONE, _DATA)),
    (48, (_RUN, _MODEL, _SCORE, _DONE)),
    (0, (_MODEL, _SCORE)),
)
"""Columns leave in this order: task, data set and time, run and count. Model and main score never do."""


def run_rows(session: Session, *, before: int | None = None, after: int | None = None, limit: int) -> list[Row]:
    """A page of evaluations for the table, newest first; in its thread."""
    store = session.store
    if after is not None and before is None:
        newer = [run for run in store.runs(kind="eval", limit=MOST) if run.id > after]
        runs = newer[-limit:]
    else:
        runs = store.runs(kind="eval", before=before, limit=limit)
    now = datetime.now()
    return [_row(session, run, now) for run in runs]


def _row(session: Session, run: Run, now: datetime) -> Row:
    plan = run.plan
    total = int(str(plan.get("n") or 0)) * int(str(plan.get("repeat") or 1))
    done = f"{run.turns:,}" if run.finished else f"{run.turns:,} of {total:,}"
    title, value = main_score(session, run)
    return Row(
        run.id,
        {
            "run": Cell("", number=str(run.id)),
            "when": Cell(when(run.created, now), "muted"),
            "task": Cell(str(plan.get("task", ""))),
            "model": Cell(str(plan.get("model", ""))),
            "score": Cell(title, number=value) if title else Cell("no score", "muted"),
            "done": Cell("", "" if run.finished else "muted", number=done),
            "data": Cell(str(plan.get("name", "")), "muted"),
        },
    )


def main_score(session: Session, run: Run) -> tuple[str, str]:
    """Title and value of a run's main corpus score, from the sums of what is stored; empty without one."""
    registry, task = session.registry, str(run.plan.get("task", ""))
    named = run.plan.get("metrics")
    wanted = tuple(map(str, named)) if isinstance(named, list | tuple) else ()
    try:
        metrics = registry.metrics_for(task, True, wanted) or registry.metrics_for(task, False, wanted)
    except Exception:  # the plugin of a metric is gone: the run is listed all the same
        return "", ""
    for metric in metrics[:1]:
        sums = session.store.corpus(parse_filter(f"run:{run.id}"), metric.name)
        if sums:
            signature, stats, n = max(sums, key=lambda one: one[2])
            return metric.title, format_value(metric.name, metric.corpus(stats, n, signature).value)
    return "", ""


def together(store: Store, run_id: int) -> Sequence[int]:
    """The runs that were begun with this one: of one plan but for the model, one right after the other."""
    near = sorted((run for run in store.runs(kind="eval", before=run_id + 50, limit=100)), key=lambda run: run.id)
    place = next((index for index, run in enumerate(near) if run.id == run_id), None)
    if place is None:
        return [run_id]
    first = last = place
    while first and _belong(near[first - 1], near[first]):
        first -= 1
    while last + 1 < len(near) and _belong(near[last], near[last + 1]):
        last += 1
    return [run.id for run in near[first : last + 1]]


def _belong(one: Run, other: Run) -> bool:
    same = {key: value for key, value in one.plan.items() if key != "model"}
    return (
        other.created - one.created <= TOGETHER_SECONDS
        and one.plan.get("model") != other.plan.get("model")
        and same == {key: value for key, value in other.plan.items() if key != "model"}
    )
