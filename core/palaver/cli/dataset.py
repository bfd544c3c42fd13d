"""`palaver dataset`: keep turns of history as examples to evaluate on, with where they come from."""

from __future__ import annotations

import re

import click

from palaver.cli.history import iso, when
from palaver.cli.output import table
from palaver.cli.program import Program, color_option, json_option, pass_program
from palaver.errors import BadInput, UsageError
from palaver.terminal import clip


@click.group("dataset")
def command() -> None:
    """Keep answered turns as a data set, with their provenance."""


@command.command("add")
@click.argument("name")
@click.argument("words", nargs=-1, required=True, metavar="FILTER...")
@pass_program
def add(program: Program, name: str, words: tuple[str, ...]) -> None:
    """Keep the turns that match FILTER, as in history, under NAME; those without a reference are left out.

    Each example keeps the turn and the model it comes from, and the origin of each reference. The texts are copies.
    """
    from palaver.sources import promoted
    from palaver.store import parse_filter

    if not re.fullmatch(r"[\w][\w.-]{0,99}", name):
        raise UsageError(f"A name is letters, digits, . _ and -, not '{name}'.")
    query = parse_filter(" ".join(words))
    with program.history() as store:
        turns = list(store.turns(query))
        good = [turn for turn in turns if turn.references and turn.status in ("complete", "truncated", "cancelled")]
        tasks = sorted({turn.task for turn in good})
        if not good:
            found = f"{len(turns)} turns match, and none has a reference" if turns else "No turn matches"
            raise BadInput(f"{found}.", fix="palaver history ref ID TEXT", code="empty_dataset")
        if len(tasks) > 1:
            raise BadInput(f"These turns are of several tasks: {', '.join(tasks)}.", fix=f"add task:{tasks[0]}")
        store.add_dataset(name, tasks[0], query.text, [promoted(turn) for turn in good])
    program.output.talk(f"{name}: {len(good)} examples of {tasks[0]}" + _left(len(turns) - len(good)))


def _left(count: int) -> str:
    return f"; {count} turns without a reference or an answer left out" if count else ""


@command.command("list")
@json_option
@color_option
@pass_program
def list_datasets(program: Program, as_json: bool) -> None:
    """List the data sets that are kept, and those that plugins have."""
    with program.history() as store:
        found = store.datasets()
    provided = program.registry.datasets()
    if as_json:
        rows: list[dict[str, object]] = [
            {"name": one.name, "task": one.task, "n": one.n, "source": one.source, "created": iso(one.created)}
            for one in found
        ]
        rows += [
            {"name": name, "tasks": list(one.tasks), "summary": one.summary, "plugin": plugin.found.name}
            for name, (one, plugin) in provided.items()
        ]
        program.output.record({"schema": "palaver.datasets/1", "datasets": rows})
    elif found or provided:
        shown = [(one.name, one.task, str(one.n), when(one.created), one.source) for one in found]
        shown += [
            (name, ", ".join(one.tasks), "", "", f"plugin {plugin.found.name}: {one.summary}")
            for name, (one, plugin) in provided.items()
        ]
        program.output.show(table(("name", "task", "n", "when", "from"), shown, right={2}))
    else:
        program.output.talk("No data set is kept: palaver dataset add NAME FILTER")


@command.command("show")
@click.argument("name")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most this many.")
@json_option
@color_option
@pass_program
def show(program: Program, name: str, limit: int, as_json: bool) -> None:
    """Show the examples of a data set with the turns that they come from."""
    with program.history() as store:
        found = store.dataset(name)
    items = found.items[:limit]
    if as_json:
        rows = [
            {
                "id": one.example_id,
                "inputs": one.inputs,
                "references": [
                    {"text": ref.text, "origin": ref.origin, "author": ref.author} for ref in one.references
                ],
                "turn": one.turn_id,
                "model": one.model,
                "language": one.language,
            }
            for one in items
        ]
        program.output.record({"schema": "palaver.dataset/1", "name": found.name, "task": found.task, "examples": rows})
        return
    shown = [
        (
            f"#{one.turn_id}",
            one.model,
            ", ".join(sorted({ref.origin for ref in one.references})),
            clip(" · ".join(ref.text for ref in one.references), 60),
            clip(list(one.inputs.values())[-1], 60),
        )
        for one in items
    ]
    program.output.show(table(("turn", "model", "origin", "references", "input"), shown))
    program.output.talk(f"{found.n} examples of {found.task}, from: {found.source}")
