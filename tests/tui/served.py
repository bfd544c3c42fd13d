"""`palaver serve` in a process of its own, and what it has started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0


@dataclass(slots=True)
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    address: str
    """With the token."""

    @property
    def origin(self) -> str:
        return self.address.partition("/?")[0]

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])

    def end(self, number: int = signal.SIGINT) -> str:
        """Send a signal, wait for the end; what it has said since it began to serve."""
        self.process.send_signal(number)
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        self.process.wait(PATIENCE)
        return said


@contextmanager
def serving(*arguments: str) -> Iterator[Served]:
    """The server, until the block is left."""
    command = [sys.executable, "-m", "palaver", "serve", *arguments]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stderr is not None
        found = re.fullmatch(r"Open (http://127\.0\.0\.1:\d+/\?token=\S+)\n", process.stderr.readline())
        assert found, process.stderr.read()
        yield Served(process, found[1])
    finally:
        process.kill()
        process.communicate()


def tabs(home: Path) -> list[int]:
    """The processes of tabs over this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_tab = b"palaver_tui.serve.app_process" in (folder / "cmdline").read_bytes()
            if is_tab and str(home).encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended, or is another user's
            continue
    return found


def wait_for_tabs(home: Path, count: int) -> None:
    """Until so many are there."""
    end = time.monotonic() + PATIENCE
    while len(tabs(home)) != count:
        assert time.monotonic() < end, f"{tabs(home)} instead of {count}"
        os.sched_yield()
