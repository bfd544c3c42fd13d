"""`palaver plugins`: what is installed, what it adds, and whether it is used, without importing any of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from palaver.cli.output import table
from palaver.cli.program import Program, color_option, json_option, pass_program
from palaver.config import Settings, read_settings
from palaver.errors import UsageError, not_found
from palaver.plugins import Plugin, find, look, probe
from palaver.plugins.isolation import isolation_of


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
    plugins = looked(program, is_checked=is_checked)
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
            if one.reason:
                program.output.talk(f"{one.found.name}: {one.reason}")
    if is_checked and any(one.health == "broken" for one in plugins):
        context.exit(1)


@command.command("enable")
@click.argument("name", shell_complete=lambda context, parameter, begun: _names(begun))
@pass_program
def enable_plugin(program: Program, name: str) -> None:
    """Use a plugin again that was switched off, or set aside after it failed three times."""
    from palaver.plugins.failures import clear_failures
    from palaver.plugins.index import forget
    from palaver.plugins.switch import switch

    if name not in read_settings().plugins_off:
        _installed(name)
    clear_failures(name)
    forget(name)
    switch(name, is_on=True)
    program.output.talk(f"{name} is used from the next command on.")


@command.command("disable")
@click.argument("name", shell_complete=lambda context, parameter, begun: _names(begun))
@pass_program
def disable_plugin(program: Program, name: str) -> None:
    """Import a plugin no more, in whatever version it is installed, until it is enabled."""
    from palaver.plugins.switch import switch

    _installed(name)
    was_on = switch(name, is_on=False)
    program.output.talk(f"{name} is off." if was_on else f"{name} was off already.")


@command.command("info")
@click.argument("name", shell_complete=lambda context, parameter, begun: _names(begun))
@json_option
@color_option
@pass_program
def plugin_info(program: Program, name: str, as_json: bool) -> None:
    """Show all that is known about one plugin, without importing it."""
    _installed(name)
    plugin = next(one for one in looked(program) if one.found.name == name)
    if as_json:
        program.output.record({"schema": "palaver.plugin/1", **plugin_record(plugin)})
        return
    found = plugin.found
    rows = [
        ("plugin", found.name),
        ("package", f"{found.distribution} {found.version}"),
        ("module", found.module),
        ("state", _state(plugin)),
        *([] if found.is_built_in else [("runs", str(isolation_of(found)))]),
        *([("place", found.python or found.place)] if found.place else []),
        *([("reason", plugin.reason)] if plugin.reason else []),
        *([("import", f"{1000 * plugin.import_seconds:.0f} ms")] if plugin.import_seconds else []),
        *(("adds" if index == 0 else "", words) for index, words in enumerate(plugin.adds)),
    ]
    for head, text in rows:
        program.output.show(f"{head:<8} {text}")


@command.command("install")
@click.argument("specs", nargs=-1, required=True, metavar="NAME|FILE|FOLDER...")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would change, and change nothing.")
@click.option(
    "--isolate",
    "level",
    type=click.Choice(["process", "venv"]),
    default="process",
    help="venv: into an environment of the plugin's own.",
)
@pass_program
def install_plugins(program: Program, specs: tuple[str, ...], is_dry: bool, level: str) -> None:
    """Install packages with pip or uv, unless that would change what Palaver itself stands on."""
    from palaver.cli.plugin_install import install

    if level == "venv":
        from palaver.cli.plugin_isolate import install_apart

        for spec in specs:
            install_apart(program, spec, is_dry=is_dry)
        return
    install(program, specs, is_dry=is_dry)


@command.command("isolate")
@click.argument("name", shell_complete=lambda context, parameter, begun: _names(begun))
@click.argument("level", type=click.Choice(["inproc", "process", "venv"]))
@click.option(
    "--seconds", type=click.FloatRange(min=0.1), help="For one call, 30 if not said; then its process is ended."
)
@click.option(
    "--memory",
    type=click.IntRange(min=100),
    metavar="MB",
    help="Of address space, 4000 if not said; only Linux limits it.",
)
@pass_program
def isolate_plugin(program: Program, name: str, level: str, seconds: float | None, memory: int | None) -> None:
    """Run a plugin in a process of its own (the default), one with a virtual environment; inproc: in Palaver's."""
    from palaver.cli.plugin_isolate import isolate

    found = next((one for one in find() if one.name == name), None)
    if found is None:
        raise not_found("plugin", name, [one.name for one in find()], fix="palaver plugins list")
    isolate(program, found, level, seconds, memory)  # type: ignore[arg-type]


