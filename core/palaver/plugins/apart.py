"""Bring an isolated plugin: what it provides as remembered, else as its process says it."""

from __future__ import annotations

from palaver import frames
from palaver.errors import PalaverError
from palaver.plugins.found import Found, stamp
from palaver.plugins.index import Known
from palaver.plugins.isolation import Isolation
from palaver.plugins.remote import Process, Raised
from palaver.plugins.told import Told


def told_of(process: Process, entry: Known | None) -> tuple[Known, Told | None]:
    """What is known of a plugin now, and what it provides; None with the reason in `Known.broken`."""
    if entry is not None and entry.broken:
        return entry, None
    if entry is not None and entry.told is not None:
        try:
            return entry, frames.decode(Told, entry.told)
        except frames.FrameError:  # written by another Palaver
            pass
    found = process.found
    try:
        told = process.told()
    except (PalaverError, Raised) as error:
        reason = error.message if isinstance(error, PalaverError) else str(error)
        return Known(found.module, found.version, stamp(found), broken=reason), None
    return (
        Known(found.module, found.version, stamp(found), told.adds, seconds=told.seconds, told=frames.encode(told)),
        told,
    )


def look_at(found: Found, isolation: Isolation) -> Known:
    """What importing a plugin in its own process does."""
    process = Process(found, isolation)
    try:
        return told_of(process, None)[0]
    finally:
        process.close()
