"""A model in a child process: whatever it does, there is a message within a second and the next turn works."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from palaver import Delta, GenerationConfig, Message, ModelFailed, ModelInfo, Request, weights
from palaver.isolated import IsolatedModel
from palaver.machine import memory_free

HERE = Path(__file__).parent
CONFIG = GenerationConfig()


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.fixture
def model() -> Iterator[IsolatedModel]:
    with IsolatedModel(ModelInfo("moody", "faulty"), module="faulty_backend") as isolated:
        yield isolated


def ask(
    model: IsolatedModel, *texts: str, cancel: threading.Event | None = None, config: GenerationConfig = CONFIG
) -> list[Delta]:
    requests = [Request((Message("user", text),)) for text in texts]
    return list(model.stream(requests, config, cancel or threading.Event()))


def text_of(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def gone(pid: int) -> bool:
    """No such process, or a zombie that its new parent has not collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(claim: str, true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {claim}"
        time.sleep(0.005)


def test_answers_arrive_in_order_each_with_one_finish_reason(model: IsolatedModel) -> None:
    deltas = ask(model, "one two", "three")
    assert text_of([one for one in deltas if one.request == 0]) == "one two "
    assert [(one.request, one.finish_reason) for one in deltas if one.finish_reason] == [(0, "stop"), (1, "stop")]
    assert deltas[-1].prompt_tokens == 3


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("segv", "SIGSEGV"),
        ("abort", "GGML_ASSERT(n > 0) failed"),
        ("exit", "exit code 7"),
        ("kill", "SIGKILL"),
        ("raise", "moody failed: ValueError: the tensors are upside down"),
        ("refuse", "No more paper."),
        ("memory", "MemoryError"),
        ("sys.exit", "SystemExit: 7"),
        ("silence", "without saying why"),
        ("huge", "the limit is"),
    ],
)
def test_a_fault_is_a_message_within_a_second_and_the_next_turn_works(
    model: IsolatedModel, how: str, says: str
) -> None:
    model.load()
    heard: list[Delta] = []
    with pytest.raises(ModelFailed) as caught:
        for delta in model.stream([Request((Message("user", "!" + how),))], CONFIG, threading.Event()):
            begun = time.monotonic()
            heard.append(delta)
    assert time.monotonic() - begun < (1.0 if how != "huge" else 5.0)  # 80 MB are made before they are refused
    assert text_of(heard) == "so far "
    assert says in caught.value.message
    assert text_of(ask(model, "all well")) == "all well "


@pytest.mark.skipif(sys.platform != "linux", reason="Linux chooses its victim by this number")
def test_where_memory_runs_out_the_model_goes_before_the_conversation(model: IsolatedModel) -> None:
    model.load()
    mine = int(Path("/proc/self/oom_score_adj").read_text())
    assert int(Path(f"/proc/{model.pid}/oom_score_adj").read_text()) == 500 > mine


def test_a_remedy_named_by_the_backend_reaches_the_user(model: IsolatedModel) -> None:
    with pytest.raises(ModelFailed) as caught:
        ask(model, "!refuse")
    assert caught.value.fix == "palaver paper --buy"


def test_an_exception_costs_no_restart_and_a_crash_does(model: IsolatedModel) -> None:
    model.load()
    before = model.pid
    with pytest.raises(ModelFailed):
        ask(model, "!raise")
    ask(model, "hello")
    assert model.pid == before
    with pytest.raises(ModelFailed):
        ask(model, "!segv")
    assert not model.alive
    ask(model, "hello")
    assert model.pid not in (before, None)


@pytest.mark.parametrize("how", ["loop", "deaf loop"])
def test_a_child_that_falls_silent_is_ended_and_the_next_turn_works(how: str) -> None:
    with IsolatedModel(ModelInfo("moody", "faulty"), module="faulty_backend", idle_timeout=0.5) as model:
        model.load()
        first = model.pid
        stream = model.stream([Request((Message("user", f"!{how}"),))], GenerationConfig(), threading.Event())
        assert next(stream).text == "so far "
        with pytest.raises(ModelFailed, match=r"answered nothing for 0\.5 seconds and was ended") as caught:
            list(stream)
        assert caught.value.code == "model_stuck"
        assert text_of(ask(model, "one two")) == "one two "
        assert model.pid != first


def test_a_child_that_gives_signs_of_life_may_think_for_longer() -> None:
    with IsolatedModel(ModelInfo("moody", "faulty"), module="faulty_backend", idle_timeout=1.5) as model:
        deltas = ask(model, "!think")  # two seconds, with a sign every tenth
    assert text_of(deltas) == "so far thought"
    assert all(delta.text or delta.finish_reason for delta in deltas)  # the signs themselves are not passed on


def test_killed_from_outside_while_idle_the_next_turn_just_works(model: IsolatedModel) -> None:
    model.load()
    assert model.pid is not None
    os.kill(model.pid, signal.SIGKILL)
    wait_until("its death is noticed", lambda: not model.alive, 1.0)
    assert text_of(ask(model, "still here")) == "still here "


