"""What `palaver history rerun` does and prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from palaver.cli.output import Progress
from palaver.cli.program import Program
from palaver.cli.stop import STOPPED, Stop
from palaver.errors import BadInput, UsageError

if TYPE_CHECKING:
    from palaver.comparison import Comparison, Settings
    from palaver.rerun import Rerun
    from palaver.session import Session
    from palaver.store import Store, Turn

SOME_FAILED = 5
SHOWN = 5
"""Turns that were not asked, and changes since then, that are told one by one."""


def rerun(
    program: Program,
    words: Sequence[str],
    *,
    model: str,
    limit: int,
    is_cached: bool,
    settings: Settings,
    as_json: bool,
) -> int:
    """Ask again, compare, print; the exit code.

    Raises:
        PalaverError: nothing matches, or the model cannot be asked.
    """
    from palaver.rerun import ask_again, comparisons
    from palaver.session import Session

    with program.history() as store:
        session = Session(program.registry, store, kind="task")
        try:
            turns = _turns(program, store, words, model, limit)
            line = Progress(program.output)
            with Stop(program.output) as stop:
                found = ask_again(
                    session,
                    turns,
                    stop.event,
                    model=model,
                    is_cached=is_cached and bool(model),
                    on_done=lambda done: line.show(f"{done:,} of {len(turns):,} asked again"),
                )
            line.clear()
            compared = comparisons(program.registry, found.pairs, settings)
            if as_json:
                program.output.record(_record(session, found, compared))
            else:
                _show(program, session, found, compared, len(turns))
        finally:
            session.close()
    if found.is_stopped:
        return STOPPED
    return SOME_FAILED if any(one.after.status == "failed" for one in found.pairs) else 0


def _turns(program: Program, store: Store, words: Sequence[str], model: str, limit: int) -> list[Turn]:
    """The newest turns that match, oldest first; those of the model that is to answer are left out."""
    from palaver.rerun import questions
    from palaver.store import parse_filter

    query = parse_filter(" ".join(words))
    if not query:
        raise UsageError("Which turns? A filter says it, as in: task:summarize since:7d", fix="palaver history list")
    matching = [turn for turn in store.turns(query) if turn.status != "running"]
    asked = [turn for turn in matching if not model or program.registry.info(model).ref != turn.model_ref]
    if not asked:
        raise BadInput(
            f"All turns that match '{query.text}' are {model}'s own."
            if matching
            else f"No turn matches '{query.text}'.",
            fix="palaver history list",
            code="nothing_to_ask",
        )
    if len(matching) > len(asked):
        program.output.talk(f"{len(matching) - len(asked):,} answers of {model} itself are not asked again")
    different = questions(asked)
    if len(asked) > len(different):
        program.output.talk(f"{len(asked):,} turns asked {len(different):,} questions; the last answer to each counts")
    asked = different
    if len(asked) > limit:
        program.output.talk(f"the newest {limit:,} of {len(asked):,} questions; more with --limit {len(asked)}")
    return asked[-limit:]


def _show(
    program: Program, session: Session, found: Rerun, compared: Sequence[tuple[str, Comparison]], total: int
) -> None:
    from palaver.cli.compare import text_of

    texts = [(f"{task}: " if len(compared) > 1 else "") + text_of(one) for task, one in compared]
    if texts:
        program.output.show("\n\n".join(texts))
    output, ended = program.output, _ended(found)
    for turn, reason in found.skipped[:SHOWN]:
        output.warn(f"#{turn} was not asked again: {reason}")
    if len(found.skipped) > SHOWN:
        output.warn(f"and {len(found.skipped) - SHOWN:,} more were not")
    for sentence, count in found.drift()[:SHOWN]:
        output.warn(f"{sentence} ({count:,} turns)")
    counts = ", ".join(f"{count:,} {status}" for status, count in ended.items()) or "none"
    same = sum(one.is_same for one in found.pairs)
    line = f"{counts} of {total:,} asked again, {same:,} with the same answer"
    output.talk(f"{line}: palaver history list run:{session.run_id}" if found.pairs else line)


def _ended(found: Rerun) -> dict[str, int]:
    statuses = [one.after.status for one in found.pairs]
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def _record(session: Session, found: Rerun, compared: Sequence[tuple[str, Comparison]]) -> Mapping[str, object]:
    return {
        "schema": "palaver.rerun/1",
        "run": session.run_id,
        "turns": [
            {
                "before": one.before.id,
                "after": one.after.id,
                "task": one.before.task,
                "models": [one.before.model, one.after.model],
                "status": one.after.status,
                "same": one.is_same,
                "cached_from": one.after.cached_from,
            }
            for one in found.pairs
        ],
        "skipped": [{"turn": turn, "reason": reason} for turn, reason in found.skipped],
        "changed": [{"what": sentence, "turns": count} for sentence, count in found.drift()],
        "complete": not found.is_stopped,
        "comparisons": [{"task": task, **asdict(one)} for task, one in compared],
    }
