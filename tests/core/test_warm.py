"""One engine serves all commands of a user, stays warm between them, and is missed by nobody when it is gone."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from palaver import Delta, GenerationConfig, Message, ModelFailed, ModelInfo, Request, cli
from palaver.warm import WarmModel, engine_status, socket_path, stop_engine

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pv"))  # a socket's path has room for about 100 bytes
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    yield folder
    stop_engine()
    shutil.rmtree(folder)


def ask(text: str, cancel: threading.Event | None = None) -> list[Delta]:
    """What one command does: a model of its own, one question, closed."""
    model = WarmModel(ModelInfo("moody", "faulty"), module="faulty_backend")
    try:
        return list(model.stream([Request((Message("user", text),))], GenerationConfig(), cancel or threading.Event()))
    finally:
        model.close()


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def pid() -> int:
    return int(text_of(ask("!pid")).removeprefix("so far "))


def test_two_commands_are_answered_by_the_same_loaded_model() -> None:
    assert text_of(ask("one two")) == "one two "
    assert pid() == pid()


def test_a_model_loaded_ahead_is_the_one_that_answers() -> None:
    model = WarmModel(ModelInfo("moody", "faulty"), module="faulty_backend")
    assert model.load(threading.Event())
    assert socket_path().exists(), "the engine stays"
    assert pid() == pid()


def test_the_socket_is_for_this_user_alone() -> None:
    ask("hello")
    path = socket_path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_model_that_dies_is_a_failed_turn_and_the_next_one_works() -> None:
    first = pid()
    with pytest.raises(ModelFailed, match="SIGSEGV"):
        ask("!segv")
    assert text_of(ask("again")) == "again "
    assert pid() != first


def test_an_engine_that_dies_is_a_failed_turn_and_the_next_one_works() -> None:
    model_pid = pid()
    engine_pid = int(Path(f"/proc/{model_pid}/stat").read_text().rpartition(")")[2].split()[1])
    model = WarmModel(ModelInfo("moody", "faulty"), module="faulty_backend")
    deltas = model.stream([Request((Message("user", "!slow"),))], GenerationConfig(), threading.Event())
    next(deltas)
    os.kill(engine_pid, signal.SIGKILL)
    with pytest.raises(ModelFailed, match="The engine that ran moody died"):
        list(deltas)
    assert text_of(ask("again")) == "again "


def test_cancel_ends_the_answer_within_a_fifth_of_a_second_and_keeps_the_model() -> None:
    first, cancel = pid(), threading.Event()
    model = WarmModel(ModelInfo("moody", "faulty"), module="faulty_backend")
    deltas = model.stream([Request((Message("user", "!slow"),))], GenerationConfig(), cancel)
    next(deltas)
    cancel.set()
    started = time.monotonic()
    assert list(deltas)[-1].finish_reason == "cancelled"
    assert time.monotonic() - started < 0.25  # 0.2 s and one look at the queue
    assert pid() == first


def test_a_command_that_is_killed_frees_the_engine_for_the_next() -> None:
    first = pid()
    script = (
        "import threading; from palaver import *; from palaver.warm import WarmModel\n"
        "model = WarmModel(ModelInfo('moody', 'faulty'), module='faulty_backend')\n"
        "for delta in model.stream([Request((Message('user', '!slow'),))], GenerationConfig(), threading.Event()):\n"
        "    print(delta.text, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as command:
        assert command.stdout is not None
        command.stdout.readline()
        command.kill()
    assert pid() == first


def test_eight_commands_at_once_share_one_engine() -> None:
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(text_of(ask("hello there")))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == ["hello there "] * 8


def test_an_idle_engine_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_ENGINE_IDLE", "0.2")
    model_pid = pid()
    deadline = time.monotonic() + 10
    while socket_path().exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    while Path(f"/proc/{model_pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_without_a_private_folder_the_model_runs_in_the_command_itself(runtime: Path) -> None:
    (runtime / "palaver").mkdir(mode=0o755)
    assert text_of(ask("hello")) == "hello "
    assert not socket_path().exists()


def test_stopping_an_engine_says_whether_there_was_one() -> None:
    assert not stop_engine()
    ask("hello")
    assert stop_engine()


def test_an_engine_that_was_stopped_takes_no_question_on_its_way_out() -> None:
    first = pid()
    assert stop_engine()
    assert not socket_path().exists(), "it is gone when that is said"
    second = pid()
    assert second != first
    assert pid() == second, "the next engine answers, and keeps the model"


@pytest.mark.model
def test_a_command_leaves_an_engine_behind_unless_it_is_told_not_to(
    smollm2: ModelInfo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PALAVER_NO_DAEMON")
    asked = ["generate", "Hi", "--max-new-tokens", "1", "--quiet", "--no-cache"]
    assert cli.main([*asked, "--no-daemon"]) == 0
    assert not socket_path().exists()
    assert cli.main(asked) == 0
    assert [(one.info.name, one.is_ready) for one in engine_status()] == [("smollm2", True)]
    capsys.readouterr()
    assert cli.main(["models", "unload", "smollm2"]) == 0
    assert "smollm2 is unloaded." in capsys.readouterr().err
    assert cli.main(["models", "load", "smollm2"]) == 0
    assert "smollm2 is loaded (cpu Q4_1)." in capsys.readouterr().err
    assert cli.main(["models", "rm", "smollm2"]) == 0
    assert engine_status() == []  # what is removed is not kept in memory either
