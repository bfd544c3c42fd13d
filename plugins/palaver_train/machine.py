"""What this machine has: threads to compute with, and memory."""

from __future__ import annotations

import os
from pathlib import Path


def threads(processes: int = 1) -> int:
    """Threads for each of several processes; PALAVER_THREADS overrides."""
    wanted = os.environ.get("PALAVER_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // processes)


def free_memory() -> int | None:
    """Bytes that a process may still take; None where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None
