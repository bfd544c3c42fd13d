"""Commands called in this process, and what they wrote."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from palaver.cli import main
from palaver.store import Store

# Two sentences more than lead-3 takes.
TEXT = "One cat sat. Two dogs ran. Three birds flew. Four fish swam. Five cows slept."


LEAD = "One cat sat. Two dogs ran. Three birds flew."


class Said:
    """What a command wrote, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Palaver = Callable[..., Said]


@pytest.fixture
def palaver(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Palaver:
    def call(*arguments: str, given: bytes = b"") -> Said:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
        code = main(arguments)
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture
def store(palaver_home: Path) -> Iterator[Store]:
    with Store.open(palaver_home / "history.db") as store:
        yield store


@pytest.fixture
def asked(palaver: Palaver) -> Palaver:
    palaver("summarize", TEXT, "-m", "lead-3", "-r", LEAD)
    palaver("translate", "de", "日本の犬が走る", "-m", "copy")
    palaver("translate", "de", "Guten Tag", "-m", "nothing")
    return palaver
