"""Ask one question from the command line, and print what came of it."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from palaver.cli.output import Progress, is_capable, is_terminal, write
from palaver.cli.program import Program
from palaver.cli.stop import STOPPED, Stop
from palaver.cli.tasks import Invocation
from palaver.cli.waiting import Waiting
from palaver.command import build, decode
from palaver.errors import BadInput, PalaverError, UsageError
from palaver.metric import Score, Span
from palaver.present import format_score, format_scores, format_seconds
from palaver.session import Ask, Outcome, Session, Started
from palaver.streams import named
from palaver.task import Task
from palaver.terminal import safe_text

if TYPE_CHECKING:
    from palaver.store import Turn
    from palaver.window import ContextUse

NEARLY_FULL = 0.8
"""Share of a model's window from which on it is told how full it was."""


def answer(program: Program, wanted: Invocation, *, stdin: TextIO | None) -> int:
    """Do what was asked and return the exit code.

    Raises:
        PalaverError: it could not be asked, or the model failed; history has it as a failed turn.
    """
    with program.history(is_kept=wanted.is_kept) as store:
        session = Session(program.registry, store, kind="task", metrics=wanted.metrics)
        piped = Piped(stdin)
        try:
            try:
                ask = understand(program, wanted, piped)
            except PalaverError as error:
                typed = " ".join(wanted.written or wanted.typed.words)
                session.record_failure(wanted.task.name, f"{typed}\n{piped.seen}".strip(), error)
                raise
            ask = dataclasses.replace(ask, is_cached=wanted.is_cached)
            if wanted.is_by_line:
                from palaver.cli.lines import answer_lines

                return answer_lines(program, wanted, session, ask)
            return _answer_one(program, wanted, session, ask)
        finally:
            session.close()


