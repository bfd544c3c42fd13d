"""Edit a text in the user's own editor, which gets the terminal for as long as it runs."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from palaver import paths
from palaver.errors import UsageError

if TYPE_CHECKING:
    from textual.app import App

TERMINAL = Path("/dev/tty")


def edit(app: App[None], text: str) -> str:
    """The text as the user left it in $VISUAL or $EDITOR, or in vi.

    Raises:
        UsageError: there is no such program, it failed, or what it left is no text.
    """
    from textual.app import SuspendNotSupported

    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    folder = paths.private_dir(paths.state_dir() / "drafts")
    handle, name = tempfile.mkstemp(suffix=".md", dir=folder)  # for the user alone: 0600
    path = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        with app.suspend(), _terminal() as terminal:
            done = subprocess.run([*command, name], stdin=terminal, stdout=terminal, stderr=terminal, check=False)
        if done.returncode:
            raise UsageError(f"{command[0]} ended with {done.returncode}; the text is as it was.")
        return path.read_text("utf-8").removesuffix("\n")
    except FileNotFoundError as error:
        raise UsageError(f"There is no program {command[0]}.", fix="export EDITOR=nano") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The text could not be edited: {error}.") from error
    except SuspendNotSupported as error:
        raise UsageError("An editor needs a terminal, which is not here.") from error
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _terminal() -> Iterator[IO[bytes] | None]:
    """The terminal itself: while the screen is up, standard output and error lead into a log."""
    try:
        terminal = TERMINAL.open("r+b", buffering=0)
    except OSError:
        yield None
        return
    with terminal:
        yield terminal
