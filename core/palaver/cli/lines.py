"""`--lines`: one input a line, and exactly one output line for each, in order."""

from __future__ import annotations

import dataclasses
import sys
import time
from dataclasses import dataclass

from palaver.cli.answer import check_references, record, warnings_of
from palaver.cli.output import Progress, is_capable, report
from palaver.cli.program import Program
from palaver.cli.stop import STOPPED, Stop
from palaver.cli.tasks import Invocation
from palaver.errors import BadInput, PalaverError
from palaver.present import format_score, format_seconds
from palaver.session import Ask, Outcome, Session
from palaver.store import Turn, parse_filter
from palaver.task import Chat

SOME_FAILED = 5

REPORT_SECONDS = 10.0
"""Between two lines of progress where there is no terminal."""


@dataclass(slots=True)
class _Tally:
    total: int
    done: int = 0
    failed: int = 0
    first: int = 0
    last: int = 0


def answer_lines(program: Program, wanted: Invocation, session: Session, ask: Ask) -> int:
    """Ask once for each line of the last input; returns the exit code.

    Raises:
        BadInput: there are no lines, or not one reference for each.
    """
    try:
        asks = split(ask)
    except PalaverError as error:
        session.fail(ask, error)
        raise
    progress, tally = _Progress(program), _Tally(len(asks))
    started = time.monotonic()
    with Stop(program.output) as stop:
        for one in asks:
            progress.show(tally)
            if isinstance(one.task, Chat):
                session.forget()
            outcome = session.ask(one, cancel=stop.event)
            if stop.event.is_set():  # half an answer is in history; as a line it would pass for a whole one
                break
            progress.clear()
            _print(program, wanted, outcome, tally)
    progress.clear()
    _sum_up(program, wanted, session, tally, time.monotonic() - started)
    if stop.event.is_set():
        return STOPPED
    return SOME_FAILED if tally.failed else 0


def split(ask: Ask) -> list[Ask]:
    """One question for each line of the last input, with the same line of each reference.

    Raises:
        BadInput: a reference has another number of lines.
    """
    name = ask.task.inputs[-1]
    lines = _lines(ask.example.inputs.get(name, ""))
    if not lines:
        raise BadInput("There are no lines to read.", fix="pipe a text in, or give @FILE", code="empty_input")
    references = [_lines(text) for text in ask.example.references]
    for found in references:
        if len(found) != len(lines):
            raise BadInput(
                f"A reference has {len(found)} lines and the input {len(lines)}: each line needs its own.",
                code="references_do_not_match",
            )
        check_references(type(ask.task), found)
    asks = []
    for number, line in enumerate(lines):
        inputs = {**ask.example.inputs, name: line}
        example = dataclasses.replace(ask.example, inputs=inputs, references=tuple(one[number] for one in references))
        asks.append(dataclasses.replace(ask, example=example, typed=""))
    return asks


def _lines(text: str) -> list[str]:
    """What `wc -l` counts as lines, and a last one without its newline."""
    return text.removesuffix("\n").split("\n") if text else []


def one_line(text: str) -> str:
    """`text` with every end of a line as a space."""
    return " ".join(text.splitlines())


def _print(program: Program, wanted: Invocation, outcome: Outcome, tally: _Tally) -> None:
    output, turn = program.output, outcome.turn
    tally.done += 1
    tally.first = tally.first or turn.id
    tally.last = turn.id
    warnings = warnings_of(turn)
    if outcome.error is not None:
        tally.failed += 1
        named = type(outcome.error)(f"Line {tally.done}: {outcome.error.message}", fix=outcome.error.fix)
        named.code = outcome.error.code
        report(named, as_json=wanted.is_json)
    if wanted.is_json:
        row = dict(record(turn, warnings, is_kept=wanted.is_kept))
        if outcome.error is not None:
            row |= {"output": "", "error": {"code": outcome.error.code, "message": outcome.error.message}}
        output.record(row)
    else:
        output.answer("" if outcome.error is not None else one_line(turn.output))
    for warning in warnings:
        output.warn(f"line {tally.done}: {warning}")


def _sum_up(program: Program, wanted: Invocation, session: Session, tally: _Tally, seconds: float) -> None:
    if not tally.done or program.output.quiet:
        return
    turn = session.store.turn(tally.last)
    numbers = f" · #{tally.first}-#{tally.last}" if wanted.is_kept else " · not logged"
    failed = f" · {tally.failed} failed" if tally.failed else ""
    program.output.talk(f"{turn.model} · {tally.done} lines{failed} · {format_seconds(seconds)}{numbers}")
    if scores := corpus_line(session, turn):
        program.output.talk(scores)


def corpus_line(session: Session, turn: Turn) -> str:
    """The scores of all lines together, from summed statistics: BLEU of a corpus is not the mean of its sentences."""
    if not turn.references and not session.metrics:
        return ""
    query, found = parse_filter(f"run:{session.run_id}"), []
    for metric in session.registry.metrics_for(turn.task, bool(turn.references), session.metrics):
        for signature, stats, n in session.store.corpus(query, metric.name):
            found.append(f"{format_score(metric.corpus(stats, n, signature))} n={n}")
    return "  ".join(found)


class _Progress:
    """A line that is rewritten on a terminal; elsewhere one line every ten seconds."""

    def __init__(self, program: Program) -> None:
        self._line, self._output = Progress(program.output), program.output
        self._started = self._told = time.monotonic()

    def show(self, tally: _Tally) -> None:
        now = time.monotonic()
        text = f"{tally.done} of {tally.total} lines · {tally.failed} failed · {format_seconds(now - self._started)}"
        # With the answers on the same terminal the lines themselves are the progress.
        if self._line.is_shown and not is_capable(sys.stdout):
            self._line.show(text)
        elif not self._line.is_shown and now - self._told >= REPORT_SECONDS:
            self._told = now
            self._output.talk(text)

    def clear(self) -> None:
        self._line.clear()
