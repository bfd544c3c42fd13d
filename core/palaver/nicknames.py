"""Short names of models that were given by their path, by which history and the next command can say them again.

`-m /data/runs/de` is called `de` from then on. What each name stands for is kept in the state folder; a second path
with the same last part gets its parent's name before it.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import replace
from pathlib import Path

from palaver import paths, weights
from palaver.errors import NotFound
from palaver.model import ModelInfo

_GIVEN = re.compile(r"(?:(?P<kind>[a-z]+):)?(?P<path>[^#]+)(?P<options>#.*)?", re.DOTALL)
_PATH = re.compile(r"(?:gguf:(?P<file>[^#]+)|(?P<path>(?:\.\.?/|/|~/)[^#]*|[^:#]+\.gguf(?:@\w+)?))(?:#.*)?", re.DOTALL)
"""What can only be a path, as a user gives it: `./run`, `/data/a.gguf`, `gguf:a`, `b.gguf@4bit`."""
_MOST = 500
"""Names that are kept; the oldest are forgotten first."""


def whole(given: str) -> str:
    """The same model as `given`, from any folder; empty for what is no path that exists."""
    found = _GIVEN.fullmatch(given)
    if found is None:
        return ""
    for kind, path in ((found["kind"], found["path"]), (None, given.partition("#")[0])):
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # a NUL, a name too long, no such user
            place = Path(path).expanduser()
            if place.exists():
                return (f"{kind}:" if kind else "") + str(place.resolve()) + (found["options"] or "")
    return ""


def check(given: str, *, is_tried: bool = False) -> None:
    """Refuse a path with nothing there; with `is_tried`, after no backend took it, also one with something else there.

    Raises:
        NotFound: in words of the path, for no name of the catalogue is near one.
    """
    found = _PATH.fullmatch(given)
    if found is None:
        return
    path = found["file"] or found["path"]
    if not whole(path) and not whole(path.rpartition("@")[0]):
        raise NotFound(f"There is no file or folder {path}.", fix="check the path", code="model_not_found")
    if is_tried:
        raise NotFound(
            f"{path} is no model: one is a .gguf file, a folder with a config.json, or what palaver train made.",
            fix="check the path",
            code="model_not_found",
        )


def named(info: ModelInfo, given: str) -> ModelInfo:
    """A model that was resolved from what was given, with the short name that means it from now on."""
    path = whole(given) if info.path else ""
    return replace(info, name=remember(info.name, path)) if path else info


def meant(name: str) -> str:
    """What a short name stands for; empty for one that is not known."""
    return _known().get(name, "")


def remember(name: str, given: str) -> str:
    """The short name of what was given: `name`, or a longer one where that stands for something else."""
    known = _known()
    place = Path(given.partition("#")[0])
    for one in (name, f"{place.parent.name}/{name}", given):
        if known.get(one, given) == given or not _is_there(known[one]):
            if one not in known or known[one] != given:
                entries = list({**known, one: given}.items())[-_MOST:]
                with contextlib.suppress(OSError):  # a read-only state folder: the name is for this time only
                    paths.private_dir(paths.state_dir())
                    weights.replace(_file(), json.dumps(dict(entries), indent=1, ensure_ascii=False).encode())
            return one
    return given


def _is_there(given: str) -> bool:
    return bool(whole(given))


def _file() -> Path:
    return paths.state_dir() / "nicknames.json"


def _known() -> dict[str, str]:
    try:
        found = json.loads(_file().read_text("utf-8"))
        return {str(name): str(given) for name, given in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}
