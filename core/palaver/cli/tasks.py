"""A command for a task: its flags are the fields of the task's dataclass."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import click

from palaver.cli.program import Program, color_option, complete_metrics, complete_models, pass_program
from palaver.command import Typed
from palaver.decoding import DECODING
from palaver.errors import UsageError
from palaver.task import Option, Task
from palaver.terminal import safe_line

_TAKEN = ("model", "ref", "metric", "json", "jsonl", "lines", "log", "quiet", "color", "help", "option")
"""Flags that every task has; an option of the same name is reached with `-o`."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One task as the command line asks for it, before any file is read."""

    task: type[Task]
    typed: Typed
    metrics: tuple[str, ...] = ()
    is_json: bool = False
    is_by_line: bool = False
    """Each line of the last input is an input of its own."""
    is_kept: bool = True
    """Goes into history."""
    is_cached: bool = True
    """An answer that history has to the same request will do."""
    written: tuple[str, ...] = field(default=())
    """The arguments as they were typed, for the record of what could not be understood."""


class TaskCommand(click.Command):
    """A click command that leaves a failed turn behind when its arguments cannot be understood."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["palaver.written"] = tuple(args)
        try:
            return super().parse_args(ctx, list(args))
        except click.UsageError as error:
            told = UsageError(error.format_message(), fix=f"palaver {self.name} --help", code="unknown_option")
            is_kept = "--no-log" not in args
            ctx.ensure_object(Program).record_failure(self.name or "", " ".join(args), told, is_kept=is_kept)
            raise told from error


def task_command(task: type[Task]) -> click.Command:
    """The command that runs a task."""
    names = " ".join(f"[{name.upper()}|-|@FILE]" for name in task.inputs)
    arguments = "".join(f"{name.upper()} " for name in task.arguments)
    options: list[click.Parameter] = [_flag(option) for option in task.schema() if option.name not in _TAKEN]
    words = click.Argument(["words"], nargs=-1, metavar=f"{arguments}{names}")
    command = TaskCommand(
        task.name,
        params=[words, *options],
        callback=_perform(task),
        help=f"{safe_line(task.summary())}\n\n{_HELP}",
        short_help=safe_line(task.summary()),
    )
    for decorate in _SHARED:
        command = decorate(command)
    taken = {option.name for option in task.schema()}
    command.params += [_flag(_decoding(name)) for name in DECODING if name not in taken]
    return command


_HELP = (
    "An input is a text, @FILE, or - for stdin; a last input that is missing comes from stdin. The answer goes to "
    "stdout, all else to stderr."
)

_SHARED = (
    click.option(
        "-m",
        "--model",
        default="",
        metavar="MODEL",
        shell_complete=complete_models,
        help="Which model answers: see palaver models list.",
    ),
    click.option("-o", "--option", "pairs", multiple=True, metavar="KEY=VALUE", help="Any option, also temperature=0."),
    click.option("-r", "--ref", "references", multiple=True, metavar="TEXT|@FILE", help="A good answer to score by."),
    click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="A,B",
        shell_complete=complete_metrics,
        help="Score by these instead of the task's own.",
    ),
    click.option("--lines", "is_by_line", is_flag=True, help="One input a line, one output line each, in order."),
    click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the answer."),
    click.option("--jsonl", "is_jsonl", is_flag=True, help="The same, one object a line, for --lines."),
    click.option("--no-cache", "is_asked", is_flag=True, help="Ask the model also what it has answered before."),
    click.option("--no-log", "is_unlogged", is_flag=True, help="Leave nothing in history."),
    click.option(
        "--no-daemon",
        "is_alone",
        is_flag=True,
        envvar="PALAVER_NO_DAEMON",
        help="Load the model for this command alone, instead of keeping it warm for the next.",
    ),
    click.option("--quiet", "is_quiet", is_flag=True, help="Nothing on stderr but errors."),
    color_option,
)


_DECODING_HELP = {
    "max_new_tokens": "Tokens at which an answer is cut off.",
    "temperature": "0 always takes the likeliest token.",
    "top_p": "Sample from the likeliest tokens with this much probability.",
    "top_k": "Sample from this many likeliest tokens; 0 is all.",
    "seed": "The same seed gives the same sample.",
}


def _decoding(name: str) -> Option:
    kind = float if name in ("temperature", "top_p") else int
    return Option(name, kind, None, _DECODING_HELP.get(name, ""))


def _flag(option: Option) -> click.Option:
    shown = "|".join(option.choices) or {int: "N", float: "X", bool: "yes|no"}.get(option.type, "TEXT")
    is_set = option.default not in (None, "")
    helped = option.help + (f"  [default: {option.default}]" if is_set else "")
    # Values stay text: the task itself says what is wrong with them, in words that history keeps.
    flags = [f"--{name.replace('_', '-')}" for name in (option.name, *option.aliases)]
    return click.Option([*flags, _OWN + option.name], metavar=shown, help=safe_line(helped))


_OWN = "own_"
"""Before the names of a task's options, which may be called like a parameter of the command: `words`, `pairs`."""


def _perform(task: type[Task]) -> Callable[..., None]:
    @pass_program
    @click.pass_context
    def perform(
        context: click.Context,
        program: Program,
        /,
        words: tuple[str, ...],
        model: str,
        pairs: tuple[str, ...],
        references: tuple[str, ...],
        metrics: tuple[str, ...],
        is_by_line: bool,
        is_json: bool,
        is_jsonl: bool,
        is_asked: bool,
        is_unlogged: bool,
        is_alone: bool,
        is_quiet: bool,
        **flags: str | None,
    ) -> None:
        program.registry.shares_engine = not is_alone
        from palaver.cli.answer import answer  # the session and what it needs: paid by whoever asks

        program.output.quiet = program.output.quiet or is_quiet
        written = context.meta.get("palaver.written", ())
        try:
            given = {name.removeprefix(_OWN): value for name, value in flags.items() if value is not None}
            options = given | _pairs(pairs)
        except UsageError as error:
            program.record_failure(task.name, " ".join(written), error, is_kept=not is_unlogged)
            raise
        wanted = Invocation(
            task,
            Typed(words, options, references, model),
            tuple(name.strip() for one in metrics for name in one.split(",") if name.strip()),
            is_json or is_jsonl,
            is_by_line,
            not is_unlogged,
            not is_asked,
            written,
        )
        context.exit(answer(program, wanted, stdin=sys.stdin))

    return perform


def _pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"-o takes KEY=VALUE, not '{pair}'.", fix="as in: -o temperature=0")
        found[key.strip().replace("-", "_")] = value
    return found
