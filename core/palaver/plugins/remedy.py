"""The one command that helps a plugin that does not work, or that is not used."""

from __future__ import annotations

import re

from palaver.plugins.found import SINGLE
from palaver.plugins.loader import Plugin

_MISSING = re.compile(r"No module named '([A-Za-z0-9_]+)")


def remedy(plugin: Plugin) -> str:
    """A command line; empty for a plugin that works."""
    found = plugin.found
    if plugin.health in ("off", "quarantined"):
        return (
            "palaver, without --safe-mode" if plugin.reason == "safe mode" else f"palaver plugins enable {found.name}"
        )
    if plugin.health != "broken":
        return ""
    missing = _MISSING.search(plugin.reason)
    if missing and (package := _package_with(found.distribution, missing[1])):
        return f"palaver plugins install '{package}'"
    if found.distribution == SINGLE:
        return f"edit {found.place}/{found.module}.py"
    if found.is_built_in:
        return "pip install --force-reinstall --no-deps palaver"
    return f"palaver plugins remove {found.name}"


def _package_with(distribution: str, module: str) -> str:
    """What to install so that `module` is there: the package again, with the extra that brings it.

    Only what its metadata names: a module's name taken for a package's may be anybody's package.
    """
    from importlib import metadata  # 0.03 s: paid where something is missing

    wanted = module.replace("_", "-").casefold()
    try:
        requirements = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        requirements = []
    for line in requirements:
        name = re.match(r"[A-Za-z0-9._-]+", line)
        if name and re.sub(r"[-_.]+", "-", name[0]).casefold() == wanted:
            extra = re.search(r"""extra\s*==\s*['"]([^'"]+)""", line)
            return f"{distribution}[{extra[1]}]" if extra else distribution
    return ""
