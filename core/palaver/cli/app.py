"""The `palaver` command: what belongs to it is found by name and imported when it is run."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

import click

from palaver.cli.output import is_terminal, prepare_streams, report, write
from palaver.cli.program import Program, color_option
from palaver.errors import PalaverError, UsageError, not_found
from palaver.terminal import safe_line, safe_text

COMMANDS = {
    "run": "Run a task by its name, as in: palaver run translate de @notes.md",
    "eval": "Run a task over a data set, and score the models that did it.",
    "compare": "Say which evaluation is better, and whether chance could have done it.",
    "gate": "Exit with 0 if a run is not worse than another, for use in CI.",
    "score": "Score a file of outputs against a file of references.",
    "rescore": "Score what is in history by another metric.",
    "dataset": "Keep turns as examples to evaluate on.",
    "history": "List, search, show, score and export what was asked before.",
    "models": "List models, and download them.",
    "plugins": "List what is installed and what it adds.",
    "doctor": "Say what is missing or broken, and the command that fixes it.",
}
"""The core's own commands, each in the module of its name."""


@dataclass(frozen=True, slots=True)
class Additions:
    """What plugins add to the command line, as the index remembers it; nothing is imported to know it."""

    tasks: Mapping[str, str]
    """Name of the task to its help; a third party's says which plugin it is from."""
    commands: Mapping[str, str]
    unknown: tuple[str, ...]
    """Plugins that have not been imported yet in this version."""


def additions() -> Additions:
    """The tasks and commands of the installed plugins; a new one is looked at by a process of its own."""
    from palaver.plugins import look, probe

    off = _off()
    plugins = look(off=off)
    if unknown := [one.found for one in plugins if one.health == "unloaded" and not one.is_known]:
        probe(unknown)
        plugins = look(off=off)
    told_of: dict[str, dict[str, str]] = {"task": {}, "command": {}}
    for plugin in plugins:
        if plugin.health != "unloaded":
            continue
        whose = "" if plugin.found.is_built_in else f" ({plugin.found.name} {plugin.found.version})"
        for words in plugin.adds:
            kind, _, rest = words.partition(" ")
            name, _, told = rest.partition(": ")
            if kind in told_of and name:
                free = name if name not in told_of[kind] else f"{plugin.found.name}/{name}"
                told_of[kind][free] = told + whose
    unknown_names = tuple(one.found.name for one in plugins if one.health == "unloaded" and not one.is_known)
    return Additions(told_of["task"], told_of["command"], unknown_names)


def _off() -> tuple[str, ...]:
    from palaver.config import read_settings

    with contextlib.suppress(PalaverError):  # help must not fail over a comma in the settings
        return read_settings().plugins_off
    return ()