class Piped:
    """Stdin, read once; what came is kept for the record of a question that could not be understood."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.seen = ""

    @property
    def is_waiting(self) -> bool:
        """Something other than a terminal is there to be read."""
        return self._stream is not None and not is_terminal(self._stream)

    def read(self) -> str:
        """All of it as text.

        Raises:
            BadInput: it is empty, or not UTF-8.
        """
        if self._stream is None:  # closed by the shell: `<&-`
            raise BadInput("There is no stdin.", fix="pipe a text in, or give @FILE", code="empty_input")
        if is_terminal(self._stream):
            write(sys.stderr, "Reading from the terminal; ctrl+d ends the text.\n")
        raw = self._stream.buffer.read()
        self.seen = raw.decode("utf-8", "replace")
        try:
            text = decode(raw, "stdin")
        except BadInput as error:
            fix = "pipe it through: iconv -f ISO-8859-1 -t UTF-8"
            raise BadInput(error.message, fix=fix, code=error.code) from error
        if not text.strip():
            raise BadInput("There is no text: stdin is empty.", fix="pipe a text in, or give @FILE", code="empty_input")
        return text


def understand(program: Program, wanted: Invocation, stdin: Piped) -> Ask:
    """The question behind the words, with stdin and files read.

    Raises:
        PalaverError: an option, a metric, a file or the text on stdin cannot be used.
    """
    task, typed = wanted.task, wanted.typed
    words = list(typed.words)
    needed = [one.name for one in task.schema() if one.default is None and one.name in task.arguments]
    before = len([name for name in needed if name not in typed.options])
    if stdin.is_waiting and before <= len(words) < before + len(task.inputs):
        words.append("-")
    if words.count("-") > 1:
        raise UsageError("Only one input can come from stdin.")
    text = stdin.read() if "-" in words else ""  # before all that can fail: it cannot be read twice
    if wanted.metrics:
        program.registry.metrics_for(task.name, True, wanted.metrics)
    try:
        ask = build(task, dataclasses.replace(typed, words=tuple(words)))
    except UsageError as error:  # a chat's slash is not how it is typed here
        told = error.message.replace(f"/{task.name} ", f"palaver {task.name} ")
        raise UsageError(told, fix=error.fix or f"palaver {task.name} --help", code=error.code) from error
    check_references(task, ask.example.references)
    if "-" not in words:
        return ask
    if not wanted.is_by_line:
        text = text.removesuffix("\n")  # `echo` adds it
    # build() leaves a lone dash alone: it stands for the text, which is not searched for @files.
    inputs = {name: text if value == "-" else value for name, value in ask.example.inputs.items()}
    return dataclasses.replace(ask, example=dataclasses.replace(ask.example, inputs=inputs))


def check_references(task: type[Task], references: Sequence[str]) -> None:
    """Nothing can be scored by an empty text, but for QA, where it says that there is no answer.

    Raises:
        BadInput: a reference is empty.
    """
    if task.name != "qa" and any(not one.strip() for one in references):
        raise BadInput("A reference is empty: it is the answer you would have wanted.", code="empty_reference")


def _answer_one(program: Program, wanted: Invocation, session: Session, ask: Ask) -> int:
    output = program.output
    live = Live(program, ask, is_silent=wanted.is_json)
    with Stop(output) as stop, live.waiting:
        outcome = session.ask(ask, cancel=stop.event, on_start=live.start, on_text=live.add)
    turn = outcome.turn
    live.end()
    if outcome.error is not None:
        if turn.output and wanted.is_kept:
            output.talk(f"What it wrote until then: palaver history show {turn.id}")
        raise outcome.error
    warnings = warnings_of(turn)
    if wanted.is_json:
        output.record({**record(turn, warnings, is_kept=wanted.is_kept), "context": context_record(outcome.context)})
    elif not live.has_shown:
        output.marked(turn.output, _marks(turn) if output.is_styled(sys.stdout) else ())
    _tell(program, wanted, session, outcome, warnings, live)
    return STOPPED if turn.status == "cancelled" else 0


def _tell(
    program: Program,
    wanted: Invocation,
    session: Session,
    outcome: Outcome,
    warnings: Sequence[str],
    live: Live,
) -> None:
    """What stands beside an answer: who gave it, how long it took, what it scores."""
    output, turn = program.output, outcome.turn
    if output.quiet:
        return
    tokens = f" · {turn.output_tokens} tokens" if turn.output_tokens is not None else ""
    use = outcome.context
    if use is not None and use.share is not None and use.share >= NEARLY_FULL:
        tokens += f" · window {use}"
    number = f" · #{turn.id}" if wanted.is_kept else " · not logged"
    model = " · ".join(filter(None, (live.model or turn.model, live.languages)))
    took = f"from #{turn.cached_from}" if turn.cached_from else format_seconds(turn.seconds)
    output.talk(f"{model} · {took}{tokens}{number}")
    if turn.scores and (turn.references or wanted.metrics):
        output.talk(scores_line(session, turn))
    if unscored := _without_a_reference(program, turn, wanted):
        output.talk(unscored)
    for warning in warnings:
        output.warn(warning)


def _without_a_reference(program: Program, turn: Turn, wanted: Invocation) -> str:
    """What to do for the metrics that were named and had nothing to compare with."""
    if turn.references or not wanted.metrics:
        return ""
    missing = program.registry.metrics_for(wanted.task.name, True, wanted.metrics)
    if not missing:
        return ""
    how = f"--ref TEXT, or now: palaver history ref {turn.id} TEXT" if wanted.is_kept else "--ref TEXT"
    return f"{', '.join(one.title for one in missing)}: no score without a reference; {how}"


def scores_line(session: Session, turn: Turn) -> str:
    """`BLEU 62.4  chrF 81.0  TER 8.3  n=1  baseline copy BLEU 3.1`."""
    line = f"{format_scores(turn.scores)}  n={turn.scores[0].n}"
    reasons = {score.error for score in turn.scores if score.value is None and score.error}
    line += f"  ({'; '.join(sorted(reasons))})" if reasons else ""
    try:
        beside = session.baseline(turn)
    except Exception:  # a metric or baseline of a plugin may raise anything; the scores stand without it
        beside = None
    if beside and beside[1]:
        line += f"  baseline {beside[0]} {format_score(beside[1][0])}"
    return line


def _marks(turn: Turn) -> Sequence[Span]:
    from palaver.overlap import mark

    return mark(turn.output, [one.text for one in turn.references])


def warnings_of(turn: Turn) -> list[str]:
    """What a reader of the answer should know about it."""
    found = []
    if turn.status == "truncated" and turn.config:
        found.append(f"cut off at {turn.config.max_new_tokens} tokens; for more: -o max_new_tokens=N")
    if turn.status == "cancelled":
        found.append("stopped before the end")
    if turn.status != "failed" and turn.note:
        found.append(turn.note)
    return found


def record(turn: Turn, warnings: Sequence[str] = (), *, is_kept: bool = True) -> Mapping[str, object]:
    """The turn as `palaver.run/1`."""
    return {
        "schema": "palaver.run/1",
        "id": turn.id if is_kept else None,
        "task": turn.task,
        "model": turn.model,
        "model_digest": turn.model_digest,
        "output": turn.output,
        "status": turn.status,
        "finish_reason": turn.finish_reason,
        "references": [one.text for one in turn.references],
        "scores": [score_record(score) for score in turn.scores],
        "timing": {
            "seconds": turn.seconds,
            "first_token_seconds": turn.first_token_seconds,
            "prompt_tokens": turn.prompt_tokens,
            "output_tokens": turn.output_tokens,
        },
        "seed": turn.config.seed if turn.config else None,
        "cached_from": turn.cached_from,
        "options": turn.options,
        "warnings": list(warnings),
    }


def context_record(use: ContextUse | None) -> Mapping[str, object] | None:
    """How full the window was as `palaver.run/1` has it, with what the model did not see at once."""
    if use is None:
        return None
    return {"used_tokens": use.used, "window_tokens": use.window, "parts": use.parts, "unseen": use.unseen}


def score_record(score: Score) -> Mapping[str, object]:
    """A score as `palaver.run/1` has it: on the metric's own scale, with what makes it comparable."""
    found: dict[str, object] = {
        "name": score.title,
        "metric": score.metric,
        "value": score.value,
        "ci": None,
        "n": score.n,
        "signature": score.signature,
    }
    return found | ({"error": score.error} if score.value is None else {})


