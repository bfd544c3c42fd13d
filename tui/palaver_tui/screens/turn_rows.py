"""How a turn of history is worded: as a row of the table, in full, and as a trend over the days."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from palaver.overlap import mark
from palaver.present import format_seconds, format_value
from palaver.store import Turn, TurnLine
from palaver_tui.widgets.table import Column, Layout
from palaver_tui.widgets.trend import Trend
from palaver_tui.widgets.turn_detail import LONGEST, Detail, ScoreLine
from palaver_tui.widgets.window import Cell, Row

_WHEN = Column("when", "when", 5)
_TASK = Column("task", "task", 9)
_MODEL = Column("model", "model", 16)
_OUTPUT = Column("output", "output")
_MAIN = Column("main", "main", 11)
_SECOND = Column("second", "second", 11)
_RATING = Column("rating", "rating", 6)

LAYOUTS: tuple[Layout, ...] = (
    (104, (_WHEN, _TASK, _MODEL, _OUTPUT, _MAIN, _SECOND, _RATING)),
    (72, (_WHEN, _TASK, _MODEL, _MAIN, _OUTPUT)),
    (48, (_WHEN, _MODEL, _MAIN, _OUTPUT)),
    (0, (_MODEL, _MAIN)),
)
"""Columns leave in this order: rating and second score, task, time and output. Model and main score never do."""

BARS = "▁▂▃▄▅▆▇█"
DAYS = 12
"""Days of a trend."""

_STATUS = {
    "failed": "! failed",
    "cancelled": "stopped",
    "interrupted": "interrupted",
    "running": "running",
}
_PROBLEMS = {
    "cancelled": "Stopped by you; the text until then is kept.",
    "interrupted": "Palaver ended while this was being written; the text until then is kept.",
    "running": "Being written now.",
    "truncated": "The tokens ran out before the answer ended.",
}


def table_row(line: TurnLine, now: datetime) -> Row:
    """A turn as a row of the table."""
    word = _STATUS.get(line.status, "")
    if line.status == "failed":
        output = Cell(f"{word}: {line.error}" if line.error else word, "error")
    elif word:
        output = Cell(f"{word} · {line.output_start}" if line.output_start else word, "muted")
    else:
        output = Cell(line.output_start or "(empty)", "" if line.output_start else "muted")
    main = _score_cell(line.main)
    if line.main is None and line.status in ("complete", "truncated"):
        main = Cell("no ref", "muted")
    return Row(
        line.id,
        {
            "when": Cell(when(line.created, now), "muted"),
            "task": Cell(line.task),
            "model": Cell(line.model),
            "output": output,
            "main": main,
            "second": _score_cell(line.second),
            "rating": Cell("★" * (line.rating or 0)),
        },
    )


def _score_cell(score: tuple[str, float | None] | None) -> Cell:
    return Cell("") if score is None else Cell(score[0], number=format_value(*score))


def when(created: float, now: datetime) -> str:
    """The time today, the day's name within a week, then the date; at most five characters wide, then the month."""
    then = datetime.fromtimestamp(created)
    if then.date() == now.date():
        return f"{then:%H:%M}"
    if timedelta(0) < now - then < timedelta(days=6):
        return f"{then:%a}"
    return f"{then:%m-%d}" if then.year == now.year else f"{then:%y-%m}"


def turn_detail(turn: Turn) -> Detail:
    """A turn in full, with what its output shares with the references."""
    references = tuple(reference.text for reference in turn.references)
    said = f"! failed: {turn.error}" if turn.status == "failed" else _PROBLEMS.get(turn.status, "")
    return Detail(
        id=turn.id,
        head=_head(turn),
        input=_inputs(turn),
        output=turn.output,
        marks=tuple(mark(turn.output[:LONGEST], references)),
        references=references,
        scores=tuple(
            ScoreLine(
                one.title,
                format_value(one.metric, one.value),
                one.signature or (f"{one.title} not scored: {one.error}" if one.error else ""),
            )
            for one in turn.scores
        ),
        problem=said,
        is_failed=turn.status == "failed",
        rating="★" * (turn.rating or 0),
        note=turn.note,
        tags=" ".join(turn.tags),
    )


def _head(turn: Turn) -> str:
    source, target = turn.options.get("source", ""), turn.options.get("target", "")
    languages = f" {source}→{target}" if target else ""
    parts = [
        turn.model,
        f"{datetime.fromtimestamp(turn.created):%Y-%m-%d %H:%M:%S}",
        format_seconds(turn.seconds) if turn.seconds is not None else "",
        f"seed {turn.config.seed}" if turn.config else "",
        f"plugin {turn.plugin} {turn.plugin_version}".rstrip() if turn.plugin else "",
    ]
    return f"{turn.task}{languages}  " + " · ".join(part for part in parts if part)


def trends(lines: Sequence[TurnLine]) -> tuple[str, list[Trend]]:
    """Title of the main score that most of these turns have, and its mean a day for each model, the busiest first.

    Nothing when no model has two days to compare.
    """
    titles = Counter(line.main[0] for line in lines if line.main and line.main[1] is not None)
    if not titles:
        return "", []
    title = titles.most_common(1)[0][0]
    days: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        if line.main and line.main[0] == title and line.main[1] is not None:
            days[line.model][f"{datetime.fromtimestamp(line.created):%Y-%m-%d}"].append(line.main[1])
    means = {
        model: [sum(found[day]) / len(found[day]) for day in sorted(found)[-DAYS:]] for model, found in days.items()
    }
    if all(len(values) < 2 for values in means.values()):
        return "", []
    low, high = (pick(value for values in means.values() for value in values) for pick in (min, max))
    step = (high - low) / (len(BARS) - 1) or 1.0
    busiest = sorted(means, key=lambda model: -sum(map(len, days[model].values())))
    return title, [
        Trend(
            model,
            "".join(BARS[round((value - low) / step)] for value in means[model]),
            format_value(title, means[model][-1]),
        )
        for model in busiest
    ]


def _inputs(turn: Turn) -> str:
    """What was put in, not how it was typed; several inputs each with its name, the short ones first."""
    if len(turn.inputs) < 2:
        return next(iter(turn.inputs.values()), "") or turn.input_text
    named = sorted(turn.inputs.items(), key=lambda item: len(item[1]))
    return "\n".join(f"{name}: {text}" for name, text in named)
