"""What the metadata of installed packages tells about plugins; nothing of them is imported here."""

from __future__ import annotations

import ast
import contextlib
import importlib.machinery
import importlib.util
import itertools
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from palaver import elsewhere

GROUP = "palaver"
SINGLE = "single file"
"""In the place of a distribution's name."""


@dataclass(frozen=True, slots=True)
class Found:
    """An installed plugin as its package metadata tells it."""

    name: str
    module: str
    distribution: str
    version: str
    fault: str = ""
    """What is wrong with the metadata itself."""
    place: str = ""
    """The folder its module is in, where that is not on this interpreter's path: of single files, or site-packages."""
    python: str = ""
    """The Python of its own environment, where it has one."""

    @property
    def is_built_in(self) -> bool:
        """It came with Palaver."""
        return self.distribution == "palaver"


def find() -> list[Found]:
    """Installed plugins from metadata alone: the built-in ones, then the others, each sorted by name.

    Of two distributions that give one name, the second is called `distribution/name`. Built-in ones come first, so
    that nobody takes a name from them. A plugin in an environment of its own stands for the same one that is here.
    """
    taken: dict[str, Found] = {}
    apart = list(_apart())
    moved = {(one.distribution, one.module) for one in apart if one.python}
    here = [one for one in _points(None) if (one.distribution, one.module) not in moved]
    for one in sorted([*here, *apart], key=lambda point: (not point.is_built_in, point.name, point.module)):
        same = taken.get(one.name)
        if same is None:
            taken[one.name] = one
        elif (same.module, same.distribution) != (one.module, one.distribution):
            # Else it is one package seen twice on the path, as editable installs can be.
            name = f"{one.distribution}/{one.name}"
            taken[name] = replace(one, name=name)
    return list(taken.values())


def _apart() -> Iterator[Found]:
    """Plugins in environments of their own, and single files; none of them can pass for a built-in one."""
    for python, site in elsewhere.environments():
        for one in _points(str(site)):
            if not one.is_built_in:
                yield replace(one, place=str(site), python=str(python))
    yield from single_files()


def single_files() -> Iterator[Found]:
    """Plugins that are a file each, in the folders for such."""
    for folder in elsewhere.single_folders():
        for path in sorted(folder.glob("*.py")):
            if path.stem.isidentifier() and not path.stem.startswith("_"):
                yield Found(path.stem, path.stem, SINGLE, "0", _shadowed(path), str(folder))


def _shadowed(path: Path) -> str:
    try:
        spec = importlib.util.find_spec(path.stem)
    except (ImportError, ValueError, AttributeError):
        return ""
    if spec is None or (spec.origin and Path(spec.origin) == path):
        return ""
    return f"another module is called '{path.stem}': rename {path}"


def _points(path: str | None) -> Iterator[Found]:
    for place in [path] if path is not None else sys.path:
        if os.path.isdir(place or "."):  # noqa: PTH112 - a Path for each of some three hundred packages would cost more
            yield from _points_in(place or ".")
        elif os.path.isfile(place):  # noqa: PTH113
            yield from _points_packed(place)


def _points_in(folder: str) -> Iterator[Found]:
    """Of a folder of packages, read as files: `importlib.metadata` takes 40 ms, and stops at what does not parse."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.endswith((".dist-info", ".egg-info")):
                continue
            try:
                with open(f"{entry.path}/entry_points.txt", encoding="utf-8") as file:  # noqa: PTH123
                    text = file.read()
            except (OSError, UnicodeDecodeError):
                continue
            if f"[{GROUP}]" in text.replace(" ", ""):
                name, version = _identity(entry.path)
                yield from _parsed(text, name, version)


def _points_packed(place: str) -> Iterator[Found]:
    """Of a zip file on the path."""
    import importlib.metadata

    for dist in importlib.metadata.distributions(path=[place]):
        text = dist.read_text("entry_points.txt") or ""
        if f"[{GROUP}]" in text.replace(" ", ""):
            yield from _parsed(text, dist.metadata["Name"] or "unnamed", dist.version or "0")


def _parsed(text: str, name: str, version: str) -> Iterator[Found]:
    points: list[tuple[str, str]] = []
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif group == GROUP and line and line[0] not in "#;":
            key, equals, value = line.partition("=")
            if not equals or not key.strip() or not value.strip():
                yield Found(name, "", name, version, f"its entry_points.txt cannot be read: '{line}' names no module")
                return
            points.append((key.strip(), value.strip()))
    for key, value in points:
        yield Found(key, value, name, version)


def _identity(folder: str) -> tuple[str, str]:
    """Name and version of a package, as its metadata has them."""
    for name in ("METADATA", "PKG-INFO"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            with open(f"{folder}/{name}", encoding="utf-8") as file:  # noqa: PTH123
                head = dict(line.split(":", 1) for line in itertools.takewhile(str.strip, file) if ":" in line)
            return head.get("Name", "").strip() or "unnamed", head.get("Version", "").strip() or "0"
    return "unnamed", "0"


def stamp(found: Found) -> str:
    """What changes when the files of a plugin do: where its module is, and when its newest file was written."""
    try:
        spec = _spec(found)
        origin = spec.origin if spec else None
        if spec is None or origin is None:
            return ""
        if spec.submodule_search_locations is None:
            return f"{origin} {Path(origin).stat().st_mtime_ns}"
        with os.scandir(Path(origin).parent) as files:
            newest = max(one.stat().st_mtime_ns for one in files if one.name.endswith(".py"))
        return f"{origin} {newest}"
    except (OSError, ValueError, ImportError, AttributeError):
        return ""


def declared_api(found: Found) -> object:
    """What a plugin's source says its `PALAVER_API` is, read and not run; None where it says nothing plain."""
    try:
        spec = _spec(found)
        source = Path(spec.origin).read_text("utf-8") if spec and spec.origin else ""
        said = _API.search(source)
        return ast.literal_eval(said[1]) if said else None
    except (OSError, ValueError, ImportError, AttributeError, SyntaxError):
        return None


_API = re.compile(r"^PALAVER_API\s*(?::[^=\n]*)?=\s*([^#\n]+)", re.MULTILINE)


def _spec(found: Found) -> importlib.machinery.ModuleSpec | None:
    """Of the module's top-level name, so that nothing is imported to find it."""
    top = found.module.partition(".")[0].partition(":")[0]
    if found.place:
        return importlib.machinery.PathFinder.find_spec(top, [found.place])
    return importlib.util.find_spec(top) if top else None


def is_safe_mode() -> bool:
    """Whether only what came with Palaver is to be used: `palaver --safe-mode`, or $PALAVER_SAFE_MODE."""
    return os.environ.get("PALAVER_SAFE_MODE", "") not in ("", "0")
