"""`palaver plugins dev`: single-file plugins, used by every command and checked again whenever they are saved."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from palaver.cli.program import Program
from palaver.elsewhere import worked_on_file
from palaver.errors import BadInput
from palaver.plugins import Found
from palaver.plugins.found import single_files, stamp
from palaver.plugins.index import write_private
from palaver.terminal import safe_line

LOOK_SECONDS = 0.3


def watch(program: Program, folder: Path, *, is_once: bool) -> int:
    """Tell of each file how it does, again when it changes, until ctrl+c; the exit code.

    Raises:
        BadInput: there is no such folder.
    """
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise BadInput(f"There is no folder {folder}.", fix=f"mkdir {folder}", code="no_file")
    with _worked_on(folder):
        if not is_once:
            program.output.talk(f"the *.py files of {folder} are plugins now, until ctrl+c")
        seen: dict[str, str] = {}
        is_good = True
        while True:
            now = {one.name: (one, stamp(one)) for one in single_files() if one.place == str(folder)}
            for name, (found, newest) in now.items():
                if seen.get(name) != newest:
                    is_good = _checked(program, found) and is_good
                    newest = stamp(found)
                seen[name] = newest
            for name in seen.keys() - now.keys():
                program.output.show(f"{safe_line(name)}: gone")
                del seen[name]
            if is_once:
                if not now:
                    program.output.talk(f"There is no *.py file in {folder}.")
                return 0 if is_good else 1
            try:
                time.sleep(LOOK_SECONDS)
            except KeyboardInterrupt:
                return 0


def _checked(program: Program, found: Found) -> bool:
    """Check one file against the contract, and say what it adds or what is wrong."""
    from palaver.plugins import look, probe
    from palaver.testing.contract import check_plugin

    probe([found])
    (plugin,) = look([found])
    if plugin.health == "broken":
        program.output.show(f"{found.name}: broken: {safe_line(plugin.reason)}")
        return False
    if not plugin.adds:  # a module that another file imports
        program.output.show(f"{found.name}: adds nothing")
        return True
    checks = list(check_plugin(found))
    failed = [one for one in checks if one.status == "failed"]
    adds = ", ".join(words.partition(": ")[0] for words in plugin.adds)
    program.output.show(f"{found.name}: {adds} · {len(checks) - len(failed)} of {len(checks)} checks")
    for one in failed:
        program.output.show(f"  {one.group}: {one.subject}: {safe_line(one.message)}")
    return not failed


@contextlib.contextmanager
def _worked_on(folder: Path) -> Iterator[None]:
    """While this lasts, every command finds the folder."""
    path = worked_on_file()
    write_private(path, {**_entries(path), str(folder): os.getpid()})
    try:
        yield
    finally:
        write_private(path, {name: process for name, process in _entries(path).items() if process != os.getpid()})


def _entries(path: Path) -> Mapping[str, object]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
