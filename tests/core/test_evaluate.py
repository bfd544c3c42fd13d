"""An evaluation: each example once, the same result however often it was interrupted, answers not asked for twice."""

from __future__ import annotations

import dataclasses
import json
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from tests.core.scripted import Script, Scripted, ScriptedRegistry

from palaver.data import Dataset
from palaver.errors import BadInput, ContextExceeded, ModelFailed, NotFound, UsageError
from palaver.evaluate import Evaluation, Progress
from palaver.example import Example
from palaver.model import Delta, Generation, GenerationConfig, Request
from palaver.runs import Plan, Report, begin, report
from palaver.session import Ask, Session
from palaver.sources import open_dataset, promoted
from palaver.store import Answered, Store, TurnStart
from palaver.tally import Tally


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "history.db") as opened:
        yield opened


EXAMPLES = tuple(
    Example(
        {"text": f"The cat number {n} sat on the mat. Nobody knows why."},
        (f"Cat {n} sat" + " on it" * n + ".",),
        f"e{n}",
    )
    for n in range(6)
)
DATASET = Dataset("cats", "cats.jsonl", EXAMPLES)


def echo(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
    """The first five words and the seed."""
    yield Delta(" ".join(request.example["text"].split()[:5]) + f" s{config.seed}")
    yield Delta(finish_reason="stop", output_tokens=6)


def registry(script: Script = echo) -> ScriptedRegistry:
    return ScriptedRegistry(Scripted(script))


def plan(dataset: Dataset = DATASET, **changes: object) -> Plan:
    values: dict[str, object] = {
        "task": "summarize",
        "options": {"length": 1},
        "model": "scripted",
        "dataset": dataset.source,
        "name": dataset.name,
        "digest": dataset.digest,
        "n": len(dataset.examples),
    }
    return Plan(**(values | changes))  # type: ignore[arg-type]


def run(
    store: Store, given: ScriptedRegistry, wanted: Plan | None = None, *, is_cached: bool = True, run_id: int = 0
) -> Report:
    number = run_id or begin(store, wanted or plan())
    return Evaluation(given, store, number, DATASET, is_cached=is_cached).run(threading.Event())


def outputs(store: Store, run_id: int) -> Mapping[tuple[str | None, int], str]:
    return {(turn.example_id, turn.epoch): turn.output for turn in store.run_turns(run_id)}


def test_each_example_becomes_a_scored_turn(store: Store) -> None:
    found = run(store, registry())
    assert found.ended == {"complete": 6}
    assert found.is_complete
    turns = store.run_turns(found.run_id)
    assert [turn.example_id for turn in turns] == [one.id for one in EXAMPLES]
    assert turns[2].output == "The cat number 2 sat s0"
    assert [one.text for one in turns[2].references] == ["Cat 2 sat on it on it."]
    assert turns[2].model_digest == "sha256:scripted"
    assert {"rouge1", "chrf"} <= {score.metric for score in turns[2].scores}
    assert store.run(found.run_id).finished


def test_the_corpus_score_is_that_of_the_summed_statistics(store: Store) -> None:
    found = run(store, registry())
    chrf = found.score("chrf")
    assert chrf is not None and chrf.interval is not None
    [(signature, stats, n)] = store.corpus(None, "chrf")
    expected = registry().metric("chrf").corpus(stats, n, signature)
    assert chrf.score == expected
    assert chrf.score.value in chrf.interval  # type: ignore[operator]


def test_a_stopped_run_goes_on_where_it_was_and_ends_like_one_that_was_not(store: Store) -> None:
    whole = run(store, registry(), is_cached=False)
    cancel, first = threading.Event(), registry()
    number = begin(store, plan())

    def stop(progress: Progress) -> None:
        if progress.tally.done == 3:
            cancel.set()

    stopped = Evaluation(first, store, number, DATASET, is_cached=False).run(cancel, stop)
    assert stopped.ended == {"complete": 3}
    assert not stopped.is_complete
    second = registry()
    resumed = run(store, second, run_id=number, is_cached=False)
    assert len({one.example.id for one in second.scripted.asked}) == 3
    assert outputs(store, number) == outputs(store, whole.run_id)
    assert [one.score for one in resumed.scores] == [one.score for one in whole.scores]
    assert [one.interval for one in resumed.scores] == [one.interval for one in whole.scores]


def test_an_example_has_one_row_whoever_answers_it_again(store: Store) -> None:
    found = run(store, registry())
    before = outputs(store, found.run_id)
    again = [
        Answered(TurnStart(found.run_id, "summarize", "m", "b:m", {"text": "x"}, "x", example_id=key, epoch=epoch),
                 "complete", "other", "other", Generation("other", "stop"))
        for key, epoch in before
    ]  # fmt: skip
    assert store.add_answers(again).result() == [None] * 6
    assert outputs(store, found.run_id) == before


def test_a_changed_data_set_is_not_resumed(store: Store) -> None:
    number = begin(store, plan())
    with pytest.raises(BadInput, match="has changed"):
        Evaluation(registry(), store, number, Dataset("cats", "cats.jsonl", EXAMPLES[:5]))


# -- the cache


def test_what_was_answered_before_is_not_asked_again(store: Store) -> None:
    first, second = registry(), registry()
    one = run(store, first)
    two = run(store, second)
    assert second.scripted.asked == []
    assert (one.cached, two.cached) == (0, 6)
    assert outputs(store, one.run_id) == outputs(store, two.run_id)
    assert [score.score for score in one.scores] == [score.score for score in two.scores]
    turn = store.run_turns(two.run_id)[0]
    assert turn.cached_from == store.run_turns(one.run_id)[0].id


def test_without_the_cache_all_is_asked_again(store: Store) -> None:
    run(store, registry())
    again = registry()
    assert run(store, again, is_cached=False).cached == 0
    assert {one.example.id for one in again.scripted.asked} == {one.id for one in EXAMPLES}


@pytest.mark.parametrize(
    "changes", [{"options": {"length": 2}}, {"config": {"seed": "7"}}, {"config": {"temperature": "0.5"}}]
)
def test_another_question_is_not_served_from_the_cache(store: Store, changes: dict[str, object]) -> None:
    run(store, registry())
    assert run(store, registry(), plan(**changes)).cached == 0


def test_other_weights_are_not_served_from_the_cache(store: Store) -> None:
    run(store, registry())
    other = registry()
    other.scripted.info = dataclasses.replace(other.scripted.info, digest="sha256:other")
    assert run(store, other).cached == 0


def test_what_a_chat_asked_serves_the_batch(store: Store) -> None:
    given = registry()
    session = Session(given, store, model="scripted")
    task = given.task("summarize")(length=1)  # type: ignore[call-arg]
    outcome = session.ask(Ask(task, Example(EXAMPLES[4].inputs)))
    found = run(store, registry())
    assert found.cached == 1
    turn = next(one for one in store.run_turns(found.run_id) if one.example_id == "e4")
    assert turn.cached_from == outcome.turn.id
    assert turn.output == outcome.turn.output


# -- what goes wrong


def moody(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
    number = request.example["text"].split()[3]
    if number == "1":
        raise ModelFailed("No more paper.")
    if number == "2":
        yield Delta("half of", finish_reason="length")
    else:
        yield from echo(request, config, cancel)


def test_failed_and_cut_off_answers_are_counted_apart_and_not_scored_in(store: Store) -> None:
    found = run(store, registry(moody))
    assert found.ended == {"complete": 4, "failed": 1, "truncated": 1}
    assert found.errors == (("e1", "No more paper."),)
    assert found.is_complete
    assert found.scores[0].examples == 4


def test_failed_examples_are_tried_again_only_when_asked(store: Store) -> None:
    found = run(store, registry(moody))
    assert run(store, registry(), run_id=found.run_id).ended["failed"] == 1
    assert store.forget_failed(found.run_id) == 1
    assert run(store, registry(), run_id=found.run_id).ended == {"complete": 5, "truncated": 1}


def test_an_input_longer_than_the_window_is_read_in_parts(store: Store) -> None:
    def narrow(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        if len(request.example["text"]) > 3000:
            raise ContextExceeded("The input is longer than the window.")
        yield Delta(request.example["text"][:20], finish_reason="stop")

    long = "A cat sat on a mat and thought of fish. " * 200
    data = Dataset("long", "long", (Example({"text": long}, ("A cat.",), "long"), EXAMPLES[0]))
    number = begin(store, plan(data))
    found = Evaluation(registry(narrow), store, number, data).run(threading.Event())
    assert found.ended == {"complete": 2}
    turns = {turn.example_id: turn for turn in store.run_turns(number)}
    assert turns["long"].output.startswith("A cat sat on")
    again = registry(narrow)
    assert Evaluation(again, store, begin(store, plan(data)), data).run(threading.Event()).cached == 2
    assert again.scripted.asked == []


def test_one_of_a_batch_that_is_longer_than_the_window_is_read_in_parts(store: Store) -> None:
    def narrow(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        tokens = len(request.example["text"]) // 4
        if tokens > 2048:
            yield Delta(finish_reason="error", error="The input is too long.", code="context_exceeded")
        else:
            yield Delta(request.example["text"][:20], finish_reason="stop")

    data = Dataset("long", "long", (Example({"text": "A cat sat on a mat. " * 500}, ("A cat.",), "long"), EXAMPLES[0]))
    assert Evaluation(registry(narrow), store, begin(store, plan(data)), data).run(threading.Event()).ended == {
        "complete": 2
    }


def test_a_model_that_fails_on_everything_is_given_up(store: Store) -> None:
    def broken(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        raise ModelFailed("The server is gone.")
        yield Delta()

    many = Dataset("many", "many", tuple(Example({"text": f"A {n}."}, ("a",), str(n)) for n in range(60)))
    number = begin(store, plan(many))
    with pytest.raises(ModelFailed, match=r"first 20 answers .* all failed: The server is gone"):
        Evaluation(registry(broken), store, number, many).run(threading.Event())
    assert report(registry(), store, number).ended == {"failed": 20}


def test_a_run_that_is_no_evaluation_has_no_report(store: Store) -> None:
    with pytest.raises(BadInput, match="no evaluation"):
        report(registry(), store, store.begin_run("chat"))
    with pytest.raises(NotFound):
        report(registry(), store, 999)


# -- repetitions


def test_repetitions_count_the_seed_up_and_show_the_spread(store: Store) -> None:
    found = run(store, registry(), plan(repeat=3, config={"seed": "10"}))
    assert found.ended == {"complete": 18}
    assert {text[-3:] for text in outputs(store, found.run_id).values()} == {"s10", "s11", "s12"}
    chrf = found.score("chrf")
    assert chrf is not None
    assert (chrf.examples, chrf.score.n, len(chrf.epochs)) == (6, 18, 3)
    mean = sum(chrf.epochs) / 3
    assert chrf.spread == pytest.approx(math.sqrt(sum((one - mean) ** 2 for one in chrf.epochs) / 2))


class Counting(Scripted):
    """A model that keeps how many requests came at once."""

    def __init__(self) -> None:
        super().__init__(echo)
        self.sizes: list[int] = []

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        self.sizes.append(len(requests))
        for index, one in enumerate(requests):
            yield from (dataclasses.replace(delta, request=index) for delta in self.script(one, config, cancel))


def test_a_model_in_this_process_gets_as_many_requests_at_once_as_it_writes_side_by_side(store: Store) -> None:
    examples = tuple(Example({"text": f"Cat {n} sat. Nobody knows."}, (f"Cat {n}.",), f"e{n}") for n in range(150))
    dataset = Dataset("many cats", "cats.jsonl", examples)
    model = Counting()
    number = begin(store, plan(dataset))
    found = Evaluation(ScriptedRegistry(model), store, number, dataset).run(threading.Event())
    assert found.ended == {"complete": 150}
    assert model.sizes == [64, 64, 22]


def test_the_first_examples_only(store: Store) -> None:
    assert run(store, registry(), plan(limit=2, n=2)).ended == {"complete": 2}


def test_scores_do_not_depend_on_the_order_of_arrival() -> None:
    metric, tallies = registry().metric("bleu"), [Tally(), Tally()]
    rows = [((f"{n}", 0), metric.score(f"a b c d {n} e", Example({}, (f"a b c d {n}",)))) for n in range(50)]
    for tally, order in zip(tallies, (rows, rows[::-1]), strict=True):
        for key, score in order:
            tally.add(key, "complete", [score])
    assert tallies[0].corpus(metric) == tallies[1].corpus(metric)


# -- data sets out of history


def test_turns_of_history_are_a_data_set_with_their_provenance(store: Store) -> None:
    given = registry()
    session = Session(given, store, model="scripted")
    task = given.task("summarize")(length=1)  # type: ignore[call-arg]
    with_reference = session.ask(Ask(task, EXAMPLES[0])).turn
    session.ask(Ask(task, Example(EXAMPLES[1].inputs)))
    store.add_references(with_reference.id, ["The cat sat, edited."], origin="post-edit")
    found = open_dataset("history:task:summarize", task, store)
    assert [one.id for one in found.examples] == [str(with_reference.id)]
    assert [one.reason for one in found.bad] == ["no reference"]
    number = begin(store, plan(found))
    Evaluation(given, store, number, found).run(threading.Event())
    [result] = store.results(number)
    assert result.origins == (("written", ""), ("post-edit", "scripted"))


def test_a_kept_data_set_outlives_its_turns(store: Store) -> None:
    given = registry()
    task = given.task("summarize")(length=1)  # type: ignore[call-arg]
    turn = Session(given, store, model="scripted").ask(Ask(task, EXAMPLES[0])).turn
    store.add_dataset("cats", "summarize", "id:1", [promoted(turn)])
    store.delete([turn.id])
    found = open_dataset("cats", task, store)
    assert [(one["text"], one.references) for one in found.examples] == [(EXAMPLES[0]["text"], ("Cat 0 sat.",))]
    assert json.loads(found.examples[0].metadata["origins"]) == [["written", ""]]
    with pytest.raises(BadInput, match="already"):
        store.add_dataset("CATS", "summarize", "", [])
    with pytest.raises(NotFound, match="Did you mean 'cats'"):
        store.dataset("cat")
    with pytest.raises(UsageError):
        open_dataset("history:is:nothing", task, store)
