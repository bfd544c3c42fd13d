"""Who is writing: enough about a process to know later whether it still lives."""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ABANDONED_SECONDS = 86_400.0
"""A turn of a process that cannot be looked at from here counts as abandoned after a day without a sign."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told apart from any later one with the same number."""

    pid: int
    start: str
    """Start time as the kernel counts it; empty where it does not tell."""
    boot: str
    """`host/boot id/process namespace`: where and since when that number means something."""


def this_process() -> Owner:
    """The process that asks."""
    pid = os.getpid()
    return Owner(pid, _start(pid) or "", f"{socket.gethostname()}/{_boot_id()}/{_namespace()}")


def is_gone(owner: Owner, *, last_sign: float) -> bool:
    """True only when `owner` surely ended: a process that may still live is never called gone.

    `last_sign` is the Unix time of its last write, which decides for processes of other hosts and containers.
    """
    here = this_process()
    if owner.boot == here.boot:
        return not _is_alive(owner, last_sign)
    host, _, rest = owner.boot.partition("/")
    this_host, _, this_rest = here.boot.partition("/")
    known = rest.partition("/")[0] and this_rest.partition("/")[0]
    if host == this_host and known and rest.partition("/")[0] != this_rest.partition("/")[0]:
        return True  # this machine has been restarted since
    return time.time() - last_sign > ABANDONED_SECONDS


def _is_alive(owner: Owner, last_sign: float) -> bool:
    if sys.platform == "linux":
        return _start(owner.pid) == owner.start
    if sys.platform == "win32":  # os.kill(pid, 0) would send Ctrl-C there
        return time.time() - last_sign <= ABANDONED_SECONDS
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it lives, and belongs to somebody else
        return True
    return True


def _start(pid: int) -> str | None:
    """Field 22 of /proc/pid/stat, or None for a process that is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return None if fields[0] in "ZX" else fields[19]


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
