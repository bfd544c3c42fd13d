"""The user's settings: one small TOML file, and the environment above it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from palaver.errors import UsageError
from palaver.paths import config_file


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose once for every session."""

    model: str = ""
    """Default model for every task."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Default model of one task, above `model`."""
    theme: str = ""
    """Theme of the terminal UI: `ledger-dark`, `ledger-light`, or one of Textual's."""
    plugins_off: tuple[str, ...] = ()


def read_settings() -> Settings:
    """The settings file with $PALAVER_MODEL and $PALAVER_THEME above it; the defaults where there is none.

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
    models, off = table.get("models", {}), table.get("plugins_off", [])
    if not isinstance(models, dict) or not isinstance(off, list):
        raise UsageError(f"In {path}, 'models' is a table and 'plugins_off' a list.", fix=f"edit {path}")
    return Settings(
        model=os.environ.get("PALAVER_MODEL") or str(table.get("model", "")),
        models={str(task): str(model) for task, model in models.items()},
        theme=os.environ.get("PALAVER_THEME") or str(table.get("theme", "")),
        plugins_off=tuple(str(name) for name in off),
    )
