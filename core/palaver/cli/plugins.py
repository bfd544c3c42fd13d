"""`palaver plugins`: what is installed and what it adds, without importing any of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import click

from palaver.cli.output import table
from palaver.cli.program import Program, color_option, json_option
from palaver.config import Settings, read_settings
from palaver.errors import UsageError
from palaver.plugins import Plugin, Plugins, index_key, read_index


@click.group("plugins", invoke_without_command=True)
@json_option
@color_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """See what is installed and what it adds."""
    if context.invoked_subcommand is None:
        context.invoke(list_plugins, as_json=as_json, is_checked=False)
    elif as_json:
        raise click.UsageError("--json stands after the command it belongs to.")


@command.command("list")
@click.option("--check", "is_checked", is_flag=True, help="Import each, and say why one does not work.")
@json_option
@color_option
@click.pass_context
def list_plugins(context: click.Context, as_json: bool, is_checked: bool) -> None:
    """List plugins by their package metadata; --check imports them, and exits with 1 if one is broken."""
    program = context.ensure_object(Program)
    plugins = look(program, is_checked=is_checked)
    if as_json:
        program.output.record({"schema": "palaver.plugins/1", "plugins": [plugin_record(one) for one in plugins]})
    else:
        rows = [
            (
                one.found.name,
                one.found.version,
                one.found.distribution,
                _state(one),
                one.reason or ", ".join(words.partition(": ")[0] for words in one.adds),
            )
            for one in plugins
        ]
        program.output.show(table(("plugin", "version", "package", "state", "adds"), rows))
        for one in plugins:
            if one.health == "broken":
                program.output.talk(f"{one.found.name}: {one.reason}")
    if is_checked and any(one.health == "broken" for one in plugins):
        context.exit(1)


def look(program: Program, *, is_checked: bool) -> Sequence[Plugin]:
    """The installed plugins: as their metadata and the index have them, or imported."""
    settings = Settings()
    try:
        settings = read_settings()
    except UsageError as error:  # what is installed can be told without the settings
        program.output.warn(error.message)
    plugins = Plugins(off=settings.plugins_off)
    if is_checked:
        plugins.load()
        return list(plugins)
    index = read_index()
    return [_remembered(one, index.get(index_key(one.found), ())) for one in plugins]


def _remembered(plugin: Plugin, words: tuple[str, ...]) -> Plugin:
    """The plugin as it was when it was last imported."""
    if plugin.health == "unloaded" and words and words[0].startswith("broken "):
        return replace(plugin, health="broken", reason=words[0].removeprefix("broken "))
    return replace(plugin, adds=words)


def _state(plugin: Plugin) -> str:
    if plugin.health == "ok":
        return f"ok, {1000 * plugin.import_seconds:.0f} ms"
    if plugin.health == "unloaded":
        return "installed" if plugin.adds else "not used yet"
    return plugin.health


def plugin_record(plugin: Plugin) -> dict[str, object]:
    """A plugin as JSON has it."""
    return {
        "name": plugin.found.name,
        "module": plugin.found.module,
        "package": plugin.found.distribution,
        "version": plugin.found.version,
        "health": plugin.health,
        "reason": plugin.reason,
        "adds": list(plugin.adds),
        "import_seconds": plugin.import_seconds,
    }