def test_noise_goes_to_the_log_and_not_into_the_answer(model: IsolatedModel, capfd: pytest.CaptureFixture[str]) -> None:
    assert text_of(ask(model, "!noise")) == "so far after the noise"
    log = model.log.read_text("utf-8", "replace")
    for line in ("from print", "from sys.stderr", "from fd 1", "from fd 2", "from a grandchild"):
        assert line in log
    assert capfd.readouterr() == ("", "")
    assert stat.S_IMODE(model.log.stat().st_mode) == 0o600


def test_noise_before_the_first_frame_is_skipped() -> None:
    with IsolatedModel(ModelInfo("noisy-at-load", "faulty"), module="faulty_backend") as model:
        assert text_of(ask(model, "clean")) == "clean "


def test_the_child_finds_nothing_on_stdin(model: IsolatedModel) -> None:
    assert text_of(ask(model, "!stdin")) == "so far read ''"


def test_half_a_surrogate_pair_and_a_megabyte_arrive_whole(model: IsolatedModel) -> None:
    assert text_of(ask(model, "!surrogate")) == "so far half \ud83d of a pair"
    assert len(text_of(ask(model, "!big"))) == len("so far ") + 2**20
    echoed = "\udcff " + "ü" * 2**20
    assert text_of(ask(model, echoed)) == echoed + " "


@pytest.mark.parametrize("how", ["slow", "slow and deaf", "loop", "deaf loop"])
def test_cancel_ends_the_answer_in_a_fifth_of_a_second(model: IsolatedModel, how: str) -> None:
    cancel = threading.Event()
    stream = model.stream([Request((Message("user", "!" + how),)), Request(())], CONFIG, cancel)
    first = next(stream)
    pid = model.pid
    begun = time.monotonic()
    cancel.set()
    rest = list(stream)
    assert time.monotonic() - begun < 0.2 + 0.1  # the promise, and what a busy machine may add
    assert first.text == "so far "
    assert [(one.request, one.finish_reason) for one in rest if one.finish_reason] == [
        (0, "cancelled"),
        (1, "cancelled"),
    ]
    if how == "slow":
        assert rest[-2].output_tokens is not None
    assert text_of(ask(model, "next")) == "next "
    assert (model.pid == pid) == (how == "slow")  # only a child that listens is kept


@pytest.mark.parametrize("times", [pytest.param(5, marks=pytest.mark.fault), pytest.param(50, marks=pytest.mark.soak)])
def test_cancelled_at_any_moment_the_next_answer_is_whole(model: IsolatedModel, times: int) -> None:
    chance = random.Random(3)
    model.load()
    pid = model.pid
    for _ in range(times):
        cancel = threading.Event()
        timer = threading.Timer(chance.uniform(0, 0.1), cancel.set)
        timer.start()
        assert ask(model, "!slow", cancel=cancel)[-1].finish_reason == "cancelled"
        assert text_of(ask(model, "one two three")) == "one two three "
        timer.join()
    assert model.pid == pid


def test_a_listener_that_goes_away_stops_the_child(model: IsolatedModel) -> None:
    stream = model.stream([Request((Message("user", "!slow"),))], CONFIG, threading.Event())
    next(stream)
    pid = model.pid
    stream.close()  # type: ignore[attr-defined]
    assert text_of(ask(model, "next")) == "next "
    assert model.pid == pid


def test_cancelled_before_it_begins_it_does_not_begin(model: IsolatedModel) -> None:
    cancel = threading.Event()
    cancel.set()
    assert [one.finish_reason for one in ask(model, "!loop", cancel=cancel)] == ["cancelled"]
    assert text_of(ask(model, "next")) == "next "


def test_two_threads_take_turns_and_the_waiting_one_can_be_cancelled(model: IsolatedModel) -> None:
    cancel_first, cancel_second = threading.Event(), threading.Event()
    stream = model.stream([Request((Message("user", "!slow"),))], CONFIG, cancel_first)
    next(stream)
    second: list[Delta] = []
    waiting = threading.Thread(target=lambda: second.extend(ask(model, "mine", cancel=cancel_second)))
    waiting.start()
    cancel_second.set()
    waiting.join(1)
    assert [one.finish_reason for one in second] == ["cancelled"]
    third: list[Delta] = []
    patient = threading.Thread(target=lambda: third.extend(ask(model, "mine")))
    patient.start()
    cancel_first.set()
    list(stream)
    patient.join(5)
    assert text_of(third) == "mine "


def test_the_child_outlives_the_thread_that_began_it(model: IsolatedModel) -> None:
    beginner = threading.Thread(target=model.load)
    beginner.start()
    beginner.join()
    pid = model.pid
    assert text_of(ask(model, "hello")) == "hello "
    assert model.pid == pid


