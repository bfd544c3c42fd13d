"""Turns of history asked again: the same questions, another model, and what the difference is worth."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from palaver import cli
from palaver.comparison import Settings
from palaver.errors import BadInput
from palaver.example import Example
from palaver.rerun import Rerun, ask_again, comparisons, questions
from palaver.session import Ask, Session
from palaver.store import Filter, Store, Turn
from palaver.task import Chat
from palaver.testing.scripted import Scripted, ScriptedRegistry

TEXTS = [f"Ship {n} left. Rain fell on {n} towns. Snow came." for n in range(6)]
SETTINGS = Settings(trials=200, resamples=200)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "history.db") as opened:
        yield opened


def asked_before(registry: ScriptedRegistry, store: Store, model: str = "lead-3", length: int = 1) -> list[Turn]:
    """A summary of each text, with a reference."""
    session = Session(registry, store, kind="task")
    task = registry.task("summarize")(length=length)
    for text in TEXTS:
        example = Example({"text": text}, (text.split(". ")[1] + ".",))
        assert session.ask(Ask(task, example, model, {"seed": "7"})).error is None
    return list(store.turns(Filter()))


def again(registry: ScriptedRegistry, store: Store, turns: list[Turn], model: str = "", **more: bool) -> Rerun:
    return ask_again(Session(registry, store, kind="task"), turns, threading.Event(), model=model, **more)


def test_another_model_answers_the_same_questions_and_is_compared_in_pairs(store: Store) -> None:
    registry = ScriptedRegistry(Scripted(lambda request: request.messages[-1].content.split(". ")[1] + "."))
    before = asked_before(registry, store)
    found = again(registry, store, before, "scripted")
    assert [one.before.id for one in found.pairs] == [one.id for one in before]
    for one in found.pairs:
        assert (one.after.model, one.after.parent_id) == ("scripted", one.before.id)
        assert one.after.options == one.before.options == {"length": 1}
        assert one.after.config and one.after.config.seed == 7
        assert [ref.text for ref in one.after.references] == [ref.text for ref in one.before.references]
    assert not found.is_stopped
    [(task, compared)] = comparisons(registry, found.pairs, SETTINGS)
    assert (task, compared.n, compared.systems) == ("summarize", 6, ("scripted", "lead-3"))
    pair = compared.pair("rouge1", "scripted", "lead-3")
    # The second sentence is the reference. All 6 are won; of the 64 ways to swap 6 pairs 2 are as far apart: p = 2/64.
    assert (pair.wins, pair.losses, pair.p) == (6, 0, pytest.approx(2 / 64))


def test_the_same_model_gives_the_same_answers(store: Store) -> None:
    registry = ScriptedRegistry(Scripted("never asked"))
    found = again(registry, store, asked_before(registry, store))
    assert all(one.is_same for one in found.pairs)
    assert found.drift() == []
    [(_, compared)] = comparisons(registry, found.pairs, SETTINGS)
    assert compared.systems == ("lead-3 now", "lead-3 then")
    assert compared.pair("chrf", "lead-3 now", "lead-3 then").ties == 6


def test_a_chat_sends_what_it_sent_then(store: Store) -> None:
    registry = ScriptedRegistry(Scripted("Yes."))
    talk = Session(registry, store)
    for text in ("My name is Ada.", "Who am I?"):
        talk.ask(Ask(Chat(), Example({"text": text}), "scripted"))
    registry.scripted.asked.clear()
    found = again(registry, store, list(store.turns(Filter())), "scripted")
    assert [one.before.prompt for one in found.pairs] == [one.messages for one in registry.scripted.asked]
    assert len(registry.scripted.asked[1].messages) > len(registry.scripted.asked[0].messages)


def test_a_question_counts_once_however_many_models_were_asked(store: Store) -> None:
    registry = ScriptedRegistry(Scripted(""))
    asked_before(registry, store, "lead-3")
    asked_before(registry, store, "lexrank")
    turns = asked_before(registry, store, "lead-3", length=2)
    kept = questions(turns)
    assert [(one.model, one.options["length"]) for one in kept] == [("lexrank", 1)] * 6 + [("lead-3", 2)] * 6


def test_what_was_answered_before_a_stop_is_not_asked_twice(store: Store) -> None:
    cancel = threading.Event()
    registry = ScriptedRegistry(Scripted("word"))
    before = asked_before(registry, store)
    session = Session(registry, store, kind="task")
    found = ask_again(
        session,
        before,
        cancel,
        model="scripted",
        is_cached=True,
        on_done=lambda done: cancel.set() if done == 2 else None,
    )
    assert (len(found.pairs), found.is_stopped) == (2, True)
    found = again(registry, store, before, "scripted", is_cached=True)
    assert not found.is_stopped
    assert [one.after.cached_from is not None for one in found.pairs] == [True, True, False, False, False, False]
    assert len(registry.scripted.asked) == 6


def test_a_turn_that_was_never_asked_is_named(store: Store) -> None:
    registry = ScriptedRegistry(Scripted("word"))
    session = Session(registry, store, kind="task")
    before = asked_before(registry, store)
    failed = session.record_failure("summarize", "/sumarize x", BadInput("There is no such task."))
    found = again(registry, store, [failed.turn, *before], "scripted")
    assert [turn for turn, _ in found.skipped] == [failed.turn.id]
    assert "was never asked" in found.skipped[0][1]
    assert len(found.pairs) == 6


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main([*arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_command_compares_then_and_now(capsys: pytest.CaptureFixture[str]) -> None:
    for text in TEXTS:
        command(capsys, "summarize", text, "-m", "lead-3", "--length", "1", "--ref", text.split(". ")[1])
    code, out, err = command(capsys, "history", "rerun", "task:summarize", "-m", "copy", "--trials", "100")
    assert code == 0
    assert "6 examples that all of copy, lead-3 answered, against the same references" in out
    assert "6 complete of 6 asked again, 0 with the same answer: palaver history list run:" in err
    code, out, err = command(capsys, "history", "rerun", "task:summarize", "-m", "copy", "--json", "--limit", "4")
    found = json.loads(out)
    assert (code, found["schema"], len(found["turns"])) == (0, "palaver.rerun/1", 4)
    assert found["comparisons"][0]["metrics"][0]["pairs"][0]["n"] == 4
    assert "6 answers of copy itself are not asked again" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("task:nothing",), 4, "No turn matches"),
        (("task:generate", "-m", "copi"), 3, "Did you mean 'copy'"),
        (("task:generate", "-m", "copy"), 4, "are copy's own"),
        ((), 2, "FILTER"),
        (("",), 2, "Which turns?"),
    ],
)
def test_what_cannot_be_asked_again_is_told(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    command(capsys, "generate", "Once", "-m", "copy")
    found, out, err = command(capsys, "history", "rerun", *arguments)
    assert (found, out) == (code, "")
    assert said in err
