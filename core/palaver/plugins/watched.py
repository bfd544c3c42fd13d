"""Run Python in a process of its own that reports line by line, and know where it died or hung."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO

_START = """
import json, os, sys
report = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
null = os.open(os.devnull, os.O_RDWR)
given = json.loads(sys.stdin.readline())
for number in (0, 1, 2):
    os.dup2(null, number)
sys.path[:] = given["path"]
from importlib import import_module
import_module(given["module"]).report(given["given"], lambda line: print(json.dumps(line), file=report))
report.flush()
os._exit(0)  # a thread that the plugin left behind must not keep us
"""


class Ended(Exception):
    """The process was over before its work was: it died, or a line took too long."""


def reports(module: str, given: object, *, seconds: float) -> Iterator[dict[str, object]]:
    """What `module.report(given, say)` says, line by line, in a process with this one's path.

    What the process prints is thrown away. Whatever code run there does ends with it.

    Raises:
        Ended: with why, in words; what was said before has been given.
    """
    try:
        # -P: the folder we stand in is none of the user's packages.
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise Ended(f"no process could be started: {error}") from error
    assert process.stdin is not None
    assert process.stdout is not None
    said: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read, args=(process.stdout, said), daemon=True).start()
    try:
        with contextlib.suppress(OSError):
            process.stdin.write(json.dumps({"path": sys.path, "module": module, "given": given}).encode() + b"\n")
            process.stdin.close()
        while line := said.get(timeout=seconds):
            heard = json.loads(line)
            yield heard
        code = process.wait(timeout=seconds)
        if code:
            raise Ended(f"it ended the process ({_in_words(code)})")
    except (queue.Empty, subprocess.TimeoutExpired):
        raise Ended(f"it took more than {seconds:g} s") from None
    finally:
        _end(process)


def _read(pipe: IO[bytes], said: queue.Queue[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError):
        for line in pipe:
            said.put(line)
    said.put(b"")


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)  # with the children it may have
        else:
            process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    if process.poll() is not None and process.stdout is not None:
        process.stdout.close()


def _in_words(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"
