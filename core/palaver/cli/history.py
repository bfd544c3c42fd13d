"""`palaver history`: what was asked before, found again, shown whole, rated, scored, deleted."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from palaver.cli.output import is_terminal, table
from palaver.cli.paired import seed_option, settings_of, trials_option
from palaver.cli.program import Program, color_option, complete_models, json_option, pass_program
from palaver.errors import UsageError
from palaver.present import format_value

if TYPE_CHECKING:
    from palaver.store import Filter, TurnLine

    NumberType = click.ParamType[int]
else:
    NumberType = click.ParamType  # not generic before click 8.4

SHOWN = 20
"""Turns that a list has unless told otherwise."""


class TurnNumber(NumberType):
    """`12` or `#12`."""

    name = "ID"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        digits = str(value).removeprefix("#")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
            raise UsageError(f"A turn has a number, such as 12 or #12, not '{value}'.", fix="palaver history")
        return int(digits)


TURN = TurnNumber()


@click.group("history", invoke_without_command=True)
@json_option
@color_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Find what was asked before; without a command, the newest turns."""
    if context.invoked_subcommand is None:
        context.invoke(list_turns, words=(), limit=SHOWN, as_json=as_json)
    elif as_json:
        raise click.UsageError("--json stands after the command it belongs to.")


