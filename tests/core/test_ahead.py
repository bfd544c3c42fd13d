"""What is typed is read before it is sent: exactly what would go, only where nothing waits for it, and unheard of."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.core.scripted import ReadsAlong, Scripted, ScriptedRegistry, says

from palaver import Delta, GenerationConfig, Message, ModelFailed, ModelInfo, Request, reading
from palaver.ahead import read_ahead
from palaver.command import parse_line
from palaver.config import Settings, read_settings
from palaver.errors import UsageError
from palaver.isolated import IsolatedModel
from palaver.model import ReadsAhead
from palaver.session import Session
from palaver.store import Store
from palaver.warm import WarmModel

HERE = Path(__file__).parent


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "history.db")
    yield store
    store.close()


def begun(store: Store, model: Scripted) -> Session:
    """A conversation whose model is loaded and was asked once."""
    talk = Session(ScriptedRegistry(model), store, model="scripted")
    talk.ask(parse_line("Hello.", talk.registry))
    return talk


def ahead(talk: Session, draft: str) -> list[Request]:
    """What the model is to read of a draft."""
    model = talk.registry.model("scripted")
    assert isinstance(model, ReadsAlong)
    model.read.clear()
    read_ahead(talk, draft, threading.Event())
    return list(model.read)


# What is read


def test_what_is_read_is_what_is_sent_also_where_the_oldest_no_longer_fits(store: Store, tmp_path: Path) -> None:
    model = ReadsAlong(says("I see. " * 10), context=400)
    talk = begun(store, model)
    (tmp_path / "notes.md").write_text("Bread and salt.\n", "utf-8")
    lengths = set[int]()
    for number in range(12):
        draft = f"{number} of @{tmp_path}/notes.md and {'so on ' * 12}"
        (found,) = ahead(talk, draft)
        talk.ask(parse_line(draft, talk.registry))
        assert found == model.asked[-1]
        assert "Bread and salt." in found.messages[-1].content
        lengths.add(len(found.messages))
    assert len(lengths) < 12, "the window was never full"


def test_without_a_draft_the_conversation_is_read_up_to_the_next_question(store: Store) -> None:
    talk = begun(store, ReadsAlong(says("Good day.")))
    (found,) = ahead(talk, "  ")
    told = [(one.role, one.content) for one in found.messages]
    assert told == [("user", "Hello."), ("assistant", "Good day."), ("user", "")]


def test_reading_leaves_no_trace_in_history_and_changes_nothing_of_the_conversation(store: Store) -> None:
    model = ReadsAlong(says("Good day."), context=400)
    talk = begun(store, model)
    (long,) = ahead(talk, "word " * 119)  # 3 characters a token, 200 tokens: nothing else would fit beside it
    assert len(long.messages) == 1
    ahead(talk, "What a secret!")
    assert [turn.id for turn in store.page()] == [talk.last_turn]
    talk.ask(parse_line("And?", talk.registry))
    assert [one.content for one in model.asked[-1].messages] == ["Hello.", "Good day.", "And?"]


@pytest.mark.parametrize(
    "draft", ["/", "/summarize a long text", "/chat a question", "/ref Good night.", "/sumarize", "@nowhere.txt"]
)
def test_a_command_and_a_file_that_is_not_there_are_not_read(store: Store, draft: str) -> None:
    assert ahead(begun(store, ReadsAlong(says("ok"))), draft) == []


def test_a_text_that_begins_with_a_slash_is_read(store: Store) -> None:
    (found,) = ahead(begun(store, ReadsAlong(says("ok"))), "//etc is a folder")
    assert found.messages[-1].content == "/etc is a folder"


def test_a_pipe_is_left_to_the_question_that_asks_for_it(store: Store, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    talk = begun(store, ReadsAlong(says("ok")))
    assert ahead(talk, f"@{pipe}") == []  # opening it would wait for ever, here


def test_a_draft_longer_than_the_window_is_not_read(store: Store) -> None:
    assert ahead(begun(store, ReadsAlong(says("ok"), context=200)), "word " * 400) == []  # 2,000 for 200 tokens


# Where it is read


def test_a_model_that_cannot_read_ahead_is_left_alone_and_answers_as_ever(store: Store) -> None:
    model = Scripted(says("ok"))
    talk = begun(store, model)
    read_ahead(talk, "And then?", threading.Event())
    assert talk.ask(parse_line("And then?", talk.registry)).turn.output == "ok"


def test_a_model_that_was_never_asked_is_not_loaded_for_it(store: Store) -> None:
    talk = Session(ScriptedRegistry(ReadsAlong(says("ok"))), store, model="scripted")
    read_ahead(talk, "And then?", threading.Event())
    assert talk.registry.running() == []


def test_a_model_that_fails_at_it_is_not_complained_of(store: Store) -> None:
    class Broken(ReadsAlong):
        def read_ahead(self, request: Request, cancel: threading.Event) -> None:
            raise ZeroDivisionError("oops")

    talk = begun(store, Broken(says("ok")))
    read_ahead(talk, "And then?", threading.Event())
    assert talk.ask(parse_line("And then?", talk.registry)).error is None


def test_the_settings_and_the_environment_switch_it_off(
    store: Store, palaver_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = begun(store, ReadsAlong(says("ok")))
    assert talk.registry.settings.reads_ahead, "it is on by default"
    talk.registry.settings = replace(Settings(), reads_ahead=False)
    assert ahead(talk, "And then?") == []
    file = palaver_home / "config.toml"
    file.write_text("read_ahead = false\n", "utf-8")
    assert not read_settings().reads_ahead
    monkeypatch.setenv("PALAVER_READ_AHEAD", "1")
    assert read_settings().reads_ahead
    file.unlink()
    monkeypatch.setenv("PALAVER_READ_AHEAD", "0")
    assert not read_settings().reads_ahead
    file.write_text('read_ahead = "sometimes"\n', "utf-8")
    with pytest.raises(UsageError, match="true or false"):
        read_settings()


def test_servers_and_shared_engines_never_get_what_was_not_sent() -> None:
    from palaver_openai.backend import OpenAICompatible

    remote = OpenAICompatible().resolve("openai:http://127.0.0.1:1/v1#some")
    assert remote is not None
    assert not isinstance(OpenAICompatible().load(remote), ReadsAhead)
    assert not isinstance(WarmModel(remote, module="palaver_openai"), ReadsAhead)


# In the model's process


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[IsolatedModel]:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    with IsolatedModel(ModelInfo("ahead", "faulty"), module="faulty_backend") as isolated:
        yield isolated


def question(text: str) -> Request:
    return Request((Message("user", text),), "chat")


def ask(model: IsolatedModel, text: str) -> str:
    deltas: list[Delta] = list(model.stream([question(text)], GenerationConfig(), threading.Event()))
    return "".join(delta.text for delta in deltas)


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)


def reads(model: IsolatedModel, text: str) -> tuple[threading.Thread, threading.Event]:
    """A thread that reads ahead; the model has begun with it."""
    before = model.log.read_text("utf-8").count("begun") if model.log.exists() else 0
    cancel = threading.Event()
    thread = threading.Thread(target=model.read_ahead, args=(question(text), cancel))
    thread.start()
    until(lambda: model.log.exists() and model.log.read_text("utf-8").count("begun") > before)
    return thread, cancel


def test_a_question_ends_the_reading_and_is_answered_by_what_was_read(model: IsolatedModel) -> None:
    model.load()
    thread, _ = reads(model, "long")
    assert ask(model, "!read").endswith("long, stopped")
    thread.join(20)
    assert not thread.is_alive()


def test_more_typing_ends_the_reading_too(model: IsolatedModel) -> None:
    model.load()
    thread, cancel = reads(model, "long")
    cancel.set()
    thread.join(20)
    model.read_ahead(question("longer"), threading.Event())
    assert ask(model, "!read").endswith("long, stopped; longer")


def test_nothing_is_read_while_the_model_answers_or_another_text_is_read(model: IsolatedModel) -> None:
    model.load()
    answer = model.stream([question("!slow")], GenerationConfig(), threading.Event())
    next(answer)
    model.read_ahead(question("meanwhile"), threading.Event())
    answer.close()
    until(lambda: "read ahead" in ask(model, "read ahead"))  # it is idle again
    thread, cancel = reads(model, "long")
    model.read_ahead(question("at the same time"), threading.Event())
    cancel.set()
    thread.join(20)
    assert ask(model, "!read").endswith("so far long, stopped")


def test_a_model_that_is_not_loaded_is_not_loaded_for_it(model: IsolatedModel) -> None:
    model.read_ahead(question("early"), threading.Event())
    assert model.pid is None


def test_a_crash_while_it_reads_costs_no_turn_and_is_not_tried_again(model: IsolatedModel) -> None:
    model.load()
    model.read_ahead(question("!segv"), threading.Event())
    assert not model.is_ready
    assert ask(model, "all well") == "all well "
    model.read_ahead(question("once more"), threading.Event())
    assert ask(model, "!read") == "so far "


def test_one_that_does_not_come_back_from_reading_is_ended_and_replaced(
    model: IsolatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "GRACE", 0.1)
    model.load()
    before = model.pid
    thread, _ = reads(model, "!loop")
    assert ask(model, "all well") == "all well "
    thread.join(20)
    assert model.pid != before


def test_what_it_raises_is_in_no_answer_and_a_draft_in_no_log(model: IsolatedModel) -> None:
    model.load()
    model.read_ahead(question("!raise"), threading.Event())
    assert ask(model, "all well") == "all well "
    log = model.log.read_text("utf-8")
    assert "reading ahead failed: ValueError" in log
    assert "upside down" not in log, "what a backend raises may hold what was typed"


def test_a_draft_too_long_for_a_frame_is_left_to_the_question(model: IsolatedModel) -> None:
    model.load()
    model.read_ahead(question("x" * (65 * 2**20)), threading.Event())
    assert ask(model, "all well") == "all well "


def test_a_model_without_the_ability_is_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    with IsolatedModel(ModelInfo("moody", "faulty"), module="faulty_backend") as plain:
        plain.load()
        plain.read_ahead(question("!segv"), threading.Event())
        assert ask(plain, "all well") == "all well "


def test_a_closed_model_reads_nothing(model: IsolatedModel) -> None:
    model.load()
    model.close()
    model.read_ahead(question("late"), threading.Event())
    with pytest.raises(ModelFailed):
        ask(model, "late")
