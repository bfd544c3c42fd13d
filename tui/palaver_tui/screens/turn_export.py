"""Turns into a file that other programs read."""

from __future__ import annotations

from pathlib import Path

from palaver.errors import UsageError
from palaver.store import FORMATS, Filter, Store, export_turns

ENDINGS = ", ".join(f".{one}" for one in FORMATS)


def export(store: Store, chosen: Filter, typed: str) -> str:
    """Write the chosen turns to a new file, whose ending names the format; a sentence that says where they are.

    Raises:
        UsageError: no such format, the file is there already, or it cannot be written.
    """
    path = Path(typed.strip()).expanduser()
    format = path.suffix.lstrip(".").lower()
    if format not in FORMATS:
        raise UsageError(f"The ending of the file names the format: {ENDINGS}.")
    try:
        with path.open("x", encoding="utf-8", newline="") as out:
            written = export_turns(store.turns(chosen), format, out)
    except FileExistsError as error:
        raise UsageError(f"{path} exists already; give another name.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
    return f"{written:,} turn{'' if written == 1 else 's'} exported to {path.absolute()}"