@command.command("list")
@click.argument("words", nargs=-1, metavar="[FILTER]...")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="At most this many.")
@json_option
@color_option
@pass_program
def list_turns(program: Program, words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List turns, newest first.

    FILTER is words to find and any of task:translate model:opus* is:failed has:ref rating>3 chrf<50 since:7d run:3.
    Also since:today and until:24h. Words are whole: kat* finds beginnings, *atz* what is inside words of the newest
    turns. A leading minus negates: 'cat -draft'.
    """
    from palaver.store import parse_filter

    _list(program, parse_filter(" ".join(words)), limit, as_json)


@command.command("search")
@click.argument("words", nargs=-1, required=True)
@click.option("-n", "--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="At most this many.")
@json_option
@color_option
@pass_program
def search(program: Program, words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List the turns that have all WORDS in their input, output, references or note.

    Case and accents do not count. A word is found whole: kat* finds what begins so, *atz* what has it inside (among the
    newest 20,000 turns).
    """
    from palaver.store import parse_filter

    # In quotes every word is a text, also one that looks like a filter.
    quoted = " ".join('"' + word.replace('"', " ") + '"' for one in words for word in one.split())
    _list(program, parse_filter(quoted), limit, as_json)


def _list(program: Program, query: Filter, limit: int, as_json: bool) -> None:
    with program.history() as store:
        found = store.page(query, limit=limit)
        total = store.count(query)
    if as_json:
        turns = [line_record(line) for line in found]
        program.output.record({"schema": "palaver.history/1", "total": total, "turns": turns})
        return
    if found:
        head = ("id", "when", "task", "model", "score", "output")
        program.output.show(table(head, [_row(line) for line in found], right={0}))
    if total > len(found):
        program.output.talk(f"{len(found)} of {total} turns; more with --limit {total}")
    elif not found:
        program.output.talk(f"No turn matches. {query.advice}".rstrip() if query else "Nothing has been asked yet.")
    if found and query.is_recent_only:
        program.output.talk(query.advice)


def _row(line: TurnLine) -> tuple[str, ...]:
    score = f"{line.main[0]} {format_value(*line.main)}" if line.main and line.main[1] is not None else ""
    shown = line.output_start
    if line.status == "failed":
        shown = f"! failed: {line.error}"
    elif line.status != "complete":
        shown = f"({line.status}) {shown}"
    return str(line.id), when(line.created), line.task, line.model, score, shown


def when(moment: float) -> str:
    """A Unix time as people say it: the hour today, the day before that."""
    there, now = time.localtime(moment), time.localtime()
    if there[:3] == now[:3]:
        return time.strftime("%H:%M", there)
    return time.strftime("%d %b %H:%M" if there[0] == now[0] else "%Y-%m-%d", there)


def line_record(line: TurnLine) -> Mapping[str, object]:
    """A line of the list as JSON has it."""
    scores = [{"name": one[0], "value": one[1]} for one in (line.main, line.second) if one]
    return {
        "id": line.id,
        "created": iso(line.created),
        "task": line.task,
        "model": line.model,
        "status": line.status,
        "input": line.input_start,
        "output": line.output_start,
        "error": line.error,
        "scores": scores,
        "rating": line.rating,
    }


def iso(moment: float) -> str:
    """A Unix time as ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


@command.command("show")
@click.argument("turn", type=TURN)
@json_option
@color_option
@pass_program
def show(program: Program, turn: int, as_json: bool) -> None:
    """Show all there is about one turn: what was sent, what came back, scores with their signatures."""
    from palaver.cli.turn import show_turn, whole_record

    with program.history() as store:
        found = store.turn(turn)
    if as_json:
        program.output.record(whole_record(found))
    else:
        show_turn(program.output, found)


@command.command("export")
@click.argument("words", nargs=-1, metavar="[FILTER]...")
@click.option("--format", "form", default="", metavar="jsonl|csv|md|txt|...", help="Else by the name; jsonl.")
@click.option("-o", "--output", "target", default="", metavar="FILE", help="Where to; stdout if not given.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@color_option
@pass_program
def export(program: Program, words: tuple[str, ...], form: str, target: str, force: bool) -> None:
    """Write turns as files that other programs read, oldest first."""
    from palaver.cli.export import export_to_file, export_to_stdout
    from palaver.store import parse_filter

    query = parse_filter(" ".join(words))
    with program.history() as store:
        if target in ("", "-"):
            export_to_stdout(program, store.turns(query), form or "jsonl")
        else:
            written = export_to_file(program, store.turns(query), form, target, is_forced=force)
            program.output.talk(f"{written} turns in {target}")


@command.command("rerun")
@click.argument("words", nargs=-1, required=True, metavar="FILTER...")
@click.option("-m", "--model", default="", shell_complete=complete_models, help="Who answers; else whoever did then.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most this many.")
@click.option("--no-cache", "is_uncached", is_flag=True, help="Ask again what MODEL has answered before.")
@trials_option
@seed_option
@json_option
@color_option
@pass_program
@click.pass_context
def rerun(
    context: click.Context,
    program: Program,
    words: tuple[str, ...],
    model: str,
    limit: int,
    is_uncached: bool,
    trials: int,
    seed: int,
    as_json: bool,
) -> None:
    """Ask again what the turns that match FILTER asked, and compare the answers of now with those of then.

    Options, parameters, seed and references are those of then. With -m answers that MODEL gave are left out.
    """
    from palaver.cli.history_rerun import rerun as ask_again

    settings = settings_of(trials, seed)
    is_cached = not is_uncached
    code = ask_again(program, words, model=model, limit=limit, is_cached=is_cached, settings=settings, as_json=as_json)
    context.exit(code)


@command.command("merge")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@pass_program
def merge(program: Program, files: tuple[str, ...]) -> None:
    """Take over the runs of other history files: of shards, of another machine. What is here already is left out."""
    with program.history() as store:
        for file in files:
            found = store.merge(Path(file).expanduser())
            known = f"; {found.known:,} runs were here already" if found.known else ""
            program.output.talk(f"{found.turns:,} turns of {found.runs:,} runs from {file}{known}")


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--format", "form", required=True, metavar="NAME", help="llm, chatgpt, sacrebleu, lm-eval, a plugin's.")
@click.option("--task", default="", help="The task that these turns are of, where the files do not say it.")
@click.option("-m", "--model", default="", help="The model that answered, where the files do not say it.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Read the files, and write nothing.")
@click.option("--again", "is_again", is_flag=True, help="Import files that were imported before.")
@pass_program
@click.pass_context
def import_turns(
    context: click.Context,
    program: Program,
    files: tuple[Path, ...],
    form: str,
    task: str,
    model: str,
    is_dry: bool,
    is_again: bool,
) -> None:
    """Read turns that another program has kept; each says where it is from, and what is not known of it.

    llm: logs.db of `llm`. chatgpt: conversations.json of a ChatGPT export. sacrebleu: SOURCES OUTPUTS [REFERENCES...],
    one a line. lm-eval: samples_*.jsonl. Exits with 4 if a record was no turn.
    """
    from palaver.cli.history_import import import_files

    context.exit(import_files(program, form, files, task=task, model=model, is_dry=is_dry, is_again=is_again))


@command.command("rate")
@click.argument("turn", type=TURN)
@click.argument("stars", type=click.IntRange(0, 5))
@pass_program
def rate(program: Program, turn: int, stars: int) -> None:
    """Give a turn 1 to 5 STARS; 0 takes them back."""
    with program.history() as store:
        store.rate(turn, stars or None)
    program.output.talk(f"#{turn} has {stars} of 5." if stars else f"#{turn} has no rating.")


@command.command("note")
@click.argument("turn", type=TURN)
@click.argument("text")
@pass_program
def note(program: Program, turn: int, text: str) -> None:
    """Write a note to a turn; an empty TEXT removes it."""
    with program.history() as store:
        store.note(turn, text)
    program.output.talk(f"#{turn} is noted." if text else f"#{turn} has no note.")


@command.command("ref")
@click.argument("turn", type=TURN)
@click.argument("texts", nargs=-1, required=True, metavar="TEXT|@FILE...")
@click.option("--replace", is_flag=True, help="Instead of the references it has.")
@json_option
@color_option
@pass_program
def ref(program: Program, turn: int, texts: tuple[str, ...], replace: bool, as_json: bool) -> None:
    """Give a turn references, and print what its answer scores by them."""
    from palaver.cli.answer import record, scores_line
    from palaver.command import read_text
    from palaver.session import Session

    with program.history() as store:
        session = Session(program.registry, store)
        try:
            give = session.replace_references if replace else session.add_references
            found = give(turn, [read_text(text) for text in texts])
            if as_json:
                program.output.record(record(found))
            elif found.scores:
                program.output.show(scores_line(session, found))
        finally:
            session.close()


@command.command("votes")
@click.argument("models", nargs=-1, shell_complete=complete_models, metavar="[MODEL]...")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="At most this many.")
@json_option
@color_option
@pass_program
def list_votes(program: Program, models: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List which of two answers people found better, newest first; with MODELs only votes between these."""
    with program.history() as store:
        found = store.votes(models, limit=limit)
    if as_json:
        votes = [{**asdict(one), "created": iso(one.created)} for one in found]
        program.output.record({"schema": "palaver.votes/1", "votes": votes})
        return
    rows = [
        (
            str(one.id),
            when(one.created),
            f"{one.winner_model} #{one.winner}",
            "as good as" if one.is_tie else "better than",
            f"{one.loser_model} #{one.loser}",
            "blind" if one.is_blind else "names seen",
        )
        for one in found
    ]
    if rows:
        program.output.show(table(("id", "when", "answer", "is", "the other", "judged"), rows, right={0}))
    else:
        program.output.talk("No votes between these." if models else "No votes yet: the Compare screen takes them.")


@command.command("delete")
@click.argument("turns", type=TURN, nargs=-1, required=True, metavar="ID...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_program
def delete(program: Program, turns: tuple[int, ...], yes: bool) -> None:
    """Delete turns with their scores, for good."""
    if not yes and not is_terminal(sys.stdin):
        raise UsageError("Deleting is for good.", fix="say so with --yes")
    with program.history() as store:
        for number in turns:
            store.turn(number)  # a number that no turn has stops all
        if not yes:
            click.confirm(f"Delete {len(turns)} turns for good?", abort=True, err=True)
        program.output.talk(f"{store.delete(turns)} turns deleted.")
