"""The second real OpenAI-compatible server, `transformers serve`, asked through the backend for servers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs pip install 'palaver[serving]'")
pytest.importorskip("torch", reason="needs pip install 'palaver[torch]'")

from tests.plugins.torch_models import llama, tokenizer

from palaver import Delta, GenerationConfig, Message, Model, ModelFailed, Request
from palaver_openai.backend import OpenAICompatible

TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"
SERVE = "from transformers.cli.transformers import main; main()"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server of a tiny model with random weights."""
    folder = llama(tmp_path_factory.mktemp("served") / "tiny")
    made = tokenizer()
    made.chat_template = TEMPLATE
    made.save_pretrained(folder)
    url, log = f"http://127.0.0.1:{(port := free_port())}", folder / "serve.log"
    command = [sys.executable, "-c", SERVE, "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (
        log.open("wb") as said,
        subprocess.Popen([*command, "--device", "cpu"], stdout=said, stderr=said, env=environment) as process,
    ):
        try:
            wait_for(f"{url}/health", process, log)
            yield f"openai:{url}/v1#{folder}"
        finally:
            process.kill()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text("utf-8", "replace")[-2000:]
            time.sleep(0.1)  # there is no event to wait for: another program is starting


@pytest.fixture
def model(address: str) -> Iterator[Model]:
    info = OpenAICompatible().resolve(address)
    assert info is not None
    loaded = OpenAICompatible().load(info)
    yield loaded
    loaded.close()


def ask(model: Model, *texts: str, tokens: int = 8) -> list[Delta]:
    requests = [Request((Message("user", text),)) for text in texts]
    return list(model.stream(requests, GenerationConfig(max_new_tokens=tokens), threading.Event()))


def test_an_answer_is_streamed_with_its_reason_and_its_counts(model: Model) -> None:
    deltas = ask(model, "the cat sat")
    last = deltas[-1]
    assert len([delta for delta in deltas if delta.text]) > 2
    assert (last.finish_reason, last.output_tokens) == ("length", 8)
    assert last.prompt_tokens is not None and last.prompt_tokens > 8


def test_several_requests_go_side_by_side_and_each_ends(model: Model) -> None:
    deltas = ask(model, "the cat", "the dog", "the mat", "the end", "a b c", tokens=4)
    assert sorted(one.request for one in deltas if one.finish_reason) == [0, 1, 2, 3, 4]
    assert {one.finish_reason for one in deltas if one.finish_reason} <= {"stop", "length"}


def test_a_cancel_frees_the_caller_and_the_server_answers_again(model: Model) -> None:
    cancel = threading.Event()
    story = Request((Message("user", "the cat sat on the mat"),))
    stream = model.stream([story], GenerationConfig(max_new_tokens=200), cancel)
    next(stream)
    cancel.set()
    begun = time.monotonic()
    assert list(stream)[-1].finish_reason == "cancelled"
    assert time.monotonic() - begun < 0.2 + 0.3  # the promise, and a busy machine
    assert ask(model, "the dog")[-1].finish_reason


def test_a_model_that_the_server_has_not_is_a_sentence(address: str) -> None:
    url, _, _ = address.partition("#")
    info = OpenAICompatible().resolve(f"{url}#no/such-model")
    assert info is not None
    model = OpenAICompatible().load(info)
    with pytest.raises(ModelFailed) as caught:
        ask(model, "hello")
    model.close()
    assert "Traceback" not in str(caught.value)
    assert str(caught.value).startswith("The server ")
