"""A model that stays warm between commands: one engine of the user's own, reached through a socket.

`WarmModel` is what a command holds. The engine is `python -m palaver.engine`, started by the first command that needs
it and gone after ten minutes without work. Where no engine can be had the model runs in a child of the command itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from palaver import __version__, frames, paths
from palaver.errors import ModelFailed
from palaver.isolated import IsolatedModel
from palaver.life import POLL, error_of
from palaver.model import Delta, GenerationConfig, ModelInfo, Request

START_SECONDS = 10.0
"""How long an engine may take to listen; loading a model comes after that."""

CANCEL_GRACE = 0.15
"""Seconds that the engine has to confirm a cancel before the answer ends without it."""


def socket_path() -> Path:
    """The socket of this user's engine for this installation and this data folder."""
    identity = "\0".join((__version__, sys.prefix, str(paths.data_dir().absolute())))
    return paths.runtime_dir() / f"engine-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.sock"


class _Unheard(Exception):
    """The engine was gone before it took the question."""


class WarmModel:
    """The Model that the user's engine keeps loaded."""

    def __init__(self, info: ModelInfo, *, module: str) -> None:
        self._info = info
        self._module = module
        self._own: IsolatedModel | None = None

    @property
    def info(self) -> ModelInfo:
        """What is known of the model; after the first answer also what loading told."""
        return self._own.info if self._own else self._info

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """Answer, from the engine. See `Model.stream`.

        Raises:
            ModelFailed: the model or the engine died; the next call starts it again.
        """
        for _ in range(2):
            line = None if self._own else _connect()
            if line is None:
                break
            with contextlib.closing(line):
                try:
                    yield from self._ask(line, requests, config, cancel)
                    return
                except _Unheard:  # the engine was ending just then: the next one answers
                    continue
        self._own = self._own or IsolatedModel(self._info, module=self._module)
        yield from self._own.stream(requests, config, cancel)

    def load(self, cancel: threading.Event) -> bool:
        """Load the weights now, for the commands to come; False where there is no engine to keep them.

        Raises:
            ModelFailed, NeedsDownload: as the backend says.
        """
        for _ in self.stream([], GenerationConfig(), cancel):
            pass
        return self._own is None

    def close(self) -> None:
        """Let go of the model; the engine keeps it for the next command."""
        if self._own is not None:
            self._own.close()

    def _ask(
        self, line: socket.socket, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event
    ) -> Iterator[Delta]:
        sent = [frames.encode(one) for one in requests]
        ask = {"type": "stream", "module": self._module, "info": frames.encode(self._info)}
        try:
            frames.write(line.fileno(), frames.pack({**ask, "requests": sent, "config": frames.encode(config)}))
        except OSError as error:
            raise _Unheard from error
        is_heard = False
        pending = dict.fromkeys(range(len(requests)))
        cancelled_at: float | None = None
        for frame in _frames(line):
            if cancel.is_set() and cancelled_at is None:
                cancelled_at = time.monotonic()
                with contextlib.suppress(OSError):  # gone: the end of the line says so
                    frames.write(line.fileno(), frames.pack({"type": "cancel"}))
            if cancelled_at is not None and time.monotonic() - cancelled_at > CANCEL_GRACE:
                yield from (Delta(request=one, finish_reason="cancelled") for one in pending)
                return
            if frame is None:
                continue
            is_heard = True
            if frame["type"] == "ready":
                self._info = frames.decode(ModelInfo, frame["info"])
            elif frame["type"] == "error":
                raise error_of(frame)
            elif frame["type"] == "done":
                return
            elif frame["type"] == "delta":
                delta = frames.decode(Delta, frame["delta"])
                if delta.finish_reason is not None:
                    pending.pop(delta.request, None)
                yield delta
        if not is_heard:
            raise _Unheard
        raise ModelFailed(f"The engine that ran {self._info.name} died.", fix="ask again", code="model_died")


@dataclass(frozen=True, slots=True)
class Warm:
    """A model that the engine holds."""

    info: ModelInfo
    is_ready: bool
    """Its weights are loaded."""
    memory_bytes: int
    """Resident memory of its process."""


def engine_status() -> list[Warm]:
    """The models that this user's engine holds, the one used last at the end; none where no engine runs."""
    reply = _tell_engine("status")
    held = reply.get("models") if reply is not None else None
    with contextlib.suppress(frames.FrameError):  # an engine of another version
        return [frames.decode(Warm, one) for one in held] if isinstance(held, list) else []
    return []


def unload_from_engine(ref: str) -> bool:
    """Have the engine close the models of that `backend:name`; False where it held none."""
    reply = _tell_engine("unload", ref=ref)
    return reply is not None and bool(reply.get("unloaded"))


def _tell_engine(kind: str, /, **fields: object) -> frames.Frame | None:
    """The engine's one reply; None where no engine runs or it does not understand."""
    line = _try(socket_path()) if hasattr(socket, "AF_UNIX") else None
    if line is None:
        return None
    with contextlib.closing(line), contextlib.suppress(OSError, frames.FrameError):
        line.settimeout(5)
        frames.write(line.fileno(), frames.pack({"type": kind, **fields}))
        with line.makefile("rb") as incoming:
            reply = frames.read(incoming)
        return reply if reply is not None and reply.get("type") == kind else None
    return None


def stop_engine() -> bool:
    """Ask this user's engine to end; False if none runs."""
    line = _try(socket_path())
    if line is None:
        return False
    with contextlib.closing(line), contextlib.suppress(OSError):
        frames.write(line.fileno(), frames.pack({"type": "close"}))
        line.settimeout(5)
        while line.recv(4096):
            continue
    return True


def _connect() -> socket.socket | None:
    """A line to the engine, started if need be; None where there can be none."""
    path = socket_path()
    if not hasattr(socket, "AF_UNIX") or len(str(path)) > 100:  # sun_path holds 104 bytes on macOS, 108 on Linux
        return None
    if (line := _try(path)) is not None:
        return line
    try:
        folder = paths.private_dir(path.parent)
        if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
            return None  # somebody else made it: whoever owns the folder could read what is asked
        _start(path)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _try(path)


def _try(path: Path) -> socket.socket | None:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(str(path))
    except OSError:
        line.close()
        return None
    return line


def _start(path: Path) -> None:
    """Run the engine's front, which returns as soon as an engine listens: its own, or another command's."""
    folder = paths.private_dir(paths.state_dir() / "logs")
    log = os.open(folder / "engine.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        command = [sys.executable, "-P", "-m", "palaver.engine", str(path)]
        null = subprocess.DEVNULL
        subprocess.run(
            command, stdin=null, stdout=log, stderr=log, start_new_session=True, timeout=START_SECONDS, check=False
        )
    finally:
        os.close(log)


def _frames(line: socket.socket) -> Iterator[frames.Frame | None]:
    """The frames as they come, and None when a while passes without one; ends with the line."""
    held = bytearray()
    line.settimeout(POLL)
    while True:
        while (frame := frames.take(held)) is not None:
            yield frame
        try:
            data = line.recv(2**16)
        except TimeoutError:
            yield None
            continue
        except OSError:
            return
        if not data:
            return
        held += data
