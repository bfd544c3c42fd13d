"""A chat that was left for something else goes on without being read again, and no file of it has a name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.plugins import llamacpp_read

from palaver import GenerationConfig, Message, ModelInfo, Request
from palaver_llamacpp import kept
from palaver_llamacpp.answer import Reader, body
from palaver_llamacpp.server import Chunk, serve

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere open files have no names"),
]

Read = Callable[..., tuple[int, int, str]]
SEA = Message("user", "Tell me of the sea. " * 24)
BREAD = Message("user", "What is bread made of, and how is it baked? " * 16)


@pytest.fixture
def read(smollm2: ModelInfo) -> Read:
    server = serve(Path(smollm2.path), 1024)
    return partial(llamacpp_read.read, server, smollm2)


def goes_on(first: Message, answer: str) -> tuple[Message, ...]:
    return first, Message("assistant", answer), Message("user", "And then?")


def test_two_chats_and_a_task_in_turn_are_each_read_once(read: Read, palaver_home: Path) -> None:
    before = {path for path in palaver_home.rglob("*") if path.is_file()}
    _, sea, of_the_sea = read("chat", SEA)
    cached, bread, of_bread = read("chat", BREAD)
    assert cached < sea / 4  # the template's own words
    assert read("summarize", BREAD)[0] == 0
    assert read("chat", *goes_on(SEA, of_the_sea))[0] >= sea - 1
    assert read("chat", *goes_on(BREAD, of_bread))[0] >= bread - 1
    assert {path for path in palaver_home.rglob("*") if path.is_file()} == before


def test_a_chat_that_there_is_no_room_for_is_read_again(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 0)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    _, sea, answer = read("chat", SEA)
    read("summarize", BREAD)
    assert read("chat", *goes_on(SEA, answer))[0] < sea / 4
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


def test_on_a_full_disk_nothing_is_kept(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_LEAST_FREE", 2**80)
    _, sea, answer = read("chat", SEA)
    read("summarize", BREAD)
    assert read("chat", *goes_on(SEA, answer))[0] < sea / 4


def test_an_answer_whose_progress_nobody_asked_for_is_whole(smollm2: ModelInfo) -> None:
    heard: list[Chunk] = []

    def hear(chunk: Chunk) -> bool:
        heard.append(chunk)
        return False

    asked = body(Request((SEA,), "chat"), GenerationConfig(max_new_tokens=4))
    serve(Path(smollm2.path), 1024).handle_chat_completions({**asked, "return_progress": False}, hear)
    reader = Reader(0, smollm2)
    assert sum(bool(delta.text) for chunk in heard for delta in reader.read(chunk)) == 4
