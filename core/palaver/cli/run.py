"""`palaver run TASK`: any task by its name, also one whose name a command has taken."""

from __future__ import annotations

import click

from palaver.cli.app import additions
from palaver.cli.program import Program
from palaver.errors import not_found


class Tasks(click.Group):
    """The tasks of the installed plugins as commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({"chat", *additions().tasks})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from palaver.cli.tasks import task_command

        task = ctx.ensure_object(Program).registry.tasks().get(cmd_name)
        return task_command(task) if task else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        command = self.get_command(ctx, args[0])
        if command is None:
            program = ctx.ensure_object(Program)
            error = not_found("task", args[0], program.registry.tasks(), fix="palaver plugins list")
            if len(args) > 1:
                program.record_failure(args[0], " ".join(args[1:]), error, is_kept="--no-log" not in args)
            raise error
        return args[0], command, args[1:]


command = Tasks(
    "run",
    help="Run a task by its name; `palaver translate` is short for `palaver run translate`.",
    subcommand_metavar="TASK [INPUT]... [OPTIONS]",
    no_args_is_help=False,
)
