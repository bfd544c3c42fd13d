"""What doctor looks at: each check says what it saw, and what helps. No check imports a plugin unless asked to."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from palaver import paths
from palaver.cli.output import is_terminal
from palaver.errors import PalaverError, StoreError
from palaver.present import format_size

Level = Literal["ok", "warn", "problem"]

LITTLE_SPACE = 500_000_000
"""Bytes below which a download or a long session may not end well."""

_PACKAGES = ("palaver", "textual", "sacrebleu", "sqlite-utils", "click", "pluggy", "xllamacpp")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    message: str
    fix: str = ""


def everything(*, is_checked: bool) -> Iterator[Finding]:
    """All findings, in the order they are told; a check that breaks is a finding too."""
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("versions", versions),
        ("settings", settings),
        ("folders", folders),
        ("history", history),
        ("models", lambda: models(is_checked=is_checked)),
        ("plugins", lambda: plugins(is_checked=is_checked)),
        ("terminal", terminal),
    )
    for subject, check in checks:
        try:
            yield from check()
        except Exception as error:  # doctor is for machines where anything may be broken
            yield Finding("problem", subject, f"could not be looked at: {type(error).__name__}: {error}")


def versions() -> Iterator[Finding]:
    """Python, SQLite and the packages that Palaver stands on."""
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield sqlite()
    for name in _PACKAGES:
        try:
            yield Finding("ok", "package", f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            level: Level = "warn" if name in ("palaver", "xllamacpp") else "problem"
            yield Finding(level, "package", f"{name} is not installed", f"{sys.executable} -m pip install {name}")


def sqlite() -> Finding:
    """The SQLite that history is kept with."""
    from palaver.store.sqlite import sqlite_version

    if has_wal_bug(sqlite_version):
        return Finding(
            "warn",
            "sqlite",
            f"{sqlite_version} can, rarely, damage a history that two Palavers write at once",
            f"{sys.executable} -m pip install pysqlite3",
        )
    return Finding("ok", "sqlite", sqlite_version)


def has_wal_bug(version: str) -> bool:
    """Whether this SQLite has the WAL-reset bug: 3.7.0 to 3.51.2, but for the branches that were mended."""
    numbers = tuple(int(one) for one in version.split(".")[:3])
    mended = (numbers[:2] == (3, 44) and numbers >= (3, 44, 6)) or (numbers[:2] == (3, 50) and numbers >= (3, 50, 7))
    return (3, 7, 0) <= numbers <= (3, 51, 2) and not mended


def settings() -> Iterator[Finding]:
    """The settings file."""
    from palaver.config import KNOWN, read_settings, unknown_settings

    path = paths.config_file()
    try:
        read_settings()
    except PalaverError as error:
        yield Finding("problem", "settings", error.message, error.fix)
        return
    if not path.exists():
        yield Finding("ok", "settings", f"none; they would be in {path}")
        return
    yield Finding("ok", "settings", str(path))
    if unknown := unknown_settings():
        words = ", ".join(f"'{one}'" for one in unknown)
        yield Finding("warn", "settings", f"nothing reads {words} in {path}", f"known are: {', '.join(KNOWN)}")
    yield from _private(path, "settings")


def folders() -> Iterator[Finding]:
    """Where Palaver writes."""
    for name, folder in (("data", paths.data_dir()), ("state", paths.state_dir())):
        there = next(one for one in (folder, *folder.parents) if one.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            yield Finding("problem", name, f"{folder} cannot be written", "set PALAVER_HOME to a folder that can")
            continue
        free = shutil.disk_usage(there).free
        level: Level = "ok" if free > LITTLE_SPACE else "warn"
        fix = "" if level == "ok" else "make room, or set PALAVER_HOME to a larger disk"
        yield Finding(level, name, f"{folder}, {format_size(free)} free", fix)


def history() -> Iterator[Finding]:
    """The history file: its mode, its schema, its pages and its search."""
    path = paths.history_file()
    if not path.exists():
        yield Finding("ok", "history", f"none yet; it will be {path}")
        return
    size = sum(part.stat().st_size for suffix in ("", "-wal") if (part := path.with_name(path.name + suffix)).exists())
    try:
        turns, pages, search = _examine(path)
    except StoreError as error:
        yield Finding("problem", "history", error.message, error.fix)
        return
    yield Finding("ok", "history", f"{path}, {format_size(size)}, {turns:,} turn{'s' * (turns != 1)}")
    yield from _private(path, "history")
    if pages == "ok":
        yield Finding("ok", "history", "its pages are whole")
    else:
        yield Finding("problem", "history", f"it is damaged: {pages}", "palaver doctor --recover")
    if search != "ok":
        yield Finding("problem", "history", f"its search index is broken: {search}", "palaver doctor --recover")


def is_damaged(path: Path) -> bool:
    """Whether the file cannot be used as a history, for another reason than that a newer Palaver wrote it."""
    try:
        _, pages, search = _examine(path)
    except StoreError as error:
        return error.code == "history_damaged"
    return pages != "ok" or search != "ok"


def _examine(path: Path) -> tuple[int, str, str]:
    """Number of turns, and what SQLite says of the pages and of the search index: `ok`, or what is wrong.

    Raises:
        StoreError: the file cannot be read as a history of this version.
    """
    from palaver.store.migrations import check_version
    from palaver.store.sqlite import Error, connect, explain

    try:
        check_version(path)
        with closing(connect(path, write=False)) as connection:
            pages = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            turns = int(connection.execute("SELECT count(*) FROM turns").fetchone()[0])
            try:
                connection.execute("SELECT count(*) FROM turns_fts WHERE turns_fts MATCH '\"palaver\"'").fetchone()
                search = "ok"
            except Error as error:
                search = str(error)
            return turns, pages, search
    except (Error, OSError) as error:
        raise explain(error, path) from error


def _private(path: Path, subject: str) -> Iterator[Finding]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name != "nt" and mode & 0o077:
        yield Finding("warn", subject, f"others can read {path} (mode {mode:04o})", f"chmod 600 {path}")


def models(*, is_checked: bool) -> Iterator[Finding]:
    """The downloaded models and their manifests."""
    from palaver import weights

    root = paths.models_dir()
    found = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if not found:
        yield Finding("warn", "models", "none is downloaded; baselines answer", "palaver models list")
    for folder in found:
        again = f"palaver models pull {folder.name}"
        entries = weights.read_manifest(folder)
        if any(folder.glob("*.partial")):
            yield Finding("warn", "models", f"{folder.name}: a download has not ended", again)
        elif not entries:
            yield Finding("warn", "models", f"{folder.name} has no manifest of digests", again)
        for entry in entries.values():
            path = folder / entry.name
            if not path.is_file() or path.stat().st_size != entry.size:
                yield Finding("problem", "models", f"{path} is missing or cut short", again)
            elif is_checked and weights.digest(path) != entry.sha256:
                yield Finding("problem", "models", f"{path} has changed since it arrived", again)
            else:
                yield Finding("ok", "models", f"{folder.name}: {entry.name}, {format_size(entry.size)}")


def plugins(*, is_checked: bool) -> Iterator[Finding]:
    """What is installed, and with `is_checked` whether it works."""
    from palaver.config import Settings, read_settings
    from palaver.plugins import look, probe, remedy

    try:
        off = read_settings().plugins_off
    except PalaverError:  # told by its own check
        off = Settings().plugins_off
    found = look(off=off)
    if is_checked:
        probe([one.found for one in found if one.health in ("unloaded", "broken")])
        found = look(off=off)
    said = {"off": ", off", "unloaded": ", works" if is_checked else "", "ok": ", works"}
    for one in found:
        name = f"{one.found.name} {one.found.version}".strip()
        if one.health == "broken":
            # What is remembered may have been mended since; what was just tried has not.
            yield Finding(
                "problem" if is_checked else "warn",
                "plugins",
                f"{name} is broken: {one.reason}",
                remedy(one),
            )
        elif one.health == "quarantined":
            yield Finding(
                "warn", "plugins", f"{name} is set aside: it {one.reason}", f"palaver plugins enable {one.found.name}"
            )
        else:
            yield Finding("ok", "plugins", name + said[one.health])


def terminal() -> Iterator[Finding]:
    """What the terminal can show."""
    encoding = (getattr(sys.stdout, "encoding", None) or "unknown").lower()
    if encoding.replace("-", "") != "utf8":
        yield Finding(
            "warn", "terminal", f"stdout is {encoding}: letters outside of it become ?", "export LC_ALL=C.UTF-8"
        )
    term = os.environ.get("TERM", "")
    if not is_terminal(sys.stdout):
        yield Finding("ok", "terminal", "stdout is no terminal now")
        return
    size = shutil.get_terminal_size()
    colours = "true colour" if os.environ.get("COLORTERM") in ("truecolor", "24bit") else "colours as TERM says"
    plain = ", NO_COLOR is set" if os.environ.get("NO_COLOR") else ""
    yield Finding("ok", "terminal", f"{term or 'no TERM'}, {size.columns}x{size.lines}, {colours}{plain}")
    if term in ("", "dumb"):
        yield Finding("warn", "terminal", "it can only print lines", "palaver chat --plain")
