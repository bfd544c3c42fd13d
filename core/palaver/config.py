"""The user's settings: one small TOML file, and the environment above it."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from palaver.errors import UsageError
from palaver.paths import config_file, private_dir

KNOWN = ("model", "theme", "read_ahead", "plugins_off", "models", "isolation")
"""What may stand in the settings file."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose once for every session."""

    model: str = ""
    """Default model for every task."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Default model of one task, above `model`."""
    theme: str = ""
    """Theme of the terminal UI: `ledger-dark`, `ledger-light`, or one of Textual's."""
    reads_ahead: bool = True
    """A local model reads what is typed into the chat before it is sent, where it can."""
    plugins_off: tuple[str, ...] = ()
    isolation: Mapping[str, str] = field(default_factory=dict)
    """Of a plugin by name: `process`, or `process, 30 s, 2000 MB`. See `palaver.plugins.isolation`."""


def read_settings() -> Settings:
    """The settings file with $PALAVER_MODEL, $PALAVER_THEME and $PALAVER_READ_AHEAD above it; else the defaults.

    Raises:
        UsageError: the file is not TOML, or a value has the wrong type.
    """
    path = config_file()
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        table = {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"The settings in {path} cannot be read: {error}.", fix=f"edit or remove {path}") from error
    models, off, isolation = table.get("models", {}), table.get("plugins_off", []), table.get("isolation", {})
    if not isinstance(models, dict) or not isinstance(off, list) or not isinstance(isolation, dict):
        raise UsageError(
            f"In {path}, 'models' and 'isolation' are tables and 'plugins_off' is a list.", fix=f"edit {path}"
        )
    reads_ahead = table.get("read_ahead", True)
    if not isinstance(reads_ahead, bool):
        raise UsageError(f"In {path}, 'read_ahead' is true or false.", fix=f"edit {path}")
    if told := os.environ.get("PALAVER_READ_AHEAD"):
        reads_ahead = told != "0"
    return Settings(
        model=os.environ.get("PALAVER_MODEL") or str(table.get("model", "")),
        models={str(task): str(model) for task, model in models.items()},
        theme=os.environ.get("PALAVER_THEME") or str(table.get("theme", "")),
        reads_ahead=reads_ahead,
        plugins_off=tuple(str(name) for name in off),
        isolation={str(name): str(level) for name, level in isolation.items()},
    )


def unknown_settings() -> list[str]:
    """The keys in the settings file that nothing reads, such as a misspelt one; the file can be read."""
    path = config_file()
    return [key for key in tomllib.loads(path.read_text("utf-8")) if key not in KNOWN] if path.exists() else []


def set_default(model: str, *, task: str = "") -> Path:
    """Make `model` the default of one task, or of all, in the settings file; every other line stays as it is.

    Raises:
        UsageError: the file cannot be read or written, or is laid out in a way that a line cannot be added to.
    """
    return _assign(task or "model", model, table="models" if task else "")


def set_theme(name: str) -> Path:
    """Make `name` the theme of the terminal UI in the settings file; every other line stays as it is.

    Raises:
        UsageError: as `set_default`.
    """
    return _assign("theme", name)


def set_isolation(name: str, level: str) -> Path:
    """Say in the settings file how far a plugin is kept apart; every other line stays as it is.

    Raises:
        UsageError: as `set_default`.
    """
    return _assign(name, level, table="isolation")


def _assign(name: str, value: str, *, table: str = "") -> Path:
    path = config_file()
    read_settings()  # a file that is no TOML is refused before it is touched
    before = path.read_text("utf-8") if path.exists() else ""
    lines, key = before.splitlines(), name
    if not re.fullmatch(r"[A-Za-z0-9_-]+", key):
        key = json.dumps(key, ensure_ascii=False)
    line = f"{key} = {json.dumps(value, ensure_ascii=False)}"  # TOML's basic strings are written like JSON's
    first, last = _section(lines, f"[{table}]" if table else "")
    assigned = re.compile(rf"\s*{re.escape(key)}\s*=[^#]*(#.*)?$")
    for at in range(first, last):
        if found := assigned.match(lines[at]):
            lines[at] = f"{line}  {found[1]}" if found[1] else line
            break
    else:
        new = [line] if first <= len(lines) else ["", f"[{table}]", line]
        lines[min(first, len(lines)) : min(first, len(lines))] = new
    after = "\n".join(lines) + "\n"
    wanted = tomllib.loads(before)
    (wanted.setdefault(table, {}) if table else wanted)[name] = value
    try:
        is_right = tomllib.loads(after) == wanted
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        raise UsageError(f"{path} is laid out in a way that only you can edit.", fix=f"edit {path}: {line}")
    try:
        private_dir(path.parent)
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        draft.write_text(after, "utf-8")
        draft.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", fix=f"edit {path}: {line}") from error
    return path


def _section(lines: Sequence[str], header: str) -> tuple[int, int]:
    """First line after the header (of the file, without one) and the line after its end; beyond the file if absent."""
    begins = [at for at, line in enumerate(lines) if line.lstrip().startswith("[")]
    if not header:
        return 0, begins[0] if begins else len(lines)
    for at in begins:
        if lines[at].partition("#")[0].strip() == header:
            return at + 1, next((later for later in begins if later > at), len(lines))
    return len(lines) + 1, len(lines)