class Live:
    """What is on the screen while the model writes: the text where it can be shown as it comes, else a progress line.

    A task that reads its answer out of the model's words, and an answer that will be marked, are shown when they are
    whole: stdout gets each answer once.
    """

    def __init__(self, program: Program, ask: Ask, *, is_silent: bool) -> None:
        is_plain = type(ask.task).parse is Task.parse
        is_marked = bool(ask.example.references) and is_capable(sys.stdout)
        self.is_streaming = not is_silent and is_plain and not is_marked and is_terminal(sys.stdout)
        self.has_shown = False
        self.languages = ""
        """What a model made for certain languages translates here, and what of it was guessed."""
        self._output = program.output
        self._progress = Progress(program.output)
        self.waiting = Waiting(self._progress.show)
        self.model = ""
        """Its name, with its engine where engines were measured."""
        self._started = self._drawn = time.monotonic()
        self._count = 0
        self._held = ""

    def start(self, started: Started) -> None:
        """The model is being asked; once more where the input had to be split."""
        self.model, self.languages = named(started.model), started.languages
        self.waiting.end()
        if started.notice:
            self._progress.clear()
            self._output.talk(f"{self.model} · the text is longer than its window: {started.notice}")
        if not self.is_streaming or started.part:
            self._progress.show(f"{self.model} · reading {started.part}".rstrip())
        if self._progress.is_shown and not self.has_shown:
            self.waiting.begin(f"{self.model} · waiting for the first word {started.part}".rstrip())

    def add(self, piece: str) -> None:
        """The model wrote a piece of text."""
        self.waiting.end()
        self._count += len(piece)
        if not self.is_streaming:
            self._draw()
            return
        text = self._held + piece
        if not self.has_shown:
            text = text.lstrip()
        kept = text.rstrip()  # white space at the end may be the end of all, which an answer goes without
        self._held = text[len(kept) :]
        if kept:
            self.has_shown = True
            self._progress.clear()
            write(sys.stdout, safe_text(kept))

    def end(self) -> None:
        """The answer is whole."""
        self._progress.clear()
        if self.has_shown:
            write(sys.stdout, "\n")

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self._drawn > 0.1:
            self._drawn = now
            self._progress.show(f"{self.model} · writing · {self._count} characters · {now - self._started:.1f} s")
