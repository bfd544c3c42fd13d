"""One life of the process that holds a model: started, heard, stopped, and explained when it dies.

Knows frames and signals, and neither requests nor answers; those belong to `palaver.isolated`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from palaver import elsewhere, frames, paths
from palaver.terminal import safe_line

TERM_AFTER = 1.0
"""Seconds until a process that was asked to stop gets SIGTERM."""
KILL_AFTER = 3.0
"""Seconds until it gets SIGKILL."""

_LOG_LIMIT = 2**20


class ModelProcess:
    """A running `python -m palaver.child`, or another program that speaks frames.

    `on_frame` is called in a thread of this process' own, once for each frame and in order. That thread also starts the
    child: Linux sends the parent-death signal when the starting *thread* ends, and a caller's thread may end early.
    """

    def __init__(
        self, *, log: Path, on_frame: Callable[[frames.Frame], None], module: str = "", program: str = "palaver.child"
    ) -> None:
        """`module` is the plugin's that will run there: it may live in an environment of its own."""
        self.log = log
        self._module, self._program = module, program
        self.ended = threading.Event()
        """Set when the process is gone and its last frame was handed over."""
        self.quarrel = ""
        """What was wrong with the frames, if that was the end."""
        self._on_frame = on_frame
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._log_start = 0
        self._is_kept = threading.Event()
        """All that it has printed is in the log."""
        started = threading.Event()
        threading.Thread(target=self._supervise, args=(started,), name="palaver-model", daemon=True).start()
        started.wait()
        if self._failure is not None:
            raise self._failure

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def alive(self) -> bool:
        """The operating system still has it. Not the same as `ended`: the last frames may still be on their way."""
        return not self.ended.is_set() and self._running.poll() is None

    def memory_bytes(self) -> int:
        """Resident memory, 0 where the platform does not say or the process is gone."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE") if self.alive else 0

    def send(self, kind: str, /, **fields: object) -> None:
        """Queue a frame; never blocks, not even on a child that does not read.

        Raises:
            FrameError: the frame is too long.
        """
        self._outbox.put(frames.pack({"type": kind, **fields}))

    def stop(self) -> None:
        """Ask it to end, then make it. Returns when it is gone, after KILL_AFTER seconds at most."""
        self._outbox.put(frames.pack({"type": "close"}))
        self._outbox.put(None)
        if not self.ended.wait(TERM_AFTER):
            self.terminate_until_gone()

    def terminate_until_gone(self) -> None:
        """SIGTERM now, SIGKILL to it and to what it started if that does not help."""
        with contextlib.suppress(ProcessLookupError):
            self._running.terminate()
        if not self.ended.wait(KILL_AFTER - TERM_AFTER):
            self._kill()
            self.ended.wait(1.0)

    def epitaph(self) -> str:
        """How it ended, to follow a name: `was killed by SIGSEGV (Segmentation fault); its last words: ...`."""
        code = self._running.poll()
        if self.quarrel:
            how = f"broke the protocol ({self.quarrel})"
        elif code is not None and code < 0:
            try:
                how = f"was killed by {signal.Signals(-code).name} ({signal.strsignal(-code)})"
            except ValueError:
                how = f"was killed by signal {-code}"
            if -code == signal.SIGKILL:
                how += ", perhaps for want of memory"
        else:
            how = f"ended with exit code {code}"
        words = self._last_words()
        return f"{how}; its last words: {words}" if words else how

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None  # __init__ waits for it
        return self._process

    def _supervise(self, started: threading.Event) -> None:
        try:
            process = self._process = self._start()
        except OSError as error:
            self._failure = error
            self.ended.set()
            return
        finally:
            started.set()
        stdin, stdout = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        threading.Thread(target=self._write, args=(stdin,), name="palaver-model-out", daemon=True).start()
        try:
            if frames.skip_to_greeting(stdout):
                while (frame := frames.read(stdout)) is not None:
                    self._on_frame(frame)
        except frames.FrameError as error:
            self.quarrel = str(error)
        finally:
            self._outbox.put(None)
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:  # it closed its pipe, or wrote nonsense, and lives on
                self._kill()
                process.wait()
            stdout.close()
            self.ended.set()

    def _start(self) -> subprocess.Popen[bytes]:
        paths.private_dir(self.log.parent)
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > _LOG_LIMIT:
                self.log.replace(self.log.with_suffix(".old.log"))
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._log_start = os.fstat(log).st_size
        said, saying = os.pipe()
        threading.Thread(target=self._keep, args=(said, log), name="palaver-model-log", daemon=True).start()
        try:
            python, variables = elsewhere.interpreter_for(self._module)
            return subprocess.Popen(
                [python, "-P", "-m", self._program],  # -P: the user's folder shadows no module
                env=variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=saying,
                start_new_session=True,
                close_fds=True,
            )
        finally:
            os.close(saying)

    def _keep(self, said: int, log: int) -> None:
        """What the process prints, in its log; of what it prints without end only the newest."""
        try:
            while text := os.read(said, 2**16):
                if os.fstat(log).st_size + len(text) > _LOG_LIMIT + self._log_start:
                    os.close(log)
                    with contextlib.suppress(OSError):
                        self.log.replace(self.log.with_suffix(".old.log"))
                    log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                    self._log_start = 0
                os.write(log, text)
        except OSError:  # a full disk is no reason to stop the process
            while os.read(said, 2**16):
                pass
        finally:
            self._is_kept.set()
            os.close(said)
            os.close(log)

    def _write(self, stdin: BinaryIO) -> None:
        with contextlib.suppress(OSError):  # the reader sees the end and says why
            while (data := self._outbox.get()) is not None:
                frames.write(stdin.fileno(), data)
        with contextlib.suppress(OSError):
            stdin.close()

    def _kill(self) -> None:
        process = self._running
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if hasattr(os, "killpg"):
                    os.killpg(process.pid, signal.SIGKILL)  # its own session: helpers that it started go along
                else:
                    process.kill()

    def _last_words(self) -> str:
        """The last line of this life in the log; the dump of a fatal signal is not what one wants to read."""
        self._is_kept.wait(0.3)  # not for ever: something that it started may hold its end open
        try:
            with self.log.open("rb") as file:
                file.seek(max(self._log_start, self.log.stat().st_size - 65536))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        lines = text.partition("Fatal Python error:")[0].strip().splitlines()
        return safe_line(lines[-1], 200) if lines else ""
