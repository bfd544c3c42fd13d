"""What an evaluation found, as a table, as Markdown, as JSON and as JUnit's XML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from palaver.cli.evalprogress import with_interval
from palaver.cli.output import table
from palaver.errors import BadInput
from palaver.present import format_seconds, format_value
from palaver.tally import CorpusScore
from palaver.terminal import safe_text

if TYPE_CHECKING:
    from palaver.data import Dataset
    from palaver.runs import Report


def score_table(reports: Sequence[Report]) -> str:
    """The scores of runs for people: a line a metric, then how the answers ended."""
    rows = [
        (str(one.run_id), one.model, score.score.title, shown(score), _n(score))
        for one in reports
        for score in one.scores
    ]
    lines = (
        [table(("run", "model", "metric", "score and 95 %", "n"), rows, right={0, 4}, whole={0, 3, 4})] if rows else []
    )
    return "\n".join([*lines, *signatures([score for one in reports for score in one.scores]), *map(ending, reports)])


def signatures(scores: Iterable[CorpusScore]) -> list[str]:
    """A line for each metric with its signature, which a table would cut."""
    return [
        f"{title}: {name}" for title, name in dict.fromkeys((one.score.title, one.score.signature) for one in scores)
    ]


def shown(score: CorpusScore) -> str:
    """`28.1 [27.0, 29.2]`, with the spread over seeds where there are several; why not, where there is none."""
    if score.score.value is None:
        return score.score.error or "–"
    spread = f" ±{format_value(score.score.metric, score.spread)} over seeds" if score.spread is not None else ""
    return with_interval(score) + spread


def _n(score: CorpusScore) -> str:
    times = len(score.epochs)
    return f"{score.examples}x{times}" if times else str(score.score.n)


def ending(report: Report) -> str:
    """`run 3 lexrank: 617 complete, 1 failed of 618 · 12 cached · 4.2 s`."""
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(report.ended.items())) or "nothing answered"
    parts = [f"run {report.run_id} {report.model}: {counts} of {report.total:,}"]
    if report.cached:
        parts.append(f"{report.cached:,} cached")
    left_out = max((one.left_out for one in report.scores), default=0)
    if left_out:
        parts.append(f"{left_out:,} without a score")
    if report.output_tokens:
        parts.append(f"{report.output_tokens:,} tokens")
    if report.errors:
        parts.append(f"first failure, example {report.errors[0][0]}: {report.errors[0][1]}")
    return " · ".join([*parts, format_seconds(report.seconds)])


def markdown(reports: Sequence[Report]) -> str:
    """The table of scores as Markdown."""
    lines = ["| data set | model | metric | score | 95 % interval | n | signature |", "|---|---|---|---:|---|---:|---|"]
    for one in reports:
        for score in one.scores:
            name, interval = score.score.metric, score.interval
            span = f"{format_value(name, interval.low)} – {format_value(name, interval.high)}" if interval else "–"
            cells = (
                one.plan.name,
                one.model,
                score.score.title,
                format_value(name, score.score.value),
                span,
                _n(score),
                f"`{score.score.signature}`",
            )
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join([*lines, "", *(f"{_cell(ending(one))}  " for one in reports), ""])


def _cell(text: str) -> str:
    return safe_text(text).replace("\n", " ").replace("|", "\\|")


def eval_record(dataset: Dataset, reports: Sequence[Report], misses: Sequence[str]) -> Mapping[str, object]:
    """The runs as `palaver.eval/1`."""
    return {
        "schema": "palaver.eval/1",
        "dataset": {
            "name": dataset.name,
            "source": dataset.source,
            "digest": dataset.digest,
            "columns": dict(dataset.columns),
            "n_in": dataset.n_in,
            "n_ok": len(dataset.examples),
            "n_bad": len(dataset.bad),
            "bad": [{"place": one.place, "reason": one.reason} for one in dataset.bad],
        },
        "runs": [run_record(one) for one in reports],
        "below": list(misses),
    }


def run_record(report: Report) -> Mapping[str, object]:
    """One run with its scores."""
    return {
        "id": report.run_id,
        "task": report.plan.task,
        "options": dict(report.plan.options),
        "model": report.model,
        "model_digest": report.digest,
        "config": dict(report.plan.config),
        "dataset": {"name": report.plan.name, "digest": report.plan.digest},
        "limit": report.plan.limit,
        "repeat": report.plan.repeat,
        "total": report.total,
        "ended": dict(report.ended),
        "complete": report.is_complete,
        "cached": report.cached,
        "output_tokens": report.output_tokens,
        "seconds": report.seconds,
        "scores": [score_record(one) for one in report.scores],
        "errors": [{"example": example, "reason": reason} for example, reason in report.errors],
    }


def score_record(found: CorpusScore) -> Mapping[str, object]:
    """A corpus score, on the metric's own scale."""
    record: dict[str, object] = {
        "name": found.score.title,
        "metric": found.score.metric,
        "value": found.score.value,
        "ci": [found.interval.low, found.interval.high] if found.interval else None,
        "n": found.score.n,
        "examples": found.examples,
        "signature": found.score.signature,
        "unscored": found.left_out,
    }
    if found.epochs:
        record |= {"epochs": list(found.epochs), "spread": found.spread}
    return record | ({"error": found.score.error} if found.score.value is None else {})


def junit_xml(reports: Sequence[Report], misses: Sequence[str]) -> str:
    """A test suite a run: one case for its answers, one for each that failed, one for the bounds."""
    from xml.etree import ElementTree as xml

    root = xml.Element("testsuites", name="palaver eval")
    for one in reports:
        name = f"{one.plan.task} {one.plan.name} {one.model}"
        mine = [miss for miss in misses if miss.startswith(f"{one.model} ")]
        failed = len(one.errors)
        suite = xml.SubElement(
            root,
            "testsuite",
            name=_xml(name),
            tests=str(failed + 2),
            errors=str(failed),
            failures=str(bool(mine) + (not one.is_complete)),
            time=f"{one.seconds:.3f}",
        )
        case = xml.SubElement(suite, "testcase", classname=_xml(name), name="all answers", time=f"{one.seconds:.3f}")
        if not one.is_complete:
            xml.SubElement(case, "failure", message=_xml(f"{sum(one.ended.values())} of {one.total} answered"))
        xml.SubElement(case, "system-out").text = _xml(
            "\n".join(
                f"{score.score.title} {shown(score)} n={_n(score)} {score.score.signature}" for score in one.scores
            )
        )
        bounds = xml.SubElement(suite, "testcase", classname=_xml(name), name="bounds")
        if mine:
            xml.SubElement(bounds, "failure", message=_xml("; ".join(mine)))
        for example, reason in one.errors:
            case = xml.SubElement(suite, "testcase", classname=_xml(name), name=_xml(f"example {example}"))
            xml.SubElement(case, "error", message=_xml(reason))
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    """Text without the characters that XML cannot hold, even as references."""
    return "".join(char for char in safe_text(text) if char in "\t\n" or " " <= char < "\ufffe" or char > "\uffff")


def write_report(target: str, text: str) -> None:
    """
    Raises:
        BadInput: the file cannot be written.
    """
    path = Path(target).expanduser()
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror or error}.", code="unwritable_file") from error
