"""`palaver models`: what can answer, what is on this machine, and how to get the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from palaver.choice import spoken
from palaver.cli.default import default, load
from palaver.cli.output import Output, Progress, table
from palaver.cli.program import Program, color_option, complete_models, json_option, pass_program
from palaver.cli.timing import time_model, time_once
from palaver.errors import PalaverError
from palaver.present import format_seconds, format_size

if TYPE_CHECKING:
    from palaver.model import ModelInfo
    from palaver.pull import PullProgress
    from palaver.stock import Stocked

REPORT_SECONDS = 10.0
"""Between two lines of progress where there is no terminal; a quarter of the way is told at once."""


@click.group("models", invoke_without_command=True)
@json_option
@color_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """See which models there are, and download them."""
    if context.invoked_subcommand is None:
        context.invoke(list_models, as_json=as_json)
    elif as_json:
        raise click.UsageError("--json stands after the command it belongs to.")


command.add_command(load)
command.add_command(default)
command.add_command(time_model)


@command.command("list")
@json_option
@color_option
@pass_program
def list_models(program: Program, as_json: bool) -> None:
    """List the models: state, size, licence, and the tasks they do, with * those they do well."""
    from palaver.stock import stock

    found = stock(program.registry)
    if as_json:
        program.output.record({"schema": "palaver.models/1", "models": [model_record(one) for one in found]})
        return
    rows = [(one.info.name, state(one), _size(one.info), one.info.licence, _tasks(one.info)) for one in found]
    if rows:
        program.output.show(table(("model", "state", "size", "licence", "tasks"), rows, right={2}))
    else:
        program.output.talk("No plugin provides a model.")
    for one in found:
        if one.state == "broken":
            program.output.talk(f"{one.info.name} is broken: {one.reason} To mend it: {one.fix}")


def state(one: Stocked) -> str:
    """Whether it can be used now."""
    if one.state == "absent" and one.arrived_bytes:
        return f"↓ {format_size(one.arrived_bytes)} are here"
    if one.state == "loaded":
        return f"● loaded, {format_size(one.memory_bytes)}"
    return _STATES[one.state]


_STATES = {
    "installed": "● installed",
    "absent": "↓ not downloaded",
    "broken": "✗ broken",
    "baseline": "baseline",
    "server": "on a server",
}


def _tasks(info: ModelInfo) -> str:
    others = ["any" if name == "*" else name for name in info.tasks if name not in info.good_at]
    pairs = [f"({languages.removeprefix('any of ')})"] if (languages := spoken(info)) else []
    return " ".join([*(f"{name}*" for name in info.good_at), *others, *pairs]) or "any"


def _size(info: ModelInfo) -> str:
    return format_size(info.download_size) if info.download_size else "–"


def model_record(one: Stocked) -> Mapping[str, object]:
    """A model as JSON has it."""
    info = one.info
    return {
        "name": info.name,
        "ref": info.ref,
        "title": info.title,
        "state": one.state,
        "reason": one.reason,
        "fix": one.fix,
        "resident_bytes": one.memory_bytes,
        "disk_bytes": one.disk_bytes,
        "arrived_bytes": one.arrived_bytes,
        "engine": one.engine,
        "answers": list(one.answers),
        "installed": one.state not in ("absent", "broken"),
        "baseline": info.is_baseline,
        "tasks": list(info.tasks),
        "good_at": list(info.good_at),
        "pairs": list(info.pairs),
        "languages": list(info.languages),
        "context": info.context,
        "licence": info.licence,
        "description": info.description,
        "download_bytes": info.download_size,
        "memory_bytes": info.memory,
        "path": info.path,
        "digest": info.digest,
        "files": [{"name": file.name, "sha256": file.sha256, "size": file.size} for file in info.files],
    }


@command.command("info")
@click.argument("name", shell_complete=complete_models)
@json_option
@color_option
@pass_program
def info(program: Program, name: str, as_json: bool) -> None:
    """Tell everything about one model."""
    from palaver.stock import stocked
    from palaver.streams import told
    from palaver.timing import known

    one = stocked(program.registry, program.registry.info(name))
    found = one.info
    if as_json:
        timings = [asdict(timing) for timing in known(found.path)] if found.path else []
        program.output.record({"schema": "palaver.model/1", **model_record(one), "timings": timings})
        return
    title = f"  {found.title}" if found.title not in ("", found.name) else ""
    program.output.show(f"{found.name}{title}")
    for label, value in _facts(one):
        program.output.show(f"{label:<9} {value}")
    if one.state in ("installed", "loaded") and (engine := told(program.registry, found)):
        program.output.show(f"{'streams':<9} {engine}")


def _facts(one: Stocked) -> Iterator[tuple[str, str]]:
    info = one.info
    window = f"{info.context} tokens" if info.context else ""
    files = ", ".join(f"{file.name} ({format_size(file.size)})" for file in info.files)
    missing = f"{format_size(info.download_size)}: palaver models pull {info.name}"
    for label, value in (
        ("state", state(one)),
        ("broken", one.reason),
        ("fix", one.fix if one.reason else ""),
        ("about", info.description),
        ("tasks", _tasks(info)),
        ("languages", " ".join(info.languages)),
        ("answers", ", ".join(one.answers)),
        ("window", window),
        ("memory", format_size(info.memory) if info.memory else ""),
        ("licence", info.licence),
        ("backend", info.backend),
        ("device", f"{info.device} {info.dtype}".strip()),
        ("files", files),
        ("download", missing if one.state == "absent" else ""),
        ("disk", format_size(one.disk_bytes) if one.disk_bytes else ""),
        ("path", info.path),
        ("digest", info.digest or ", ".join(f"sha256:{file.sha256}" for file in info.files)),
    ):
        if value:
            yield label, value


@command.command("unload")
@click.argument("name", default="", shell_complete=complete_models)
@color_option
@pass_program
def unload(program: Program, name: str) -> None:
    """Take a model out of the engine that commands share; without a name end the engine, and free all its memory."""
    from palaver.warm import stop_engine, unload_from_engine

    if name:
        info = program.registry.info(name)
        is_gone = unload_from_engine(info.ref)
        program.output.talk(f"{info.name} is unloaded." if is_gone else f"{info.name} was not loaded.")
    else:
        program.output.talk("The engine has ended." if stop_engine() else "No engine was running.")


@command.command("pull")
@click.argument("name", shell_complete=complete_models)
@click.option("--from", "source", default="", metavar="PATH", help="A file or folder that has it already.")
@click.option("--offline", is_flag=True, help="Fetch nothing from the network; also PALAVER_OFFLINE=1.")
@click.option("--no-time", "is_untimed", is_flag=True, help="Measure no engines, where several can compute it.")
@color_option
@click.pass_context
def pull(context: click.Context, name: str, source: str, offline: bool, is_untimed: bool) -> None:
    """Download a model, or take it from PATH, and check its SHA-256.

    Where several engines can compute it they are measured once, as `palaver models time` does.
    """
    from palaver.cli.stop import Stop
    from palaver.hubmodel import to_pull
    from palaver.pull import pull as fetch  # subprocess and zipfile: paid by whoever downloads

    program = context.ensure_object(Program)
    local = Path(source).expanduser() if source else None
    info = to_pull(program.registry.info(name), source=local, offline=offline)
    if not info.files:
        program.output.answer(_nothing_to_pull(info))
        return
    was_here = bool(info.path) and program.registry.is_installed(info)
    shown = PullLine(info.name, program.output)
    try:
        with Stop(program.output) as stop:
            path = fetch(info, on_progress=shown.show, cancel=stop.event, source=local, offline=offline)
    except PalaverError as error:
        shown.clear()
        if error.code == "cancelled":
            program.output.talk(f"{error.message} To go on: {error.fix}")
            context.exit(130)
        raise
    shown.clear()
    program.output.talk(f"{info.name} is already here." if was_here else f"{info.name} is ready.")
    for file in info.files:
        where = path if path.is_file() else path / file.name
        program.output.show(f"{where}  sha256:{file.sha256}")
    if not is_untimed:
        program.registry.forget_files()
        time_once(program, program.registry.info(name))


def _nothing_to_pull(info: ModelInfo) -> str:
    if info.device == "server":
        return f"{info.name} is on a server: nothing to download."
    if info.path:
        return f"{info.name} is here already, in {info.path}: use it by its path."
    return f"{info.name} has no weights: nothing to download."


class PullLine:
    """How far a download is: one line that is rewritten on a terminal, elsewhere a line now and then."""

    def __init__(self, name: str, output: Output) -> None:
        self._name, self._output = name, output
        self._line = Progress(output)
        self._started = time.monotonic()
        self._told = 0.0
        self._quarter = -1
        self._state = ""
        self._start_bytes = 0

    def show(self, progress: PullProgress) -> None:
        """A report from the download."""
        if progress.state == "ready":
            return
        now = time.monotonic()
        if progress.state != self._state:
            self._state, self._started, self._quarter = progress.state, now, -1
            self._start_bytes = progress.done_bytes
        quarter = 4 * progress.done_bytes // progress.total_bytes if progress.total_bytes else 0
        if self._line.is_shown:
            if now - self._told > 0.1:
                self._told = now
                self._line.show(self._text(progress, now))
        elif quarter > self._quarter or now - self._told >= REPORT_SECONDS:
            self._told, self._quarter = now, quarter
            self._output.talk(self._text(progress, now))

    def clear(self) -> None:
        """The download has ended."""
        self._line.clear()

    def _text(self, progress: PullProgress, now: float) -> str:
        done, total = progress.done_bytes, progress.total_bytes
        share = f"{100 * done // total} %" if total else ""
        seconds = now - self._started
        rate = (done - self._start_bytes) / seconds if seconds > 0.5 else 0.0
        left = f"  {format_seconds((total - done) / rate)} left" if rate and progress.state == "downloading" else ""
        speed = f"  {format_size(rate)}/s{left}" if rate else ""
        return (
            f"{self._name}  {progress.state} {share}  {format_size(done)} of {format_size(total)}{speed}"
            f"  ({progress.source})"
        )


@command.command("rm")
@click.argument("name", shell_complete=complete_models)
@color_option
@pass_program
def remove(program: Program, name: str) -> None:
    """Remove the downloaded files of a model."""
    from palaver.stock import remove_files
    from palaver.warm import unload_from_engine

    info = program.registry.info(name)
    size = remove_files(info)
    unload_from_engine(info.ref)
    program.output.talk(f"{info.name} is removed, {format_size(size)} are free again.")
