"""A conversation forks where a turn is asked anew, and can be gone on with from any of its turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.scripted import Scripted, ScriptedRegistry, says

from palaver.command import parse_line
from palaver.errors import NotFound
from palaver.forks import Forks
from palaver.session import Session
from palaver.store import Said, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "history.db")
    yield store
    store.close()


def turn(number: int, parent: int | None, status: str = "complete") -> Said:
    return Said(number, parent, "chat", status, f"q{number}", f"a{number}")  # type: ignore[arg-type]


def ask(session: Session, line: str) -> int:
    return session.ask(parse_line(line, session.registry)).turn.id


def test_the_path_goes_back_to_the_beginning_and_the_end_along_the_newest_way() -> None:
    # 1 - 2 - 3 and, asked anew, 1 - 4 - 5; 6 failed
    forks = Forks([turn(1, None), turn(2, 1), turn(3, 2), turn(4, 1), turn(5, 4), turn(6, 5, "failed")])
    assert [one.id for one in forks.path(3)] == [1, 2, 3]
    assert forks.siblings(2) == forks.siblings(4) == [2, 4]
    assert forks.siblings(5) == [5]
    assert forks.end(1) == 5
    assert forks.end(2) == 3
    assert forks.newest == 5


def test_a_turn_whose_parent_is_gone_begins_the_conversation() -> None:
    forks = Forks([turn(7, 99), turn(8, 7)])
    assert [one.id for one in forks.path(8)] == [7, 8]
    assert forks.path(6) == []


def test_a_fork_knows_what_came_before_it_and_not_what_stood_beside_it(store: Store) -> None:
    model = Scripted(says("ok"))
    session = Session(ScriptedRegistry(model), store, model="scripted")
    first, second = ask(session, "One"), ask(session, "Two")
    session.follow(first)
    other = ask(session, "Other two")
    assert [one.content for one in model.asked[-1].messages] == ["One", "ok", "Other two"]
    assert Forks(store.said(session.run_id)).siblings(second) == [second, other]
    session.follow(None)
    ask(session, "Other one")
    assert [one.content for one in model.asked[-1].messages] == ["Other one"]
    assert store.turn(first).run_id == session.run_id


def test_an_earlier_conversation_goes_on_with_its_tasks(store: Store) -> None:
    model = Scripted(says("Guten Tag"))
    earlier = Session(ScriptedRegistry(model), store, model="scripted")
    ask(earlier, "Hello")
    last = ask(earlier, "/translate de Good day")
    session = Session(ScriptedRegistry(model), store, model="scripted")
    session.follow(last)
    ask(session, "Shorter, please")
    sent = [one.content for one in model.asked[-1].messages]
    assert sent[:2] == ["Hello", "Guten Tag"]
    assert "Good day" in sent[2]  # the task's instruction and text
    assert sent[3:] == ["Guten Tag", "Shorter, please"]
    assert session.run_id == earlier.run_id
    with pytest.raises(NotFound):
        session.follow(999)


def test_what_was_typed_comes_back_once_and_without_evaluations(store: Store) -> None:
    session = Session(ScriptedRegistry(Scripted(says("ok"))), store, model="scripted")
    for line in ("one", "two", "one"):
        ask(session, line)
    ask(Session(session.registry, store, model="scripted", kind="task"), "of a task")
    assert store.typed() == ["two", "one"]
