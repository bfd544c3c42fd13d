"""History into a file that only its owner can read, or into a pipe."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from palaver.cli.output import is_terminal
from palaver.cli.program import Program
from palaver.errors import BadInput
from palaver.store import FORMATS, Turn, export_turns


def export_to_stdout(program: Program, turns: Iterable[Turn], form: str) -> None:
    """Write turns to stdout: byte for byte into a pipe, made safe on a terminal.

    Raises:
        NotFound: no such format.
    """
    if not is_terminal(sys.stdout):
        _write(program, turns, form, sys.stdout)
        return
    text = io.StringIO()
    _write(program, turns, form, text)
    program.output.answer(text.getvalue(), end="")


def _write(program: Program, turns: Iterable[Turn], form: str, out: TextIO) -> int:
    if form in FORMATS:
        return export_turns(turns, form, out)
    from palaver.cli.history_import import export_foreign

    return export_foreign(program, form, turns, out)


def export_to_file(program: Program, turns: Iterable[Turn], form: str, target: str, *, is_forced: bool) -> int:
    """Write turns to a new file with mode 0600, whole or not at all; how many.

    Raises:
        NotFound: no such format. BadInput: the file is there already, or cannot be written.
    """
    path = Path(target).expanduser()
    form = form or (path.suffix[1:] if path.suffix[1:] in FORMATS else "jsonl")
    if path.exists() and not is_forced:
        raise BadInput(f"{path} is there already.", fix="--force replaces it", code="file_exists")
    draft = ""
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mkstemp gives 0600
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="") as out:
            written = _write(program, turns, form, out)
        if not is_forced:
            path.touch(0o600, exist_ok=False)  # what has come meanwhile is not replaced
        Path(draft).replace(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror or error}.", code="unwritable_file") from error
    finally:
        if draft:
            Path(draft).unlink(missing_ok=True)
    return written
