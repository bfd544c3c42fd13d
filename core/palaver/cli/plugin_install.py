"""`palaver plugins install|update|remove`: asked first what it would change, and held back from Palaver's own."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Sequence

from palaver.cli.plugin_pip import install_packages, installed_version, pip, plan, uninstall_packages
from palaver.cli.program import Program
from palaver.errors import NotFound, UsageError, not_found
from palaver.plugins import Found, find, known, probe, read_index
from palaver.plugins.failures import clear_failures
from palaver.plugins.found import SINGLE
from palaver.plugins.index import forget

PALAVER = "palaver"


def install(program: Program, specs: Sequence[str], *, is_update: bool = False, is_dry: bool = False) -> None:
    """Install what the requirements, files or folders name, unless that would change what Palaver stands on.

    Raises:
        UsageError: it would. PalaverError: it cannot be done.
    """
    flags = ["--upgrade"] if is_update else []
    changes = plan(specs, flags)
    for change in changes:
        program.output.show(f"{'~' if change.before else '+'} {change}")
    own = own_packages()
    if spoilt := [change for change in changes if change.before and normal(change.package) in own]:
        raise UsageError(
            f"It would change what Palaver stands on: {'; '.join(map(str, spoilt))}.",
            code="would_change_palaver",
            fix="install it beside another Palaver, in an environment of its own",
        )
    if not changes:
        program.output.talk("Nothing to do: it is installed.")
    if is_dry or not changes:
        return
    install_packages(specs, flags)
    importlib.invalidate_caches()
    touched = {normal(change.package) for change in changes}
    tell(program, [one for one in find() if not one.python and normal(one.distribution) in touched])


def update(program: Program, names: Sequence[str], *, is_dry: bool = False) -> None:
    """Install the newest versions of these plugins, or of all that others wrote.

    Raises:
        UsageError: one came with Palaver, or it would change what Palaver stands on. NotFound: no such plugin.
    """
    chosen = [_of(name) for name in names] or [one for one in find() if not one.is_built_in]
    if not chosen:
        program.output.talk("Nothing to do: there is no plugin but the built-in ones.")
        return
    if here := sorted({one.distribution for one in chosen if not one.python and one.distribution != SINGLE}):
        install(program, here, is_update=True, is_dry=is_dry)
    for python, one in {one.python: one for one in chosen if one.python}.items():
        for change in plan([one.distribution], ["--upgrade"], python=python):
            program.output.show(f"~ {change.package} {change.after}")
        if not is_dry:
            pip("install", "--quiet", "--upgrade", "--", one.distribution, python=python)
            tell(program, [now for now in find() if now.python == python])


def remove(program: Program, names: Sequence[str]) -> None:
    """Uninstall the packages of these plugins; nothing of them is imported, so a broken one leaves like any other.

    Raises:
        UsageError: one came with Palaver. NotFound: no such plugin.
    """
    chosen = [_of(name) for name in names]
    if single := [one for one in chosen if one.distribution == SINGLE]:
        raise UsageError(f"{single[0].name} is a file of yours.", fix=f"rm {single[0].place}/{single[0].module}.py")
    distributions = {one.distribution for one in chosen}
    leaving = [one for one in find() if one.distribution in distributions]
    for one in leaving:
        if one.python:
            from palaver.cli.plugin_isolate import remove_apart

            remove_apart(one)
    if here := sorted(name for name in distributions if install_here(name)):
        uninstall_packages(here)
    for one in leaving:
        clear_failures(one.name)
        forget(one.name)
        program.output.talk(f"{one.name} is gone ({one.distribution} {one.version}). What it wrote into history stays.")


def own_packages() -> set[str]:
    """Palaver and all that it needs, and what those need."""
    own: set[str] = set()
    waiting = [PALAVER]
    while waiting:
        name = normal(waiting.pop())
        if name in own:
            continue
        own.add(name)
        waiting += _needs(name)
    return own


def _needs(name: str) -> Iterator[str]:
    try:
        requirements = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for line in requirements:
        found = re.match(r"[A-Za-z0-9._-]+", line)
        if found and "extra ==" not in line:
            yield found[0]


def tell(program: Program, fresh: Sequence[Found]) -> None:
    """Look at plugins that are new, and say of each whether it works."""
    if not fresh:
        program.output.warn("What was installed names no plugin.")
        return
    probe(fresh)
    index = read_index()
    for one in fresh:
        entry = known(one, index)
        reason = one.fault or (entry.broken if entry else "")
        adds = ", ".join(words.partition(": ")[0] for words in entry.adds) if entry else ""
        program.output.talk(f"{one.name} {'is broken: ' + reason if reason else 'works: ' + adds}")


def _of(name: str) -> Found:
    """The plugin of that name, or the first one of the package of that name."""
    installed = find()
    for one in installed:
        if name in (one.name, one.distribution) or normal(name) == normal(one.distribution):
            if one.is_built_in:
                raise UsageError(f"{name} came with Palaver.", fix=f"palaver plugins disable {name}")
            return one
    error: NotFound = not_found("plugin", name, [one.name for one in installed], fix="palaver plugins list")
    raise error


def install_here(name: str) -> bool:
    """Whether a package is installed beside Palaver."""
    return bool(installed_version(name))


def normal(name: str) -> str:
    """The name of a package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
