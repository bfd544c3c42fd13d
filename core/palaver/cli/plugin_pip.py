"""What pip would change, and pip itself; where Palaver's Python has no pip, `uv` from the path does the same."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from palaver.errors import PalaverError


@dataclass(frozen=True, slots=True)
class Change:
    """What pip would do with one package."""

    package: str
    before: str
    """The version that is installed; empty when none is."""
    after: str

    def __str__(self) -> str:
        if self.before == self.after:
            return f"{self.package} {self.after}, once more"
        return f"{self.package} {self.before + ' -> ' if self.before else ''}{self.after}"


def plan(specs: Sequence[str], flags: Sequence[str] = (), *, python: str = "") -> list[Change]:
    """What would change; nothing is installed. With `python` in that one's environment.

    Raises:
        PalaverError: there is no way to install it.
    """
    if not python and (uv := uv_instead()):
        wanted = uv_wants(_run([uv, "pip", "install", *_here(), "--dry-run", *flags, "--", *specs]).stderr)
    else:
        wanted = _pip_wants(
            pip("install", "--dry-run", "--quiet", "--report", "-", *flags, "--", *specs, python=python)
        )
    before = {name: "" if python else installed_version(name) for name in wanted}
    return [Change(name, before[name], version) for name, version in sorted(wanted.items())]


def install_packages(specs: Sequence[str], flags: Sequence[str] = ()) -> None:
    """Install beside Palaver.

    Raises:
        PalaverError: with the reason of pip or uv.
    """
    if uv := uv_instead():
        _run([uv, "pip", "install", *_here(), *flags, "--", *specs])
    else:
        pip("install", "--quiet", *flags, "--", *specs)


def uninstall_packages(names: Sequence[str]) -> None:
    """Take packages away from beside Palaver.

    Raises:
        PalaverError: with the reason of pip or uv.
    """
    if uv := uv_instead():
        _run([uv, "pip", "uninstall", *_here(), "--", *names])
    else:
        pip("uninstall", "--yes", "--quiet", "--", *names)


def pip(*arguments: str, python: str = "") -> str:
    """What pip prints when it succeeds; with `python` it works on that one's environment.

    Raises:
        PalaverError: there is none, or it fails with this reason.
    """
    if not has_pip():
        # uv does not see the packages of Palaver that another environment borrows, so it cannot stand in there.
        fix = (
            f"uv pip install --python {sys.executable} pip" if shutil.which("uv") else f"{sys.executable} -m ensurepip"
        )
        raise PalaverError("There is no pip beside this Palaver.", code="no_pip", fix=fix)
    elsewhere = ["--python", python] if python else []
    return _run([sys.executable, "-m", "pip", "--disable-pip-version-check", *elsewhere, *arguments]).stdout


def has_pip() -> bool:
    """Whether Palaver's Python has pip."""
    return importlib.util.find_spec("pip") is not None


def uv_instead() -> str:
    """The uv to use where there is no pip; empty otherwise."""
    return "" if has_pip() else shutil.which("uv") or ""


def uv_wants(printed: str) -> dict[str, str]:
    """Package to version, from what `uv pip install --dry-run` prints: ` + six==1.17.0 (from file:///...)`."""
    return dict(re.findall(r"^ [+~] ([A-Za-z0-9._-]+)==([^\s(]+)", printed, re.MULTILINE))


def _pip_wants(printed: str) -> dict[str, str]:
    try:
        items = json.loads(printed)["install"]
        return {str(one["metadata"]["name"]): str(one["metadata"]["version"]) for one in items}
    except (ValueError, KeyError, TypeError) as error:
        raise PalaverError(
            "pip does not say what it would do.", fix=f"{sys.executable} -m pip install --upgrade pip"
        ) from error


def installed_version(name: str) -> str:
    """The version of a package beside Palaver; empty when there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _here() -> list[str]:
    return ["--python", sys.executable, "--color", "never"]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        program = "pip" if "-m" in command else "uv"
        verb = "uninstall" if "uninstall" in command else "install"
        raise PalaverError(f"{program} cannot {verb}: {reason_of(done.stderr)}", code="pip_failed")
    return done


def reason_of(printed: str) -> str:
    """Why pip or uv failed: pip's last line that says ERROR, all that uv says from its error on."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    if errors := [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]:
        return errors[-1]
    begins = next((at for at, line in enumerate(lines) if line.startswith(("error:", "×"))), -1)
    said = " ".join(re.sub(r"^(error:|×|╰─▶|cause:)\s*", "", line) for line in lines[begins:])
    return said or "no reason given"
