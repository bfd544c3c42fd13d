"""What the chat says about this machine: what to begin with, the models, how far a download is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from palaver import streams
from palaver.errors import PalaverError
from palaver.present import format_size
from palaver.terminal import clip
from palaver_tui.entries import Choice

if TYPE_CHECKING:
    from palaver.pull import PullProgress
    from palaver.registry import Registry

WIDE = 90
"""Columns from which on a list of models says what they do."""
FIRST_TEXT = (
    "The library of Alexandria held scrolls from every ship that landed. Scribes copied them by hand. The copies went "
    "back to the ships, the originals stayed. Nobody knows how many there were. It did not burn in one night; it faded."
)
"""Summarized on the first day, where there is no README.md."""


def first_choices(registry: Registry) -> list[Choice]:
    """What to begin with: at most four lines; none where a model with weights is on this machine."""
    infos = registry.models()
    if any(not info.is_baseline and registry.is_installed(info) and info.files for info in infos):
        return []
    if any(not info.is_baseline and not info.files for info in infos):  # a model that needs no download
        return []
    choices = [Choice("/demo", "score three ready translations, no model", "2 s")]
    if registry.baseline_for("summarize"):
        baseline = registry.baseline_for("summarize")
        text, shown = ("@README.md",) * 2 if Path("README.md").is_file() else (FIRST_TEXT, "TEXT")
        line = f"/summarize -m {baseline} {text}"
        choices.append(Choice(line, f"{baseline} baseline, no model", "1 s", shown=f"/summarize {shown}"))
    talking = [one for one in infos if one.files and "chat" in one.tasks]  # what only translates answers no question
    for info in sorted(talking, key=lambda one: one.download_size)[:2]:
        does = info.description.partition(";")[0].partition(":")[2].strip() or info.description
        size = format_size(info.download_size)
        choices.append(Choice(f"/pull {info.name}", does, size, is_download=True))
    return choices


def room_line() -> str:
    """Free disk and memory, and what a download does not do."""
    from palaver import paths

    place = paths.data_dir()
    while not place.exists():
        place = place.parent
    room = f"You have {format_size(shutil.disk_usage(place).free)} free"
    if memory := installed_memory():
        room += f" and {format_size(memory)} of memory"
    return f"{room}. Downloads resume. Nothing is sent anywhere."


def installed_memory() -> int:
    """Bytes of memory that this machine has; 0 where that cannot be told."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 0


def models_text(registry: Registry, chosen: str, loaded: Collection[str] = (), *, width: int = 200) -> str:
    """The models one a line: `●` for the one that answers, name, size, state, what it does in at most `width` columns.

    `loaded` are references of models.
    """
    chosen = chosen or _answering(registry)
    rows: list[Sequence[str]] = []
    for info in registry.models():
        is_here = registry.is_installed(info)
        sign = "●" if info.name == chosen else "○" if is_here else "↓"
        size = format_size(info.download_size) if info.download_size else "–"
        state = "no weights" if info.is_baseline else "on disk" if is_here else f"/pull {info.name}"
        state = "loaded" if info.ref in loaded and not info.is_baseline else state
        rows.append((sign, info.name, size, state, info.description))
    widths = [max(len(row[index]) for row in rows) for index in range(4)] if rows else []
    lines = [
        "  ".join([*(cell.ljust(size) for cell, size in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    ]
    # Where there is no room beside them, the descriptions leave: the Models screen has them.
    lines = [clip(line, width) for line in lines] if width >= WIDE else [line[: sum(widths) + 6] for line in lines]
    return "\n".join([*lines, "", "/model NAME answers with it from now on; -m NAME after a task, only once."])


def _answering(registry: Registry) -> str:
    """The model that a plain question goes to; empty where there is none."""
    try:
        return streams.choose(registry, "chat").name
    except PalaverError:
        return ""


def pull_state(name: str, progress: PullProgress) -> str:
    """`↓ smollm2 43 % · 40 MB of 93 MB`."""
    share = 100 * progress.done_bytes / progress.total_bytes if progress.total_bytes else 0
    doing = "" if progress.state == "downloading" else f" {progress.state}"
    done, total = format_size(progress.done_bytes), format_size(progress.total_bytes)
    return f"↓ {name}{doing} {share:.0f} % · {done} of {total}"
