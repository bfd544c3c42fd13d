"""Give memory back to the system that this process holds and does not need: freed blocks, and pages of program files.

Linux and glibc only; elsewhere nothing is done. It takes a few milliseconds.
"""

from __future__ import annotations

import contextlib
import mmap
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h

_MAPPING = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)")
_SIZES = (b"Rss:", b"Private_Dirty:", b"Anonymous:")


def one_heap() -> None:
    """Have all threads from now on allocate from one heap, and every large block from the system.

    A heap for each thread keeps what is freed in it, and a large block that is freed leaves a hole. For a process in
    which one thread at a time allocates much.
    """
    _choose(_M_ARENA_MAX, 1)
    _choose(_M_MMAP_THRESHOLD, 2**17)


def reuse_blocks() -> None:
    """After loading: blocks of up to a megabyte, which come and go with each token, stay in the heap."""
    _choose(_M_MMAP_THRESHOLD, 2**20)
    _choose(_M_TRIM_THRESHOLD, 2**22)


def resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * mmap.PAGESIZE
    return 0


def give_back_blocks() -> None:
    """What was freed goes back to the system at once; the C library would keep it."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def give_back_code() -> int:
    """Forget the pages of programs and libraries, of which starting needs most; how many bytes those were.

    What is needed again is found in the system's file cache when it is touched. Pages that differ from their file, and
    files that are mapped to be shared, as weights are, stay.
    """
    if sys.platform != "linux":
        return 0
    import ctypes

    freed = 0
    with contextlib.suppress(OSError, ValueError, AttributeError):
        libc = ctypes.CDLL(None)
        for begin, end, resident in _unchanged():
            if not libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.MADV_DONTNEED):
                freed += resident
    return freed


def _unchanged() -> Iterator[tuple[int, int, int]]:
    """Begin, end and resident bytes of each private mapping of a file that nobody can write to and nobody has."""
    span, kilobytes = (0, 0), dict[bytes, int]()
    with Path("/proc/self/smaps").open("rb") as rows:  # row by row: as a whole it would take a megabyte
        for row in rows:
            if (found := _MAPPING.match(row)) is not None:
                is_code = found[3] in (b"r-xp", b"r--p") and found[4] != b"0"
                span = (int(found[1], 16), int(found[2], 16)) if is_code else (0, 0)
            elif span[1] and row.startswith(_SIZES):
                name, size, _ = row.split()
                kilobytes[name] = int(size)
                if name == b"Anonymous:":  # the last of them
                    if kilobytes[b"Rss:"] and not (kilobytes[b"Private_Dirty:"] or kilobytes[b"Anonymous:"]):
                        yield span[0], span[1], kilobytes[b"Rss:"] * 1024
                    span = (0, 0)


def _choose(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).mallopt(option, value)
