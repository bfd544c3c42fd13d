"""The contract of a plugin's package: its metadata says what it is, its wheel installs, works, and leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from palaver.errors import BadInput
from palaver.plugins import Found
from palaver.plugins.environment import make_environment
from palaver.testing.check import Check, claim

SECONDS = 300.0
"""For one run of pip."""


def found_in(project: Path) -> list[Found]:
    """The plugins that a project's pyproject.toml names.

    Raises:
        BadInput: there is no pyproject.toml, or it names none.
    """
    path = project / "pyproject.toml"
    try:
        table = tomllib.loads(path.read_text("utf-8"))["project"]
        points = table["entry-points"]["palaver"]
        return [Found(name, module, table["name"], table.get("version", "0")) for name, module in points.items()]
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}.", code="no_file") from error
    except (KeyError, AttributeError) as error:
        raise BadInput(
            f"{path} names no plugin.", fix='[project.entry-points.palaver] with a line: NAME = "MODULE"'
        ) from error


def check_metadata(found: Found, project: Path | None) -> Iterator[Check]:
    """What the package says of itself: from the project's files, else as it is installed."""
    if found.is_built_in:
        return
    told: Mapping[str, object]
    if project is not None:
        told = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
        needs = told.get("dependencies", [])
        readme = any((project / name).is_file() for name in ("README.md", "README.rst", "README.txt"))
        yield claim("docs", "a README", lambda: iter([] if readme else ["there is no README beside pyproject.toml"]))
    else:
        installed = metadata.metadata(found.distribution)
        told = {"description": installed["Summary"], "requires-python": installed["Requires-Python"]}
        needs = metadata.requires(found.distribution) or []
    has_palaver = isinstance(needs, list) and any(str(one).lower().startswith("palaver") for one in needs)
    for subject, is_there, message in (
        ("a description", bool(told.get("description")), "pyproject.toml has no description"),
        ("requires-python", bool(told.get("requires-python")), "pyproject.toml has no requires-python"),
        ("a dependency on palaver", has_palaver, 'dependencies lack "palaver>=0.1,<1"'),
    ):
        yield Check("metadata", subject, "passed" if is_there else "failed", "" if is_there else message)


def check_packaging(found: Found, project: Path) -> Iterator[Check]:
    """Build the wheel, install it where nothing else of it is, see it listed, remove it, see it gone."""
    with tempfile.TemporaryDirectory(prefix="palaver-check-") as folder:
        place = Path(folder)
        done = _pip("wheel", "--no-deps", "--quiet", "--wheel-dir", str(place), str(project))
        wheels = list(place.glob("*.whl"))
        if done.returncode or not wheels:
            yield Check("packaging", "a wheel is built", "failed", _last_line(done))
            return
        yield Check("packaging", "a wheel is built", "passed")
        clean = make_environment(place / "venv")
        done = _pip("--python", str(clean), "install", "--no-deps", "--quiet", "--no-index", str(wheels[0]))
        listed = _listed(clean, place)
        is_there = listed.get(found.name, "nothing") == ""
        problem = "" if done.returncode == 0 and is_there else listed.get(found.name) or _last_line(done)
        yield Check("packaging", "it works where it is installed", "failed" if problem else "passed", problem)
        done = _pip("--python", str(clean), "uninstall", "--yes", "--quiet", found.distribution)
        is_gone = done.returncode == 0 and found.name not in _listed(clean, place)
        yield Check("packaging", "it leaves", "passed" if is_gone else "failed", "" if is_gone else _last_line(done))


def _listed(python: Path, place: Path) -> dict[str, str]:
    """Name of each plugin in that environment that others wrote, to why it does not work."""
    done = subprocess.run(
        [python, "-P", "-m", "palaver", "plugins", "list", "--check", "--json"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PALAVER_HOME": str(place / "home")},
        cwd=place,
    )
    try:
        plugins = json.loads(done.stdout)["plugins"]
        return {str(one["name"]): str(one["reason"]) for one in plugins if one["package"] != "palaver"}
    except (ValueError, KeyError, TypeError):
        return {}


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().lstrip().startswith("error")]
    return (errors or lines or ["pip says nothing"])[-1].strip()[:300]