@command.command("update")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would change, and change nothing.")
@pass_program
def update_plugins(program: Program, names: tuple[str, ...], is_dry: bool) -> None:
    """Install the newest versions of plugins: of these, or of all that did not come with Palaver."""
    from palaver.cli.plugin_install import update

    update(program, names, is_dry=is_dry)


@command.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@pass_program
def remove_plugins(program: Program, names: tuple[str, ...]) -> None:
    """Uninstall the packages of plugins, broken ones too; what they wrote into history stays."""
    from palaver.cli.plugin_install import remove

    remove(program, names)


@command.command("new")
@click.argument("name")
@click.option(
    "--kind", default="task", metavar="task|metric|backend|dataset|screen", help="What it adds; a task if not said."
)
@pass_program
def new_plugin(program: Program, name: str, kind: str) -> None:
    """Write a plugin's project, with tests, into the folder palaver-NAME."""
    from palaver.cli.plugin_new import write_project

    folder = write_project(name, kind, Path())
    program.output.show(str(folder))
    program.output.talk(f"next: pip install -e './{folder}[test]', then palaver plugins check {folder}")


@command.command("dev")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--once", "is_once", is_flag=True, help="Check the files that are there, and end: 1 if one fails.")
@pass_program
@click.pass_context
def develop(context: click.Context, program: Program, folder: Path, is_once: bool) -> None:
    """Use the *.py files of FOLDER as plugins while this runs, and check each again when it is saved.

    Other commands and an open chat have them meanwhile, and read them anew when they change. Those in the folder
    `plugins` beside the settings are used always.
    """
    from palaver.cli.plugin_dev import watch

    context.exit(watch(program, folder, is_once=is_once))


@command.command("check")
@click.argument("target", default="", metavar="[NAME|FOLDER]")
@click.option("--no-packaging", "is_unpackaged", is_flag=True, help="Build and install no wheel.")
@json_option
@color_option
@click.pass_context
def check_plugin(context: click.Context, target: str, is_unpackaged: bool, as_json: bool) -> None:
    """Check a plugin against the contract: an installed one, or a project's folder. Exits with 1 if it fails."""
    from palaver.cli.plugin_check import check_plugins

    program = context.ensure_object(Program)
    if not check_plugins(program, target, as_json=as_json, is_packaged=not is_unpackaged):
        context.exit(1)


def _installed(name: str) -> None:
    known = [one.name for one in find()]
    if name not in known:
        raise not_found("plugin", name, known, fix="palaver plugins list")


def _names(begun: str) -> list[str]:
    return [one.name for one in find() if one.name.startswith(begun)]


def looked(program: Program, *, is_checked: bool = False) -> list[Plugin]:
    """The installed plugins as their metadata and the index have them; with `is_checked` each imported by a process."""
    settings = Settings()
    try:
        settings = read_settings()
    except UsageError as error:  # what is installed can be told without the settings
        program.output.warn(error.message)
    plugins = look(off=settings.plugins_off)
    if not is_checked:
        return plugins
    probe([one.found for one in plugins if one.health in ("unloaded", "broken")])
    return [
        replace(one, health="ok") if one.health == "unloaded" and one.is_known else one
        for one in look(off=settings.plugins_off)
    ]


def _state(plugin: Plugin) -> str:
    if plugin.health == "ok":
        return f"ok, {1000 * plugin.import_seconds:.0f} ms"
    if plugin.health == "unloaded":
        return "installed" if plugin.is_known else "not used yet"
    return plugin.health


def plugin_record(plugin: Plugin) -> dict[str, object]:
    """A plugin as JSON has it."""
    return {
        "name": plugin.found.name,
        "module": plugin.found.module,
        "package": plugin.found.distribution,
        "version": plugin.found.version,
        "health": plugin.health,
        "isolation": isolation_of(plugin.found).level,
        "reason": plugin.reason,
        "adds": list(plugin.adds),
        "import_seconds": plugin.import_seconds,
    }
