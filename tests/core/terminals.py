"""Palaver in a process of its own: behind pipes, and on a terminal whose every byte is seen."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_OWN_TERMINAL = (
    "-ISc",
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])",
    sys.executable,
)
"""Makes stdin the terminal that signals come from, then becomes the program."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended, and what it wrote."""

    code: int
    out: str
    err: str = ""


def piped(*arguments: str, given: bytes = b"", environment: Mapping[str, str] | None = None) -> Ended:
    """`palaver ARGUMENTS` with `given` on stdin and both outputs in pipes."""
    done = subprocess.run(
        [sys.executable, "-m", "palaver", *arguments],
        input=given,
        capture_output=True,
        env={**os.environ, **(environment or {})},
        timeout=60,
    )
    return Ended(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))


def on_terminal(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = ("-m", "palaver"),
    on_open: Callable[[int], None] = lambda terminal: None,
    when_it_writes: Callable[[subprocess.Popen[bytes], bytes], None] = lambda process, seen: None,
) -> Ended:
    """`palaver ARGUMENTS` on a pseudo-terminal; `when_it_writes` sees all bytes so far, each time there are more.

    `on_open` gets our end of the terminal, to type into. The terminal is the process's own: ctrl+c reaches it.
    """
    ours, theirs = pty.openpty()
    on_open(ours)
    process = subprocess.Popen(
        [sys.executable, *_OWN_TERMINAL, *program, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **(environment or {})},
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                more = os.read(ours, 65536)
            except OSError:  # Linux says EIO when the last process has let go of the terminal
                break
            if not more:
                break
            seen += more
            when_it_writes(process, seen)
        return Ended(process.wait(10), seen.decode("utf-8", "replace"))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