class Palaver(click.Group):
    """A group whose commands are the core's, then the plugins' tasks, then the commands that plugins add."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        known = additions()
        return sorted({*COMMANDS, *known.tasks, *known.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command = import_module(f"palaver.cli.{cmd_name}").command
            assert isinstance(command, click.Command)
            return command
        if (remembered := remembered_command(cmd_name)) is not None:
            return remembered
        program = ctx.ensure_object(Program)
        tasks = program.registry.tasks()
        # `chat` is a task of the core and the front end's command: the command is what `palaver chat` means.
        if cmd_name not in tasks or cmd_name == "chat":
            command = plugin_commands(program).get(cmd_name)
            if command is not None or cmd_name not in tasks:
                return command
        from palaver.cli.tasks import task_command

        return task_command(tasks[cmd_name])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, rest = args[0], args[1:]
        command = self.get_command(ctx, name)
        if command is None:
            program = ctx.ensure_object(Program)
            known = {*COMMANDS, *program.registry.tasks(), *plugin_commands(program)}
            error = not_found("task" if _holds_text(rest) else "command", name, known, fix="palaver --help")
            if _holds_text(rest):
                program.record_failure(name, " ".join(rest), error, is_kept="--no-log" not in rest)
            raise error
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        known = additions()
        sections = {
            "Tasks": [(safe_line(name), safe_line(told)) for name, told in sorted(known.tasks.items())],
            "Commands": list(COMMANDS.items())
            + [(safe_line(name), safe_line(told)) for name, told in sorted(known.commands.items())],
            "Plugins": [(safe_line(name), "installed, not used yet") for name in known.unknown],
        }
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def remembered_command(name: str) -> click.Command | None:
    """The command that the index says one plugin adds, so that the others need not be imported before it runs."""
    from palaver.plugins import Plugins, look, read_index

    def adds(words: Sequence[str]) -> bool:
        return any(one.startswith(f"command {name}:") for one in words)

    if not any(adds(entry.adds) for entry in read_index().values()):
        return None
    owner = next((one.found for one in look(off=_off()) if one.health == "unloaded" and adds(one.adds)), None)
    if owner is None:
        return None
    plugins, group = Plugins([owner]), click.Group("palaver")
    plugins.load()
    plugins.call("palaver_commands", group=group)
    return group.commands.get(name)


def plugin_commands(program: Program) -> Mapping[str, click.Command]:
    """The commands that working plugins add."""
    program.registry.tasks()  # imports the plugins
    group = click.Group("palaver")
    program.registry.plugins.call("palaver_commands", group=group)
    return group.commands


def _enter_safe_mode(context: click.Context) -> None:
    """Processes that this command starts are to know it too, so the environment says it."""
    before = os.environ.get("PALAVER_SAFE_MODE")
    os.environ["PALAVER_SAFE_MODE"] = "1"

    def leave() -> None:
        os.environ.pop("PALAVER_SAFE_MODE", None)
        if before is not None:
            os.environ["PALAVER_SAFE_MODE"] = before

    context.call_on_close(leave)


def _holds_text(arguments: Sequence[str]) -> bool:
    return any(not one.startswith("-") or one == "-" for one in arguments)


@click.group(
    cls=Palaver,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a command: the terminal UI. A task's own help: palaver translate --help",
)
@click.version_option(message="palaver %(version)s", package_name="palaver")
@click.option(
    "--safe-mode",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, parameter, value: _enter_safe_mode(context) if value else None,
    help="Use no plugin but those that came with Palaver.",
)
@color_option
@click.pass_context
def palaver(context: click.Context) -> None:
    """Chat with local models, score what they answer, keep it, compare. Every turn is an experiment."""
    if context.invoked_subcommand is not None:
        return
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        write(sys.stderr, context.get_help() + "\n")
        context.exit(2)
    program = context.ensure_object(Program)
    chat = remembered_command("chat") or plugin_commands(program).get("chat")
    if chat is None:
        broken = [f"{one.found.name}: {one.reason}" for one in program.registry.plugins if one.health == "broken"]
        raise PalaverError(
            "No plugin provides the terminal UI." + (f" Broken: {'; '.join(broken)}." if broken else ""),
            fix="palaver plugins list --check",
        )
    with chat.make_context("chat", [], parent=context) as inner:
        inner.command.invoke(inner)  # of a plugin in a process of its own the command is known only now


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; every error is told on stderr."""
    prepare_streams()
    if "_PALAVER_COMPLETE" in os.environ:  # the shell asks what could follow
        palaver.main(list(arguments), prog_name="palaver", standalone_mode=True)
    as_json = wants_json(arguments)
    try:
        # Not `palaver.main`: it turns a reader that has gone into exit code 1.
        with palaver.make_context("palaver", list(arguments)) as context:
            palaver.invoke(context)
        write(sys.stdout, "")
    except click.exceptions.Exit as done:
        return done.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        _forget_stdout()
        return 0
    except PalaverError as error:
        report(error, as_json=as_json)
        return error.exit_code
    except click.ClickException as error:
        told = as_palaver_error(error)
        report(told, as_json=as_json)
        return told.exit_code
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        report(PalaverError(f"The system refused: {error.strerror or error}{where}."), as_json=as_json)
        return 1
    except Exception:  # a bug, here or in a plugin: its trace is foreign text too
        write(sys.stderr, safe_text(traceback.format_exc()))
        report(PalaverError("This is a bug. The lines above say where.", code="bug"), as_json=as_json)
        return 1
    return 0


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether errors are to be told as JSON too."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in before or "--jsonl" in before


def as_palaver_error(error: click.ClickException) -> PalaverError:
    """What click has to say, in the form of all other errors."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    fix = f"{context.command_path} --help" if context is not None else "palaver --help"
    message = error.format_message()
    return UsageError(message if message.endswith((".", "?", "!")) else f"{message}.", fix=fix)


def _forget_stdout() -> None:
    """Let nothing more be written to a pipe without a reader, least of all when the interpreter ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
