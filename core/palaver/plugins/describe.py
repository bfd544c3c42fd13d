"""An exception in one line, with the culprit's own line."""

from __future__ import annotations

import traceback
from pathlib import Path

from palaver.errors import PalaverError, PluginFailed

_OURS = str(Path(__file__).parent)


def describe(error: BaseException) -> str:
    """An exception's name, what it says, and where in the plugin it was raised."""
    if getattr(error, "is_described", False):
        return str(error)  # where it was raised
    frames = traceback.extract_tb(error.__traceback__)
    outside = [one for one in frames if not one.filename.startswith(("<frozen", _OURS))]
    where = f" ({Path(outside[-1].filename).name} line {outside[-1].lineno})" if outside else ""
    text = " ".join(str(error).split())
    said = f": {text}" if text else ""
    return f"{type(error).__name__}{said}{where}"


def plugin_raised(task: str, error: Exception) -> PalaverError:
    """What the user hears when a task's plugin fails; what it says in words of its own stays."""
    if isinstance(error, PalaverError):
        return error
    return PluginFailed(
        f"The plugin of '{task}' raised {describe(error)}. The rest is not affected.", fix="palaver plugins list"
    )
