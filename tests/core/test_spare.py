"""A process gives back what it does not need, and nothing else."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from palaver import spare

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is given back")

GIVES_BACK = """
import json, ctypes, re
from pathlib import Path
from palaver import spare

def resident(): return int(Path("/proc/self/statm").read_text().split()[1])

spare.one_heap()
spare.reuse_blocks()
before = resident()
freed = spare.give_back_code()
after = resident()
spare.give_back_blocks()
print(json.dumps([freed, before, after, re.sub("a+", "b", "caat"), ctypes.sizeof(ctypes.c_int)]))
"""


@linux
def test_code_that_is_given_back_comes_again_when_it_is_needed() -> None:
    import json

    told = subprocess.run([sys.executable, "-c", GIVES_BACK], capture_output=True, text=True, check=True).stdout
    freed, before, after, text, size = json.loads(told)
    assert freed > 2**20
    assert after < before
    assert (text, size) == ("cbt", ctypes.sizeof(ctypes.c_int))


@linux
def test_pages_that_differ_from_their_file_stay(tmp_path: Path) -> None:
    path, size = tmp_path / "library", 16 * mmap.PAGESIZE
    path.write_bytes(b"\1" * size)
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    mapped[:4] = b"mine"
    start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
    libc = ctypes.CDLL(None)
    assert libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(size), mmap.PROT_READ) == 0  # as libraries are
    spare.give_back_code()
    assert ctypes.string_at(start, 5) == b"mine\1"
