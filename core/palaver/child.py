"""The process that holds one model: `python -m palaver.child`, started by `palaver.isolated`.

It reads frames from what was its stdin and writes frames to what was its stdout. File descriptor 1 becomes stderr,
a log file, before anything foreign is imported: what native code prints can never end up between two frames.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import importlib
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NoReturn

from palaver import frames, spare, weights
from palaver.errors import ModelFailed, PalaverError
from palaver.model import Backend, GenerationConfig, Model, ModelInfo, ReadsAhead, Request

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Wire:
    """The frames to the parent. Writing is safe from any thread."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def send(self, kind: str, /, **fields: object) -> None:
        """Write one frame; with a parent that is gone, end."""
        data = frames.pack({"type": kind, **fields})
        try:
            with self._lock:
                frames.write(self._fd, data)
        except OSError:
            os._exit(0)

    def send_error(self, error: BaseException, name: str, **fields: object) -> None:
        """Tell the parent what went wrong; the whole traceback goes to the log."""
        if isinstance(error, PalaverError):
            known = error
        else:
            traceback.print_exception(error)
            known = ModelFailed(f"{name} failed: {_one_line(error)}")
        self.send("error", kind=type(known).__name__, message=known.message, fix=known.fix, code=known.code, **fields)


class Inbox:
    """What the parent wants: one stream after the other, each with the event that cancels it."""

    def __init__(self) -> None:
        self.work: queue.SimpleQueue[frames.Frame] = queue.SimpleQueue()
        self._cancels: dict[object, threading.Event] = {}
        self._lock = threading.Lock()

    def cancel_of(self, stream: object) -> threading.Event:
        """The event of this stream, from the moment that its frame arrived: a cancel may come before it is begun."""
        with self._lock:
            return self._cancels.setdefault(stream, threading.Event())

    def cancel(self, stream: object) -> None:
        """Set the event of this stream, unless it has ended in the meantime."""
        with self._lock:
            if stream in self._cancels:
                self._cancels[stream].set()

    def forget(self, stream: object) -> None:
        with self._lock:
            self._cancels.pop(stream, None)

    def listen(self, stream: BinaryIO) -> NoReturn:
        """Sort frames until the parent closes its end or dies, then end this process, whatever it is doing."""
        try:
            while (frame := frames.read(stream)) is not None and frame.get("type") != "close":
                if frame.get("type") == "cancel":
                    self.cancel(frame.get("id"))
                else:
                    if frame.get("type") in ("stream", "ahead"):
                        self.cancel_of(frame.get("id"))
                    self.work.put(frame)
        finally:
            os._exit(0)


def main() -> None:
    """Serve frames until the parent is gone."""
    incoming, wire = take_over_descriptors()
    die_with_parent()
    _die_before_parent()
    faulthandler.enable()
    inbox = Inbox()
    threading.Thread(target=inbox.listen, args=(incoming,), name="frames", daemon=True).start()
    model: Model | None = None
    while True:
        frame = inbox.work.get()
        if frame.get("type") == "load":
            model = _load(frame, wire)
        elif frame.get("type") == "ahead":
            _read_ahead(model, frame, wire, inbox)
        elif model is not None:
            _stream(model, frame, wire, inbox)


def take_over_descriptors() -> tuple[BinaryIO, Wire]:
    """Frames in and out on private descriptors; 0 reads nothing and 1 is the log."""
    incoming, outgoing = os.dup(0), os.dup(1)  # os.dup: not inherited by processes that a backend starts
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    for text in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            text.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    frames.write(outgoing, frames.GREETING)
    return os.fdopen(incoming, "rb", buffering=2**16), Wire(outgoing)


def die_with_parent() -> None:
    """Ask Linux to kill this process when the thread that started it ends; elsewhere the end of stdin has to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then cancels
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _die_before_parent() -> None:
    """Where memory runs out, have Linux end this process, which comes back, and not the one that shows the answer."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")


def _load(frame: frames.Frame, wire: Wire) -> Model | None:
    info = frames.decode(ModelInfo, frame["info"])
    try:
        digest = _verified(info)
        backend = _backend(str(frame["module"]), info.backend)
        model = backend.load(dataclasses.replace(info, digest=digest))
    except BaseException as error:  # a backend may raise anything at all, SystemExit included
        wire.send_error(error, info.name)
        return None
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # native servers take it over; here it must end the process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spare.give_back_blocks()
    spare.give_back_code()
    wire.send("ready", info=frames.encode(model.info), reads_ahead=isinstance(model, ReadsAhead))
    return model


def _verified(info: ModelInfo) -> str:
    """The digest of a model's one file, checked; for a folder or a model without files what the info says."""
    path = Path(info.path) if info.path else None
    if path is None or not path.is_file():
        return info.digest
    pinned = next((file.sha256 for file in info.files if file.name == path.name), "")
    return weights.verify(path, name=info.name, expected=pinned)


def _backend(module: str, name: str) -> Backend:
    provided: Iterable[Backend] = importlib.import_module(module).palaver_backends()
    for backend in provided:
        if backend.name == name:
            return backend
    raise ModelFailed(f"The plugin {module} provides no backend '{name}'.", fix="palaver plugins list")


def _stream(model: Model, frame: frames.Frame, wire: Wire, inbox: Inbox) -> None:
    stream, name = frame.get("id"), model.info.name
    try:
        sent = frame["requests"]
        requests = [frames.decode(Request, one) for one in sent] if isinstance(sent, list) else []
        config = frames.decode(GenerationConfig, frame["config"])
        for delta in model.stream(requests, config, inbox.cancel_of(stream)):
            wire.send("delta", id=stream, delta=frames.encode(delta))
    except BaseException as error:  # a backend may raise anything at all, SystemExit included
        wire.send_error(error, name, id=stream)
    finally:
        inbox.forget(stream)
        wire.send("done", id=stream)
        spare.give_back_blocks()


def _read_ahead(model: Model | None, frame: frames.Frame, wire: Wire, inbox: Inbox) -> None:
    """Read what may be asked next. Nobody waits for it, so nobody hears of a failure; a draft is kept in no log."""
    stream = frame.get("id")
    cancel = inbox.cancel_of(stream)
    try:
        if isinstance(model, ReadsAhead) and not cancel.is_set():
            model.read_ahead(frames.decode(Request, frame["request"]), cancel)
    except BaseException as error:  # a backend may raise anything at all, SystemExit included
        sys.stderr.write(f"reading ahead failed: {type(error).__name__}\n")
    finally:
        inbox.forget(stream)
        wire.send("done", id=stream)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


if __name__ == "__main__":
    main()
