"""A real OpenAI-compatible server, llama.cpp's own over TCP with SmolLM2, asked through the backend for servers."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from palaver import ContextExceeded, Delta, GenerationConfig, Message, Model, ModelInfo, Request
from palaver_openai.backend import OpenAICompatible

pytestmark = pytest.mark.model

SERVER = Path(__file__).with_name("llamacpp_server.py")


@pytest.fixture
def model(smollm2: ModelInfo) -> Iterator[Model]:
    command = [sys.executable, str(SERVER), smollm2.path]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), address
            backend = OpenAICompatible()
            info = backend.resolve(f"openai:{address}/v1#smollm2")
            assert info is not None
            yield backend.load(info)
        finally:
            process.kill()


def ask(model: Model, *texts: str, tokens: int = 12) -> list[Delta]:
    requests = [Request((Message("user", text),)) for text in texts]
    return list(model.stream(requests, GenerationConfig(max_new_tokens=tokens), threading.Event()))


def text_of(deltas: list[Delta], request: int = 0) -> str:
    return "".join(delta.text for delta in deltas if delta.request == request)


def test_an_answer_is_streamed_with_its_reason_and_its_counts(model: Model) -> None:
    deltas = ask(model, "Say hello.", tokens=200)
    assert "hello" in text_of(deltas).lower()
    assert len([delta for delta in deltas if delta.text]) > 3
    last = deltas[-1]
    assert last.finish_reason == "stop"
    assert last.prompt_tokens is not None and last.prompt_tokens > 3
    assert last.output_tokens is not None and last.output_tokens > 3
    cut = ask(model, "Tell me a long story.", tokens=5)[-1]
    assert (cut.finish_reason, cut.output_tokens) == ("length", 5)


def test_several_requests_go_side_by_side(model: Model) -> None:
    deltas = ask(model, "Say hello.", "Name three animals.", "What is bread?")
    assert sorted(one.request for one in deltas if one.finish_reason) == [0, 1, 2]
    assert all(text_of(deltas, number) for number in range(3))


def test_a_cancel_frees_the_caller_and_the_server_answers_again(model: Model) -> None:
    cancel = threading.Event()
    story = Request((Message("user", "Tell me a very long story."),))
    stream = model.stream([story], GenerationConfig(max_new_tokens=1000), cancel)
    next(stream)
    begun = time.monotonic()
    cancel.set()
    rest = list(stream)
    assert time.monotonic() - begun < 0.2 + 0.3  # the promise, and a busy machine
    assert rest[-1].finish_reason == "cancelled"
    assert text_of(ask(model, "Say hello."))


def test_a_prompt_longer_than_its_window_is_a_sentence_and_no_answer(model: Model) -> None:
    with pytest.raises(ContextExceeded, match="longer than the server's model can read"):
        ask(model, "one two three " * 1000)
    assert text_of(ask(model, "Say hello."))
