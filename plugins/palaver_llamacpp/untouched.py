"""Give the memory of a KV cache that nothing was written to back to the system: it comes again as it is used.

llama.cpp fills the cache of the whole window with zeros when it loads. To a program a page of zeros and a page that the
system supplies at the first touch are the same, so a conversation pays for the tokens that it has. Linux only; where
the cache is not recognised for certain nothing is done.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import sys
from collections.abc import Iterator
from pathlib import Path

_BLOCK = 2**16
_SLACK = 2 * _BLOCK
"""Bytes by which what is found may differ from the cache's size: its ends lie inside of blocks."""


def release(size: int) -> int:
    """Release the one buffer of about `size` bytes, all zeros, that this process has; how many bytes that frees.

    To be called before anything uses the buffer: no other thread may write there meanwhile.
    """
    if sys.platform != "linux" or size < 16 * _BLOCK:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    found: list[tuple[int, int]] = []
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no such file or function: nothing is released
        for begin, end in _anonymous(size):
            found += [run for run in _zeros(libc, begin, end) if abs(run[1] - run[0] - size) <= _SLACK]
    if len(found) != 1:
        return 0
    begin, end = found[0][0] + _BLOCK, found[0][1] - _BLOCK  # a neighbour's zeros may stand at the ends
    failed = libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.MADV_DONTNEED)
    return 0 if failed else end - begin


def _anonymous(size: int) -> Iterator[tuple[int, int]]:
    """Begin and end of each private mapping without a file that has room for so much."""
    for line in Path("/proc/self/maps").read_text("ascii", "replace").splitlines():
        span, rights, _, _, inode, *name = line.split()
        begin, end = (int(one, 16) for one in span.split("-"))
        if rights == "rw-p" and inode == "0" and not name and end - begin >= size:
            yield begin, end


def _zeros(libc: ctypes.CDLL, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The runs of whole blocks that are in memory and hold nothing but zeros."""
    page = mmap.PAGESIZE
    resident = ctypes.create_string_buffer((end - begin) // page)
    if libc.mincore(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), resident):
        return
    pages, nothing, all_there = resident.raw, bytes(_BLOCK), b"\1" * (_BLOCK // page)
    start = first = -(-begin // _BLOCK) * _BLOCK
    for at in range(first, end // _BLOCK * _BLOCK + 1, _BLOCK):
        number = (at - begin) // page
        is_there = at + _BLOCK <= end and pages[number : number + _BLOCK // page] == all_there
        if not is_there or libc.memcmp(ctypes.c_void_p(at), nothing, ctypes.c_size_t(_BLOCK)):
            if at > start:
                yield start, at
            start = at + _BLOCK
