"""Fixtures for the tests of a plugin: a scripted model, a history of the test's own, and no network."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from palaver import session as sessions
from palaver.example import Example
from palaver.store import Store, Turn
from palaver.task import Task
from palaver.testing.scripted import Ask, Scripted, ScriptedRegistry


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that opens a connection to elsewhere fails."""

    def refuse(*arguments: object, **options: object) -> NoReturn:
        raise AssertionError("a test of a plugin uses no network")

    for door in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, door, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def palaver_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that stands for all of the user's: history, models, settings, logs."""
    home = tmp_path / "palaver-home"
    home.mkdir()
    monkeypatch.setenv("PALAVER_HOME", str(home))
    monkeypatch.setenv("PALAVER_NO_DAEMON", "1")
    for moved in ("PALAVER_HISTORY", "PALAVER_CONFIG", "PALAVER_STATE", "PALAVER_SAFE_MODE"):
        monkeypatch.delenv(moved, raising=False)
    return home


@pytest.fixture
def scripted() -> Scripted:
    """The model `scripted`; set its `script` to what it is to say, and read in `asked` what it was asked."""
    return Scripted(lambda request: request.messages[-1].content if request.messages else "")


@pytest.fixture
def history(palaver_home: Path) -> Iterator[Store]:
    """An empty history."""
    with Store.open(palaver_home / "history.db") as store:
        yield store


@pytest.fixture
def ask(history: Store, scripted: Scripted) -> Ask:
    """Ask a task of the scripted model as the chat would: written to `history`, answered, parsed, scored."""
    session = sessions.Session(ScriptedRegistry(scripted), history)

    def asked(task: Task, example: Example) -> Turn:
        return session.ask(sessions.Ask(task, example)).turn

    return asked
