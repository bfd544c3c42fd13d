"""Plugins that are not on this interpreter's path: single files in a folder, and environments of their own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from palaver.paths import config_file, data_dir, state_dir


def environments_dir() -> Path:
    """Where plugins have their own virtual environments, a folder each."""
    return data_dir() / "environments"


def environments() -> Iterator[tuple[Path, Path]]:
    """The Python and the site-packages of each environment that a plugin has for itself."""
    root = environments_dir()
    if not root.is_dir():  # almost always: nothing is listed then
        return
    for folder in sorted(root.iterdir()):
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        sites = [*folder.glob("lib/python3*/site-packages"), *folder.glob("Lib/site-packages")]
        if sites and python.exists():
            yield python, sites[0]


def single_folders() -> list[Path]:
    """Folders whose `*.py` files are plugins: `plugins` beside the settings, and those that are being worked on."""
    return [one for one in (config_file().parent / "plugins", *worked_on()) if one.is_dir()]


def worked_on() -> list[Path]:
    """The folders that a running `palaver plugins dev` watches."""
    try:
        entries = json.loads(worked_on_file().read_text("utf-8"))
        return [Path(folder) for folder, process in entries.items() if _is_alive(int(process))]
    except (OSError, ValueError, AttributeError, TypeError):
        return []


def worked_on_file() -> Path:
    """Where `palaver plugins dev` says which folders it watches, each with its process."""
    return state_dir() / "plugins-dev.json"


def interpreter_for(module: str) -> tuple[str, Mapping[str, str]]:
    """The Python that can import a plugin's module, and the environment variables to start it with."""
    top = module.partition(".")[0]
    variables = dict(os.environ)
    if not top:
        return sys.executable, variables
    for python, site in environments():
        if (site / f"{top}.py").exists() or (site / top).is_dir():
            variables.pop("PYTHONPATH", None)  # what stands there would come before its own packages
            return str(python), variables
    for folder in single_folders():
        if (folder / f"{top}.py").exists():
            variables["PYTHONPATH"] = os.pathsep.join(filter(None, (variables.get("PYTHONPATH"), str(folder))))
    return sys.executable, variables


def _is_alive(process: int) -> bool:
    if os.name == "nt":
        return True  # a signal there would end it
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True
