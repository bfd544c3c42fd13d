"""The user's warm engine: `python -m palaver.engine SOCKET`, started by `palaver.warm`.

It holds models in their child processes and answers any command of the same user. It ends after ten minutes without
work, when it is told to, or when its socket is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from palaver import frames
from palaver.errors import ModelFailed, PalaverError
from palaver.isolated import IsolatedModel
from palaver.machine import memory_free
from palaver.model import GenerationConfig, ModelInfo, Request

IDLE_SECONDS = float(os.environ.get("PALAVER_ENGINE_IDLE") or 600)
LAST_SECONDS = 5.0
"""How long whoever ended the engine is kept waiting for its process to be gone."""


class Engine:
    """The models that are warm, and when there was last something to do."""

    def __init__(self) -> None:
        self._models: dict[str, IsolatedModel] = {}
        self._lock = threading.Lock()
        self._busy = 0
        self._last = time.monotonic()
        self.over = threading.Event()

    def model(self, info: ModelInfo, module: str) -> IsolatedModel:
        """The model, kept from before where there is one; those that no longer fit beside it are closed."""
        key = f"{info.ref} {info.path}"
        with self._lock:
            model = self._models.pop(key, None) or IsolatedModel(info, module=module)
            self._models[key] = model  # the last one is the one used last
            room = memory_free()
            for old in [one for one in self._models if one != key]:
                if info.memory <= room or model.alive:
                    break
                closed = self._models.pop(old)
                room += closed.memory_bytes()
                closed.close()
            return model

    def status(self) -> list[object]:
        """What each model is and takes, the one used last at the end: as `palaver.warm.Warm` has it."""
        with self._lock:
            models = list(self._models.values())
        return [
            {"info": frames.encode(one.info), "is_ready": one.is_ready, "memory_bytes": one.memory_bytes()}
            for one in models
        ]

    def unload(self, ref: str) -> bool:
        """Close the models of that `backend:name`; False where there was none."""
        with self._lock:
            closed = [self._models.pop(key) for key, one in list(self._models.items()) if one.info.ref == ref]
        for model in closed:
            model.close()
        return bool(closed)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """While this lasts, the engine is not idle."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                self._last = time.monotonic()

    def is_idle(self) -> bool:
        """Nothing was asked for as long as an engine stays."""
        with self._lock:
            return self._busy == 0 and time.monotonic() - self._last > IDLE_SECONDS

    def close(self) -> None:
        """End every model."""
        self.over.set()
        for model in list(self._models.values()):
            model.close()


def main(path: Path) -> None:
    """Listen, then serve in the background until idle, told to end, or replaced."""
    listener = _listen(path)
    if listener is None:
        return
    if os.fork():
        os._exit(0)  # whoever started this may go on: the socket listens
    engine = Engine()
    signal.signal(signal.SIGTERM, lambda *_: engine.over.set())
    mine = path.stat().st_ino
    listener.settimeout(0.5)
    try:
        while not engine.over.is_set() and not engine.is_idle():
            try:
                line, _ = listener.accept()
            except TimeoutError:
                if _inode(path) != mine:
                    break
                continue
            if engine.over.is_set():  # who comes now is answered by the next engine
                line.close()
                break
            threading.Thread(target=_serve, args=(engine, line), daemon=True).start()
    finally:
        listener.close()
        if _inode(path) == mine:
            path.unlink(missing_ok=True)
        engine.close()


def _listen(path: Path) -> socket.socket | None:
    """A listening socket that only this user can reach; None where another engine has it already."""
    lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held until this process ends
    except OSError:
        os.close(lock)
        _wait_for(path)
        return None
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(16)
    return listener


def _wait_for(path: Path) -> None:
    """Return when the engine that was first listens, or after two seconds."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line, contextlib.suppress(OSError):
            line.connect(str(path))
            return
        time.sleep(0.01)


def _serve(engine: Engine, line: socket.socket) -> None:
    with contextlib.suppress(OSError, frames.FrameError), contextlib.closing(line), line.makefile("rb") as incoming:
        if not _same_user(line):
            return
        frame = frames.read(incoming)
        if frame is None:
            return
        if frame.get("type") == "close":
            engine.over.set()
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wake:
                wake.connect(line.getsockname())  # or it would listen for half a second more
            threading.Event().wait(LAST_SECONDS)  # the line ends with the process: then there is room for the next one
            return
        if frame.get("type") == "status":
            frames.write(line.fileno(), frames.pack({"type": "status", "models": engine.status()}))
            return
        if frame.get("type") == "unload":
            unloaded = engine.unload(str(frame.get("ref", "")))
            frames.write(line.fileno(), frames.pack({"type": "unload", "unloaded": unloaded}))
            return
        cancel = threading.Event()
        threading.Thread(target=_watch, args=(incoming, cancel), daemon=True).start()
        with engine.working():
            _answer(engine, frame, line, cancel)


def _watch(incoming: BinaryIO, cancel: threading.Event) -> None:
    """Set `cancel` when the other side says so or is gone."""
    with contextlib.suppress(OSError, ValueError, frames.FrameError):
        frames.read(incoming)
    cancel.set()


def _answer(engine: Engine, frame: frames.Frame, line: socket.socket, cancel: threading.Event) -> None:
    def send(kind: str, /, **fields: object) -> None:
        frames.write(line.fileno(), frames.pack({"type": kind, **fields}))

    try:
        info, config = frames.decode(ModelInfo, frame["info"]), frames.decode(GenerationConfig, frame["config"])
        sent = frame["requests"]
        requests = [frames.decode(Request, one) for one in sent] if isinstance(sent, list) else []
        model = engine.model(info, str(frame["module"]))
        model.load(cancel)
        send("ready", info=frames.encode(model.info))
        for delta in model.stream(requests, config, cancel):
            send("delta", delta=frames.encode(delta))
        send("done")
    except PalaverError as error:
        send("error", kind=type(error).__name__, message=error.message, fix=error.fix, code=error.code)
    except OSError:
        raise
    except Exception as error:  # a command of a newer or older Palaver may ask for anything
        failed = ModelFailed(f"The engine failed: {type(error).__name__}: {error}", fix="palaver models unload")
        send("error", kind="ModelFailed", message=failed.message, fix=failed.fix, code=failed.code)


def _same_user(line: socket.socket) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the folder is 0700 and the socket 0600
    _, user, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return bool(user == os.getuid())


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
