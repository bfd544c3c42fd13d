"""What a model answered before is taken over by a command, said so, and never where it could be another answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from palaver.cli.answer import record
from palaver.evaluate import Evaluation
from palaver.example import Example
from palaver.plans import Wanted, make_plans
from palaver.registry import Registry
from palaver.runs import begin
from palaver.session import Ask, Session
from palaver.store import Store
from palaver.testing.scripted import Scripted, ScriptedRegistry


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "history.db") as opened:
        yield opened


@pytest.fixture
def registry() -> ScriptedRegistry:
    return ScriptedRegistry(Scripted("Rain fell."))


def ask(
    registry: Registry,
    text: str = "Rain fell all day.",
    *,
    is_cached: bool = True,
    config: Mapping[str, str] = MappingProxyType({}),
) -> Ask:
    task = registry.task("summarize")(length=1)  # type: ignore[call-arg]
    return Ask(task, Example({"text": text}), config=config, is_cached=is_cached)


def test_the_same_request_is_answered_from_history(registry: ScriptedRegistry, store: Store) -> None:
    session, pieces = Session(registry, store, kind="task"), []
    first = session.ask(ask(registry)).turn
    again = session.ask(ask(registry), on_text=pieces.append).turn
    assert len(registry.scripted.asked) == 1
    assert (again.cached_from, again.output, again.status) == (first.id, "Rain fell.", "complete")
    assert again.id != first.id
    assert pieces == ["Rain fell."]
    assert record(again)["cached_from"] == first.id
    third = session.ask(ask(registry)).turn
    assert third.cached_from == first.id  # the one that was asked, not the copy


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("Snow fell.", {}),
        ("Rain fell all day.", {"seed": "7"}),
        ("Rain fell all day.", {"temperature": "0.5"}),
        ("Rain fell all day.", {"max_new_tokens": "9"}),
    ],
)
def test_another_request_is_asked(
    registry: ScriptedRegistry, store: Store, text: str, config: Mapping[str, str]
) -> None:
    session = Session(registry, store, kind="task")
    session.ask(ask(registry))
    assert session.ask(ask(registry, text, config=config)).turn.cached_from is None
    assert len(registry.scripted.asked) == 2


def test_a_chat_that_answers_again_asks_the_model(registry: ScriptedRegistry, store: Store) -> None:
    session = Session(registry, store)
    for _ in range(2):
        assert session.ask(ask(registry, is_cached=False)).turn.cached_from is None
    assert len(registry.scripted.asked) == 2


def test_a_stopped_answer_is_no_answer(registry: ScriptedRegistry, store: Store) -> None:
    session, cancel = Session(registry, store, kind="task"), threading.Event()
    session.ask(ask(registry), cancel=cancel, on_text=lambda piece: cancel.set())
    assert session.ask(ask(registry)).turn.cached_from is None


def test_a_baseline_is_always_asked(store: Store, registry: ScriptedRegistry) -> None:
    session = Session(registry, store, kind="task", model="lead-3")
    assert [session.ask(ask(registry)).turn.cached_from for _ in range(2)] == [None, None]


def test_a_command_and_a_batch_share_their_answers(registry: ScriptedRegistry, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "Rain fell all day.", "summary": "Rain fell."}\n{"text": "Snow.", "summary": "Snow."}\n')
    session = Session(registry, store, kind="task")
    asked = session.ask(ask(registry)).turn
    wanted = Wanted(task="summarize", dataset=str(path), models=("scripted",), options={"length": "1"})
    dataset, [plan] = make_plans(registry, store, wanted)
    run = begin(store, plan)
    Evaluation(registry, store, run, dataset).run(threading.Event())
    first, second = store.run_turns(run)
    assert (first.cached_from, second.cached_from) == (asked.id, None)
    assert session.ask(ask(registry, "Snow.")).turn.cached_from == second.id
    assert len(registry.scripted.asked) == 2


def test_a_reference_scores_what_was_taken_over(registry: ScriptedRegistry, store: Store) -> None:
    session = Session(registry, store, kind="task")
    session.ask(ask(registry))
    wanted = ask(registry)
    scored = session.ask(
        Ask(wanted.task, Example({"text": "Rain fell all day."}, ("Rain fell.",)), is_cached=True)
    ).turn
    assert scored.cached_from is not None
    assert {one.value for one in scored.scores if one.metric == "rouge1"} == {1.0}
