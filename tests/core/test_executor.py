"""Executors: one prediction for each request, whatever the requests do to the workers."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.core.scripted import Scripted, says

from palaver.errors import ContextExceeded, ModelFailed
from palaver.executor import Asked, Inline, Job, LocalProcesses, Prediction, answer_batch
from palaver.model import Delta, GenerationConfig, Message, ModelInfo, Request

MODULE = "tests.core.faulty_backend"
CONFIG = GenerationConfig()


@pytest.fixture(autouse=True)
def _children_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def asked(*texts: str) -> list[Asked]:
    return [Asked(str(n), Request((Message("user", text),))) for n, text in enumerate(texts)]


def job(name: str = "good", *, batch: int = 4) -> Job:
    return Job(ModelInfo(name, "faulty"), MODULE, CONFIG, batch)


def texts(found: Sequence[Prediction]) -> dict[str, str]:
    return {one.key: one.generation.text.strip() for one in found}


class Picky:
    """Answers side by side; one that is too long stops the call."""

    info = ModelInfo("picky", "scripted")

    def __init__(self) -> None:
        self.calls: list[int] = []

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        self.calls.append(len(requests))
        if any(len(one.messages[0].content) > 10 for one in requests):
            raise ContextExceeded("The input is longer than 10 characters.")
        for index, one in enumerate(requests):
            yield Delta(one.messages[0].content[:1], index)
        for index, one in reversed(list(enumerate(requests))):
            yield Delta(one.messages[0].content[1:], index, "stop", output_tokens=1)

    def close(self) -> None:
        return None


def test_a_batch_is_one_call_and_its_answers_are_told_apart() -> None:
    model = Picky()
    found = list(Inline(lambda info: model).map(job(batch=3), asked("one", "two", "three", "four"), threading.Event()))
    assert texts(found) == {"0": "one", "1": "two", "2": "three", "3": "four"}
    assert model.calls == [3, 1]


def test_a_graphics_card_is_given_thousands_once_it_is_known_to_be_one() -> None:
    model = Picky()
    model.info = ModelInfo("picky", "scripted", device="cuda:0")  # type: ignore[misc]
    found = list(Inline(lambda info: model).map(job(batch=3), asked(*["one"] * 5000), threading.Event()))
    assert len(texts(found)) == 5000
    assert model.calls == [3, 4096, 901]  # what is loaded with the first batch says where it computes


def test_a_batch_is_no_longer_than_a_message_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palaver.executor._CHARACTERS", 8)
    model = Picky()
    list(Inline(lambda info: model).map(job(batch=9), asked(*["four"] * 5), threading.Event()))
    assert model.calls == [2, 2, 1]


def test_one_request_that_stops_the_call_costs_only_itself() -> None:
    found = list(answer_batch(Picky(), asked("one", "much too long", "three"), CONFIG, threading.Event()))
    assert texts(found) == {"0": "one", "1": "", "2": "three"}
    failed = next(one for one in found if one.key == "1")
    assert failed.generation.finish_reason == "error"
    assert failed.code == "context_exceeded"


def test_a_model_that_answers_only_the_first_is_asked_again_for_the_others() -> None:
    model = Scripted(says("yes"))
    found = list(answer_batch(model, asked("a", "b", "c"), CONFIG, threading.Event()))
    assert texts(found) == {"0": "yes", "1": "yes", "2": "yes"}


def test_nothing_is_loaded_for_no_requests() -> None:
    def load(info: ModelInfo) -> Picky:
        raise AssertionError("loaded")

    assert list(Inline(load).map(job(), [], threading.Event())) == []


def test_a_cancelled_request_gets_no_prediction() -> None:
    cancel = threading.Event()

    def script(request: Request, config: GenerationConfig, event: threading.Event) -> Iterator[Delta]:
        cancel.set()
        yield Delta("half", finish_reason="cancelled")

    assert list(answer_batch(Scripted(script), asked("a", "b"), CONFIG, cancel)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_give_what_one_model_gives(workers: int) -> None:
    given = [f"answer number {n}" for n in range(20)]
    found = list(LocalProcesses(workers).map(job(), asked(*given), threading.Event()))
    assert texts(found) == {str(n): text for n, text in enumerate(given)}


@pytest.mark.fault
@pytest.mark.parametrize("how", ["!segv", "!abort", "!exit", "!kill"])
def test_a_request_that_kills_its_worker_is_given_up_and_the_others_are_answered(how: str) -> None:
    found = list(LocalProcesses(2).map(job(batch=3), asked("a", "b", how, "c", "d", "e", "f"), threading.Event()))
    assert sorted(one.key for one in found) == list("0123456")
    failed = {one.key: one for one in found if one.generation.finish_reason == "error"}
    assert list(failed) == ["2"]
    assert "Given up after 2 times" in failed["2"].generation.error


@pytest.mark.fault
def test_a_worker_killed_from_outside_loses_and_doubles_nothing() -> None:
    executor = LocalProcesses(2)
    found: list[Prediction] = []
    for prediction in executor.map(job(batch=2), asked(*(f"answer {n}" for n in range(60))), threading.Event()):
        found.append(prediction)
        if len(found) in (5, 25):  # each worker once: a request that loses two is given up, and says so
            pid = executor.pids[len(found) // 25]
            assert pid
            os.kill(pid, signal.SIGKILL)
    assert sorted(int(one.key) for one in found) == list(range(60))
    # An answer that was under way is asked for again: the kill costs nothing.
    assert {one.generation.finish_reason for one in found} == {"stop"}


def test_a_model_that_cannot_load_fails_once_and_not_for_each_example() -> None:
    with pytest.raises(ModelFailed, match="no model"):
        list(LocalProcesses(2).map(job("raises-at-load"), asked("a", "b"), threading.Event()))


def test_who_leaves_early_leaves_no_process_behind() -> None:
    executor = LocalProcesses(2)
    stream = executor.map(job(batch=1), asked("a", "!slow", "!slow"), threading.Event())
    next(stream)
    pids = [pid for pid in executor.pids if pid]
    stream.close()  # type: ignore[attr-defined]
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
