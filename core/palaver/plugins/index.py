"""The index remembers what each plugin adds and what importing it did, so that help and lists import nothing."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from palaver.paths import private_dir, state_dir
from palaver.plugins.found import Found, stamp


@dataclass(frozen=True, slots=True)
class Known:
    """What came of importing one version of a plugin."""

    module: str
    version: str
    stamp: str
    """Place and time of its files: a changed plugin is looked at anew."""
    adds: tuple[str, ...] = ()
    """What it provides, `model smollm2` or `task summarize: Shorten a text`, in the order of the hooks."""
    broken: str = ""
    """Why it does not work."""
    is_fatal: bool = False
    """Importing it ends or hangs the process: it is not imported again until it changes or is enabled."""
    seconds: float = 0.0
    """Of the import."""
    told: object = None
    """What an isolated plugin says of itself, as frames carry it."""


def index_file() -> Path:
    """Where the index is kept."""
    return state_dir() / "plugins.json"


def read_index() -> dict[str, Known]:
    """What is remembered, by the plugin's name; what cannot be read is forgotten and costs one slower start."""
    try:
        stored = json.loads(index_file().read_text("utf-8"))
        entries = stored["plugins"].items()
    except (OSError, ValueError, AttributeError, TypeError, KeyError, RecursionError):
        return {}
    found: dict[str, Known] = {}
    for name, entry in entries:
        with contextlib.suppress(TypeError, KeyError, ValueError, AttributeError):
            found[str(name)] = Known(
                str(entry["module"]), str(entry["version"]), str(entry["stamp"]),
                tuple(str(one) for one in entry["adds"]), str(entry["broken"]), entry["is_fatal"] is True,
                float(entry["seconds"]), entry.get("told"),
            )  # fmt: skip
    return found


def known(found: Found, index: Mapping[str, Known]) -> Known | None:
    """What is remembered of this plugin as it is installed now."""
    entry = index.get(found.name)
    if entry is None or (entry.module, entry.version, entry.stamp) != (found.module, found.version, stamp(found)):
        return None
    return entry


def remember(entries: Mapping[str, Known]) -> None:
    """Keep these beside what is known of others; silently not, where the disk does not let us."""
    before = read_index()
    now = {**before, **entries}
    # How long an import took differs each time, and is no reason to write.
    if any(name not in before or _lasting(before[name]) != _lasting(now[name]) for name in now):
        _write(now)


def forget(name: str) -> None:
    """Have a plugin looked at anew."""
    before = read_index()
    if name in before:
        _write({one: entry for one, entry in before.items() if one != name})


def _lasting(entry: Known) -> tuple[object, ...]:
    return entry.module, entry.version, entry.stamp, entry.adds, entry.broken, entry.is_fatal, entry.told


def _write(index: Mapping[str, Known]) -> None:
    write_private(index_file(), {"format": 2, "plugins": {name: asdict(entry) for name, entry in index.items()}})


def write_private(path: Path, value: object) -> None:
    """Replace a JSON file of the state folder at once; silently not, where the disk does not let us."""
    draft = path.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        private_dir(path.parent)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
        draft.replace(path)
