"""`palaver plugins isolate` and `install --isolate venv`: how far a plugin is kept apart."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from palaver.cli.plugin_install import install_here, normal, tell
from palaver.cli.plugin_pip import pip, plan
from palaver.cli.program import Program
from palaver.config import set_isolation
from palaver.elsewhere import environments_dir
from palaver.errors import BadInput, PalaverError, UsageError
from palaver.paths import private_dir
from palaver.plugins import Found, find, look, probe
from palaver.plugins.environment import make_environment
from palaver.plugins.failures import clear_failures
from palaver.plugins.index import forget
from palaver.plugins.isolation import Isolation, Level, isolation_of


def isolate(program: Program, found: Found, level: Level, seconds: float | None, memory: int | None) -> None:
    """Keep a plugin this far apart from the next command on.

    Raises:
        UsageError: it came with Palaver, or adds what cannot be used from another environment.
        PalaverError: pip cannot do it.
    """
    if found.is_built_in:
        raise UsageError(f"{found.name} came with Palaver: it stays in this process.")
    if level == "venv" and not found.python:
        _check_can_leave(found)
    if level == "venv" and not found.python:
        _make_apart(program, _source_of(found), found.distribution, is_dry=False)
    elif level != "venv" and found.python:
        _leave_environment(found)
    before = isolation_of(found)
    chosen = Isolation(level, seconds or before.seconds, memory or before.memory)
    set_isolation(found.name, str(chosen))
    forget(found.name)
    clear_failures(found.name)
    now = next((one for one in find() if one.name == found.name), None)
    if now is not None:
        tell(program, [now])
    limits = "" if level == "inproc" else f", {chosen.seconds:g} s for a call, {chosen.memory} MB of address space"
    program.output.talk(f"{found.name}: {level}{limits}. This is against faults, it is no security border.")


def install_apart(program: Program, spec: str, *, is_dry: bool) -> None:
    """Install one package into an environment that is only its own.

    Raises:
        BadInput: it is there already, or is no plugin. PalaverError: pip cannot do it.
    """
    _make_apart(program, spec, "", is_dry=is_dry)


def remove_apart(found: Found) -> None:
    """Delete the environment of a plugin."""
    shutil.rmtree(environment_of(found), ignore_errors=True)


def environment_of(found: Found) -> Path:
    """The folder of a plugin's own environment."""
    return next(one for one in Path(found.python).parents if one.parent == environments_dir())


def _make_apart(program: Program, spec: str, distribution: str, *, is_dry: bool) -> None:
    root = private_dir(environments_dir())
    name = distribution
    if not distribution:
        with tempfile.TemporaryDirectory(prefix=".new-", dir=root) as folder:
            changes = plan([spec], [], python=str(make_environment(Path(folder) / "venv")))
        for change in changes:
            program.output.show(f"+ {change}")
        name = _requested(spec, [change.package for change in changes])
    place = root / normal(name)
    if place.exists():
        raise BadInput(f"{name} has its own environment already.", fix=f"palaver plugins update {name}")
    if is_dry:
        return
    try:
        python = str(make_environment(place))
        # The plugin itself may be beside Palaver already, where pip sees it too; of its needs only what is missing.
        pip("install", "--quiet", "--no-deps", "--ignore-installed", "--", spec, python=python)
        pip("install", "--quiet", "--", spec, python=python)
        importlib.invalidate_caches()
        fresh = [one for one in find() if one.python and place in Path(one.python).parents]
        if not fresh:
            raise BadInput(f"{name} is no plugin: nothing in it is named in the group 'palaver'.", code="no_plugin")
    except PalaverError:
        shutil.rmtree(place, ignore_errors=True)
        raise
    if not distribution:
        for one in fresh:
            set_isolation(one.name, str(replace(isolation_of(one), level="venv")))
        tell(program, fresh)


def _requested(spec: str, packages: list[str]) -> str:
    """Which of the packages is the one that was asked for."""
    path = Path(spec).expanduser()
    if not path.exists():
        wanted = normal(spec.partition("=")[0].partition("[")[0].strip("<>!~ "))
        return next((one for one in packages if normal(one) == wanted), spec)
    stem = normal(path.resolve().name)
    return next((one for one in packages if stem.startswith(normal(one))), path.resolve().name.partition("-")[0])


def _check_can_leave(found: Found) -> None:
    """
    Raises:
        UsageError: it adds what comes into the process of the command that names it, which another environment cannot.
    """
    if not next(one for one in look([found])).is_known:
        probe([found])
    adds = next(one for one in look([found])).adds
    if bound := [one.partition(": ")[0] for one in adds if one.startswith(("command ", "executor "))]:
        raise UsageError(
            f"{found.name} adds {', '.join(bound)}, which cannot be used from an environment of its own.",
            fix=f"palaver plugins isolate {found.name} process",
        )


def _source_of(found: Found) -> str:
    """What pip is to install again: the folder or file that it came from, else its name and version."""
    try:
        told = importlib.metadata.distribution(found.distribution).read_text("direct_url.json")
        address = urlsplit(json.loads(told)["url"]) if told else None
    except (importlib.metadata.PackageNotFoundError, ValueError, KeyError, TypeError):
        address = None
    if address is not None and address.scheme == "file":
        return unquote(address.path)
    return f"{found.distribution}=={found.version}"


def _leave_environment(found: Found) -> None:
    """
    Raises:
        UsageError: it is nowhere else.
    """
    if not install_here(found.distribution):
        raise UsageError(
            f"{found.name} is installed in its own environment only.",
            fix=f"palaver plugins remove {found.name}, then palaver plugins install {found.distribution}",
        )
    remove_apart(found)
