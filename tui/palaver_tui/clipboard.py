"""Copy a text: by the desktop's own program where there is one, else by asking the terminal, and say which it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from palaver.terminal import safe_line

if TYPE_CHECKING:
    from textual.app import App

PATIENCE = 2.0
"""Seconds that the desktop's program has."""
SHOWN = 40
"""Cells of a short text that are said."""


def copy_text(app: App[None], text: str, again: str = "") -> None:
    """Copy, and tell; `again` is a command that prints the text, for where nobody can tell whether it arrived."""
    what = safe_line(text) if len(text) <= SHOWN and "\n" not in text else f"{len(text):,} characters"
    if any(_copied(command, text) for command in programs()):
        app.notify(f"copied {what}", markup=False, timeout=3)
        return
    app.copy_to_clipboard(text)  # OSC 52: the terminal obeys, or does not, and never answers
    doubt = f"; if paste is empty: {again}" if again else ""
    app.notify(f"sent {what} to the terminal's clipboard{doubt}", markup=False, timeout=4)


def programs() -> list[Sequence[str]]:
    """What copies on this desktop; nothing over SSH, where the clipboard is on the other side."""
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return []
    known: list[Sequence[str]] = []
    if sys.platform == "darwin":
        known.append(("pbcopy",))
    elif sys.platform == "win32":
        known.append(("clip",))
    if os.environ.get("WAYLAND_DISPLAY"):
        known.append(("wl-copy",))
    if os.environ.get("DISPLAY"):
        known += [("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input")]
    return [one for one in known if shutil.which(one[0])]


def _copied(command: Sequence[str], text: str) -> bool:
    try:
        done = subprocess.run(
            command, input=text.encode("utf-8", "replace"), timeout=PATIENCE, check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
