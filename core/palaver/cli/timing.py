"""`palaver models time`: which engine streams a model fastest on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import click

from palaver.cli.output import Output, Progress, table
from palaver.cli.program import Program, color_option, complete_models, json_option, pass_program
from palaver.errors import PalaverError
from palaver.model import ModelInfo
from palaver.present import format_seconds, format_size
from palaver.timing import ANSWER, Timing, fastest


@click.command("time")
@click.argument("name", shell_complete=complete_models)
@click.option(
    "--forget", "is_forgotten", is_flag=True, help="Forget what was measured; the model's own engine answers."
)
@json_option
@color_option
@pass_program
@click.pass_context
def time_model(context: click.Context, program: Program, name: str, is_forgotten: bool, as_json: bool) -> None:
    """Measure the engines that can compute a model here; chats and single answers take the fastest from then on.

    It is the one that ends an answer of 512 tokens first, loading included. `-m BACKEND:NAME` names another.
    """
    info = program.registry.installed(name)
    if is_forgotten:
        from palaver.timing import forget

        forget(info.path)
        program.output.talk(f"{info.name} is answered by {info.backend}, its own engine.")
        return
    timings = measure(program, info)
    if not timings:
        context.exit(130)
    if as_json:
        program.output.record(record(info, timings))
    else:
        show(program.output, info, timings)


def time_once(program: Program, info: ModelInfo) -> None:
    """Measure the engines of a model that has several and was not measured; the user may stop it."""
    from palaver.streams import is_to_be_timed, verdict

    if not is_to_be_timed(program.registry, info):
        return
    program.output.talk("Several engines can compute it: measuring them once, ctrl+c skips that.")
    try:
        timings = measure(program, info)
    except PalaverError as error:  # the model is here all the same
        program.output.warn(f"it could not be timed: {error.message}")
        return
    if timings:
        program.output.talk(f"{info.name} is streamed by {verdict(timings)}")


def measure(program: Program, info: ModelInfo) -> list[Timing]:
    """The measured engines, with progress on stderr; empty if the user stopped it."""
    from palaver import streams
    from palaver.cli.stop import Stop
    from palaver.cli.waiting import Waiting

    line = Progress(program.output)
    try:
        with Stop(program.output) as stop, Waiting(line.show) as waiting:
            return streams.measure(program.registry, info, stop.event, waiting.step)
    finally:
        line.clear()
        program.registry.close()


def show(output: Output, info: ModelInfo, timings: Sequence[Timing]) -> None:
    """A row an engine, and what follows."""
    from palaver.streams import verdict

    best = fastest(timings)
    rows = [
        (
            one.model,
            one.backend,
            format_seconds(one.start_seconds),
            format_seconds(one.first_token_seconds),
            f"{one.tokens_per_second:.0f}",
            format_seconds(one.seconds()),
            format_size(one.memory_bytes),
        )
        for one in timings
    ]
    heads = ("model", "engine", "first token, cold", "loaded", "tokens/s", f"{ANSWER} tokens", "memory")
    output.show(table(heads, rows, right={2, 3, 4, 5, 6}))
    output.talk(f"{info.name} is streamed by {verdict(timings)}")
    for one in timings:
        if one is not best:
            wish = one.model if "@" in one.model else f"{one.backend}:{one.model}"
            output.talk(f"-m {wish} names the other; palaver models default chat {wish} for every chat")


def record(info: ModelInfo, timings: Sequence[Timing]) -> Mapping[str, object]:
    """What was measured as `palaver.timing/1`."""
    rows = [{**asdict(one), "answer_seconds": one.seconds()} for one in timings]
    return {"schema": "palaver.timing/1", "name": info.name, "streams": fastest(timings).model, "engines": rows}
