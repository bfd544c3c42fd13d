"""`palaver models load` and `default`: which model answers, and one that is ready before it is asked."""

from __future__ import annotations

import os

import click

from palaver.cli.output import Progress, table
from palaver.cli.program import Program, color_option, complete_models, pass_program
from palaver.errors import BadInput, ModelFailed, PalaverError


@click.command("load")
@click.argument("name", shell_complete=complete_models)
@color_option
@pass_program
def load(program: Program, name: str) -> None:
    """Load a model into the engine now: the next command finds it warm."""
    from palaver.cli.stop import Stop
    from palaver.cli.waiting import Waiting
    from palaver.warm import WarmModel

    registry = program.registry
    registry.shares_engine = not os.environ.get("PALAVER_NO_DAEMON")
    info = registry.installed(name)
    model = registry.model(name)
    if not isinstance(model, WarmModel):
        if registry.shares_engine:
            raise BadInput(f"{info.name} has no weights of its own to load.", fix="palaver models list")
        raise ModelFailed("There is no engine: PALAVER_NO_DAEMON is set.", fix="unset PALAVER_NO_DAEMON")
    line = Progress(program.output)
    with Stop(program.output) as stop, Waiting(line.show) as waiting:
        waiting.begin(f"loading {info.name}")
        try:
            is_warm = model.load(stop.event)
        finally:
            waiting.end()
            line.clear()
    registry.close()
    if stop.event.is_set():
        program.output.talk("Stopped; the engine may still be loading.")
    elif not is_warm:
        raise ModelFailed("The engine cannot be started here.", fix="palaver doctor")
    else:
        where = " ".join(filter(None, (model.info.device, model.info.dtype)))
        program.output.talk(
            f"{info.name} is loaded ({where}). It goes after ten minutes without work, or: palaver models unload"
        )


@click.command("default")
@click.argument("names", metavar="[[TASK] NAME]", nargs=-1)
@color_option
@pass_program
def default(program: Program, names: tuple[str, ...]) -> None:
    """Choose the model for a task, or for all; without a name, tell which one answers what."""
    from palaver.config import set_default

    registry = program.registry
    if len(names) > 2:
        raise click.UsageError("At most a task and a model.")
    if not names:
        from palaver.stock import stock

        rows = [(task, *_answers(program, task)) for task in registry.tasks()]
        made = [
            (task, one.info.name) for one in stock(registry) for task in one.answers if task not in registry.tasks()
        ]
        rows += [(task, name, "made for the pair") for task, name in sorted(made)]
        program.output.show(table(("task", "model", "chosen by"), rows))
        return
    *task, name = names
    if task:
        registry.task(task[0])
        info = registry.choose(task[0], name)
    else:
        info = registry.installed(name)
    named = {one.name for one in registry.models()}
    stored = name if named & {info.name, info.name.rpartition("@")[0]} else _from_anywhere(name)
    path = set_default(stored, task=task[0] if task else "")
    program.output.talk(f"{name} answers {task[0] if task else 'every task without a default of its own'} now: {path}")


def _from_anywhere(name: str) -> str:
    """The name, or the path that it is or stands for in a form that means the same from any folder."""
    from palaver import nicknames

    if given := nicknames.whole(nicknames.meant(name)) or nicknames.whole(name):
        return given
    base, at, form = name.rpartition("@")
    place = nicknames.whole(nicknames.meant(base)) or nicknames.whole(base)
    return f"{place}{at}{form}" if place else name


def _answers(program: Program, task: str) -> tuple[str, str]:
    registry = program.registry
    settings = registry.settings
    try:
        name = registry.choose(task).name
    except PalaverError as error:
        name = f"none: {error.message}"
    return name, "settings" if settings.models.get(task) or settings.model else "palaver"
