"""Count what plugins do wrong in use; after three failures in a row one is set aside until it is enabled again."""

from __future__ import annotations

import json
from pathlib import Path

from palaver.paths import state_dir
from palaver.plugins.index import write_private

ENOUGH = 3
"""Failures in a row that set a plugin aside."""


def failures_file() -> Path:
    """Where failures are counted."""
    return state_dir() / "plugin-failures.json"


def read_failures() -> dict[str, tuple[str, ...]]:
    """What went wrong since the last success, by the plugin's name, oldest first."""
    try:
        stored = json.loads(failures_file().read_text("utf-8"))
        return {str(name): tuple(str(one) for one in reasons) for name, reasons in stored.items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}


def add_failure(name: str, part: str, reason: str) -> None:
    """Count one more, of one task, metric or backend of the plugin."""
    before = read_failures()
    write_private(failures_file(), {**before, name: (*before.get(name, ()), f"{part}: {reason}")[-ENOUGH:]})


def clear_failures(name: str, part: str = "") -> None:
    """Begin to count anew: for one part of the plugin, or for all of it."""
    before = read_failures()
    if name in before:
        kept = tuple(one for one in before[name] if part and not one.startswith(f"{part}: "))
        if kept != before[name]:
            now = {**before, name: kept}
            write_private(failures_file(), {one: reasons for one, reasons in now.items() if reasons})


def why_aside(name: str, failures: dict[str, tuple[str, ...]]) -> str:
    """Why a plugin is set aside; empty when it is not."""
    reasons = failures.get(name, ())
    if len(reasons) < ENOUGH:
        return ""
    return f"failed {ENOUGH} times in a row, the last with {reasons[-1]}; again with: palaver plugins enable {name}"
