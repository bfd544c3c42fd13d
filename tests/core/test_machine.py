"""How many threads compute here, beside what others do."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from palaver.machine import threads

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody says how many threads run now")


@contextlib.contextmanager
def busy_cores(count: int) -> Iterator[None]:
    program = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    busy = [subprocess.Popen(program, stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for one in busy:
            assert one.stdout is not None
            one.stdout.readline()
        yield
    finally:
        for one in busy:
            one.kill()
            one.communicate()


@linux
def test_cores_that_others_keep_busy_are_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PALAVER_THREADS", raising=False)
    with busy_cores(len(os.sched_getaffinity(0))):
        assert threads(beside_others="now") == 1  # never none


@linux
def test_a_minute_in_which_only_this_process_worked_takes_no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PALAVER_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)))
    monkeypatch.setattr("palaver.machine._shares_cores", lambda: False)
    monkeypatch.setattr(os, "getloadavg", lambda: (60.0, 0.0, 0.0))
    assert threads(beside_others=True) > 64 - 60  # of the 60 of the last minute most are gone by now


def test_what_the_user_says_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_THREADS", "3")
    assert threads(beside_others="now") == threads(beside_others=True) == threads() == 3