@pytest.mark.parametrize(
    ("name", "says"), [("dies-at-load", "while it loaded"), ("raises-at-load", "The file is no model.")]
)
def test_a_failing_load_says_why_every_time(name: str, says: str) -> None:
    states: list[str] = []
    with IsolatedModel(ModelInfo(name, "faulty"), module="faulty_backend", on_state=states.append) as model:
        for _ in range(2):
            with pytest.raises(ModelFailed) as caught:
                model.load()
            assert says in caught.value.message
            assert not model.alive
    assert states == ["loading", "died", "loading", "died", "closed"]


def test_a_hanging_load_can_be_cancelled_and_has_a_limit() -> None:
    with IsolatedModel(ModelInfo("hangs-at-load", "faulty"), module="faulty_backend", load_timeout=0.5) as model:
        cancel = threading.Event()
        cancel.set()
        assert [one.finish_reason for one in ask(model, "hi", cancel=cancel)] == ["cancelled"]
        with pytest.raises(ModelFailed, match="did not load"):
            model.load()
        assert not model.alive


def test_a_missing_plugin_and_a_missing_backend_are_told() -> None:
    with (
        IsolatedModel(ModelInfo("x", "faulty"), module="no_such_module") as model,
        pytest.raises(ModelFailed, match="no_such_module"),
    ):
        model.load()
    with (
        IsolatedModel(ModelInfo("x", "other"), module="faulty_backend") as model,
        pytest.raises(ModelFailed, match="no backend 'other'"),
    ):
        model.load()


def test_a_pipe_held_open_by_a_grandchild_does_not_hide_the_death(model: IsolatedModel) -> None:
    model.load()
    stream = model.stream([Request((Message("user", "!grandchild"),))], CONFIG, threading.Event())
    heard = [next(stream), next(stream)]
    begun = time.monotonic()
    with pytest.raises(ModelFailed, match="exit code 3"):
        next(stream)
    assert time.monotonic() - begun < 1.0
    os.kill(int(heard[1].text), signal.SIGKILL)


def test_closing_leaves_no_process_and_ends_a_running_answer(model: IsolatedModel) -> None:
    stream = model.stream([Request((Message("user", "!loop"),))], CONFIG, threading.Event())
    next(stream)
    pid = model.pid
    assert pid is not None and model.memory_bytes() > 2**20
    model.close()
    model.close()
    assert [one.finish_reason for one in stream] == ["cancelled"]
    assert not Path(f"/proc/{pid}").exists()  # not even a zombie
    assert (model.alive, model.pid, model.memory_bytes()) == (False, None, 0)
    with pytest.raises(ModelFailed, match="was closed"):
        ask(model, "more")


PARENT = """
import sys, threading
from palaver import GenerationConfig, Message, ModelInfo, Request
from palaver.isolated import IsolatedModel
model = IsolatedModel(ModelInfo("moody", "faulty"), module="faulty_backend")
model.load()
stream = model.stream([Request((Message("user", sys.argv[1]),))], GenerationConfig(), threading.Event())
next(stream)
print(model.pid, flush=True)
list(stream)
"""


@pytest.mark.fault
@pytest.mark.parametrize("how", ["!loop", "!slow and deaf"])
def test_no_child_outlives_a_parent_killed_with_kill_9(how: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, how], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.kill()
        wait_until("the child is gone", lambda: gone(child), 1.0)


def test_weights_that_changed_since_their_manifest_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tiny.bin"
    file.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    weights.write_manifest(tmp_path, {file.name: weights.Entry.now(file.name, digest, 7, "a test")})
    info = ModelInfo("tiny", "faulty", path=str(file))
    with IsolatedModel(info, module="faulty_backend") as model:
        assert model.load().digest == digest
    file.write_bytes(b"weightz")
    with (
        IsolatedModel(info, module="faulty_backend") as model,
        pytest.raises(ModelFailed, match="is damaged") as caught,
    ):
        model.load()
    assert caught.value.fix == "palaver models pull tiny"


def test_an_unchanged_file_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tiny.bin"
    file.write_bytes(b"weights")
    first = weights.digest(file)
    with monkeypatch.context() as patch:
        patch.setattr(weights, "hash_file", lambda path: pytest.fail("hashed again"))
        assert weights.digest(file) == first
    os.utime(file, ns=(1, 1))
    assert weights.digest(file) == first


def test_a_model_that_cannot_fit_is_refused_before_it_loads() -> None:
    info = dataclasses.replace(ModelInfo("vast", "faulty"), memory=2**50)
    with (
        IsolatedModel(info, module="faulty_backend") as model,
        pytest.raises(ModelFailed, match=r"needs about 1125899\.9 GB"),  # 2**50 / 10**9
    ):
        model.load()
    assert not model.alive


def test_the_memory_of_a_container_counts_as_the_memory_that_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver.machine._CONTAINER", tmp_path)
    of_machine = memory_free()
    for name, text in (
        ("memory.max", "50000"),
        ("memory.current", "45000"),
        ("memory.stat", "anon 9\ninactive_file 7\n"),
    ):
        (tmp_path / name).write_text(text, "ascii")
    assert memory_free() == 50000 - (45000 - 7)
    (tmp_path / "memory.max").write_text("max\n", "ascii")
    assert memory_free() > of_machine / 2
