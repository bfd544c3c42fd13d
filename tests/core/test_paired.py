"""Runs side by side: the same segments, a test while they grow, asking again with what has drifted, and votes."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.scripted import Scripted, ScriptedRegistry, says

from palaver.again import drift, question_of
from palaver.comparison import Settings
from palaver.errors import BadInput, NotFound, UsageError
from palaver.evaluate import Evaluation
from palaver.paired import compare_runs, segments
from palaver.plans import Wanted, make_plans, reopen
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.runs import begin
from palaver.session import Session
from palaver.store import Store
from palaver.tally import Tally, paired

ROWS = [
    {
        "id": f"e{n}",
        "text": f"Ship {n} left at dawn. Rain fell on {n} towns. The crew of ship {n} slept.",
        "summary": f"Rain fell on {n} towns." if n % 2 else f"Ship {n} left at dawn.",
    }
    for n in range(8)
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "history.db") as opened:
        yield opened


@pytest.fixture
def registry() -> Registry:
    return Registry(Plugins())


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    path = tmp_path / "ships.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return Wanted(task="summarize", dataset=str(path), models=("lead-3", "lexrank"), options={"length": "1"})


def evaluate(registry: Registry, store: Store, wanted: Wanted) -> list[int]:
    dataset, plans = make_plans(registry, store, wanted)
    runs = [begin(store, plan) for plan in plans]
    for run in runs:
        Evaluation(registry, store, run, dataset).run(threading.Event())
    return runs


def test_segments_are_the_examples_that_the_comparison_counts(registry: Registry, store: Store, wanted: Wanted) -> None:
    first, second = evaluate(registry, store, wanted)
    _, found = compare_runs(registry, store, (first, second), settings=Settings(trials=200, resamples=100))
    rows = segments(store, first, second)
    assert [one.example_id for one in rows] == [row["id"] for row in ROWS]
    assert found.n == len(rows)
    pair = found.pair("chrf", "lead-3", "lexrank")
    gaps = [one.gap("chrf") for one in rows]
    assert pair.wins == sum(gap > 1e-9 for gap in gaps)
    assert pair.losses == sum(gap < -1e-9 for gap in gaps)
    for row in rows:
        turns = [store.turn(turn) for turn in row.turns]
        assert [turn.model for turn in turns] == ["lead-3", "lexrank"]
        assert {turn.example_id for turn in turns} == {row.example_id}


def test_an_answer_against_other_references_is_no_segment(registry: Registry, store: Store, wanted: Wanted) -> None:
    first, second = evaluate(registry, store, wanted)
    Session(registry, store).add_references(segments(store, first, second)[0].turns[1], ["Another one."])
    assert [one.example_id for one in segments(store, first, second)] == [row["id"] for row in ROWS[1:]]


def test_plans_name_every_typo_before_anything_is_asked(registry: Registry, store: Store, wanted: Wanted) -> None:
    for change, error in (
        ({"task": "summarise"}, NotFound),
        ({"models": ("lead-4",)}, NotFound),
        ({"options": {"long": "1"}}, UsageError),
        ({"metrics": ("chrff",)}, NotFound),
        ({"dataset": "nothing.jsonl"}, BadInput),
    ):
        with pytest.raises(error):
            make_plans(registry, store, dataclasses.replace(wanted, **change))
    assert store.runs() == []


def test_a_run_finds_its_data_set_again(registry: Registry, store: Store, wanted: Wanted) -> None:
    dataset, plans = make_plans(registry, store, wanted)
    assert reopen(registry, store, begin(store, plans[0])) == dataset
    with pytest.raises(NotFound):
        reopen(registry, store, 99)


def test_growing_runs_are_tested_on_the_rows_that_both_have_finished(
    registry: Registry, store: Store, wanted: Wanted
) -> None:
    runs = evaluate(registry, store, wanted)
    first, second = (Tally() for _ in runs)
    for tally, run, count in ((first, runs[0], 8), (second, runs[1], 5)):
        for one in store.results(run)[:count]:
            tally.add((one.example_id, one.epoch), one.status, one.scores)
    [pair] = paired({"a": first, "b": second}, registry.metric("chrf"))
    assert (pair.first, pair.second, pair.n) == ("a", "b", 5)
    assert paired({"a": first, "b": Tally()}, registry.metric("chrf")) == ()


def test_a_turn_is_asked_again_with_its_prompt_parameters_and_references(store: Store) -> None:
    scripted = ScriptedRegistry(Scripted(says("Hello there")))
    session = Session(scripted, store)
    from palaver.command import parse_line

    session.ask(parse_line("First", scripted))
    before = session.ask(parse_line("Second", scripted)).turn
    session.add_references(before.id, ["Hello"])
    before = store.turn(before.id)
    again = Session(scripted, store, kind="task").ask(question_of(scripted, before)).turn
    assert again.parent_id == before.id
    assert again.prompt == before.prompt  # with what was said before
    assert len(again.prompt) == 3
    assert again.config == before.config
    assert [one.text for one in again.references] == ["Hello"]
    assert {one.metric: one.value for one in again.scores} == {one.metric: one.value for one in before.scores}
    assert drift(before, again) == ()


def test_drift_names_the_weights_and_the_plugin_that_changed(store: Store) -> None:
    scripted = ScriptedRegistry(Scripted(says("ok")))
    from palaver.command import parse_line

    before = Session(scripted, store).ask(parse_line("/summarize A text. Another one.", scripted)).turn
    after = dataclasses.replace(before, id=2, model_digest="sha256:other", plugin_version="9.9", palaver_version="9.9")
    assert drift(before, after) == (
        "The weights of scripted are not those of #1.",
        f"The task's plugin was summarize {before.plugin_version} and is summarize 9.9.",
        f"Palaver was {before.palaver_version} and is 9.9.",
    )
    other = dataclasses.replace(before, model_ref="x:other", model_digest="1")
    assert drift(before, other) == ()  # another model has other weights: that is the point


def test_what_was_never_asked_cannot_be_asked_again(store: Store) -> None:
    scripted = ScriptedRegistry(Scripted(says("ok")))
    session = Session(scripted, store)
    failed = session.record_failure("chat", "/nothing", NotFound("There is no task.")).turn
    with pytest.raises(BadInput, match="was never asked"):
        question_of(scripted, failed)


def test_votes_are_kept_between_models_and_go_with_their_turns(store: Store, registry: Registry) -> None:
    from palaver.command import parse_line

    session = Session(registry, store)
    lead, lex = (
        session.ask(parse_line(f"/summarize -m {name} One is here. Two is there.", registry)).turn
        for name in ("lead-3", "lexrank")
    )
    store.vote(lead.id, [lex.id])
    store.vote(lead.id, [lex.id], is_tie=True, is_blind=False)
    tie, win = store.votes(("lead-3", "lexrank"))
    assert (win.winner_model, win.loser_model, win.is_tie, win.is_blind) == ("lead-3", "lexrank", False, True)
    assert (tie.is_tie, tie.is_blind) == (True, False)
    assert store.votes(("lead-3", "copy")) == []
    with pytest.raises(NotFound):
        store.vote(lead.id, [99])
    store.delete([lex.id])
    assert store.votes() == []
