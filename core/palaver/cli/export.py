"""History into a file that only its owner can read, or into a pipe."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from palaver.cli.output import Output, is_terminal
from palaver.errors import BadInput, UsageError
from palaver.store import FORMATS, Turn, export_turns


def export_to_stdout(output: Output, turns: Iterable[Turn], form: str) -> None:
    """Write turns to stdout: byte for byte into a pipe, made safe on a terminal.

    Raises:
        UsageError: no such format.
    """
    if not is_terminal(sys.stdout):
        export_turns(turns, form, sys.stdout)
        return
    text = io.StringIO()
    export_turns(turns, form, text)
    output.answer(text.getvalue(), end="")


def export_to_file(turns: Iterable[Turn], form: str, target: str, *, is_forced: bool) -> int:
    """Write turns to a new file with mode 0600, whole or not at all; how many.

    Raises:
        UsageError: no such format. BadInput: the file is there already, or cannot be written.
    """
    path = Path(target).expanduser()
    form = form or (path.suffix[1:] if path.suffix[1:] in FORMATS else "jsonl")
    if form not in FORMATS:
        raise UsageError(f"There is no export format '{form}': it is one of {', '.join(FORMATS)}.")
    if path.exists() and not is_forced:
        raise BadInput(f"{path} is there already.", fix="--force replaces it", code="file_exists")
    draft = ""
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mkstemp gives 0600
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="") as out:
            written = export_turns(turns, form, out)
        if not is_forced:
            path.touch(0o600, exist_ok=False)  # what has come meanwhile is not replaced
        Path(draft).replace(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror or error}.", code="unwritable_file") from error
    finally:
        if draft:
            Path(draft).unlink(missing_ok=True)
    return written
