"""What this machine has: threads to compute with, memory that is free, and the name of its processor."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Literal

_LOOKS, _BETWEEN_LOOKS = 7, 0.0015
"""How often it is looked which threads run, and the seconds in between."""

_CONTAINER = Path("/sys/fs/cgroup")
"""Control group of version 2, as a process inside a container sees its own."""


def threads(processes: int = 1, *, by_core: bool = True, beside_others: bool | Literal["now"] = False) -> int:
    """Threads for each of several processes; PALAVER_THREADS overrides.

    `by_core` counts two hyperthreads as the one core that they are: for work that keeps its arithmetic units busy.
    `beside_others` leaves out the cores that others keep busy, which takes a hundredth of a second to see: for work
    where all threads wait for each other many times a second a thread too many is worse than one too few. What is
    chosen for long looks at the last minute too, and what is chosen again for each answer only at "now".
    """
    wanted = os.environ.get("PALAVER_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if by_core and _shares_cores():
        usable = usable // 2
    busy = 0
    if beside_others and usable > 1:
        busy = _busy_now() if beside_others == "now" else _busy_with_others()
    return max(1, (usable - busy) // processes)


def memory_free() -> int:
    """Bytes that a new process can have, in this machine and in its container; plenty where nobody says."""
    free = 2**60
    with contextlib.suppress(OSError, ValueError, IndexError):
        for row in Path("/proc/meminfo").read_text("ascii").splitlines():
            if row.startswith("MemAvailable:"):
                free = int(row.split()[1]) * 1024
    with contextlib.suppress(OSError, ValueError):  # no limit is the word "max"
        limit = int((_CONTAINER / "memory.max").read_text("ascii"))
        held = int((_CONTAINER / "memory.current").read_text("ascii"))
        rows = (row.split() for row in (_CONTAINER / "memory.stat").read_text("ascii").splitlines())
        held -= sum(int(row[1]) for row in rows if row[0] == "inactive_file")  # a cache that gives way
        free = min(free, max(0, limit - held))
    return free


def processor() -> str:
    """What the processor calls itself, with the threads that are used of it: what a measured speed belongs to."""
    name = ""
    try:
        for row in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if row.startswith("model name"):
                name = row.partition(":")[2].strip()
                break
    except OSError:
        pass
    if not name:
        import platform

        name = platform.processor() or platform.machine()
    return f"{name}, {threads()} thread{'s' * (threads() > 1)}"


def _busy_with_others() -> int:
    """Cores that were busy in the last minute and are so now: in that minute this process may have worked itself."""
    minute = round(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
    return min(minute, _busy_now(minute)) if minute else 0


def _busy_now(unknown: int = 0) -> int:
    """Threads of others that run at this moment, the median of a few looks; `unknown` where nobody says."""
    seen = list[int]()
    with contextlib.suppress(OSError, ValueError, IndexError):
        for _ in range(_LOOKS):
            running = Path("/proc/loadavg").read_text("ascii").split()[3].partition("/")[0]
            seen.append(int(running) - 1)  # the thread that looks runs too
            time.sleep(_BETWEEN_LOOKS)
    return sorted(seen)[len(seen) // 2] if seen else unknown


def _shares_cores() -> bool:
    try:
        return Path("/sys/devices/system/cpu/smt/active").read_text("ascii").strip() == "1"
    except OSError:
        return False
