"""The memory of a llama.cpp window comes as it is used, and nothing else's memory goes."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from palaver import GenerationConfig, Message, ModelInfo, Request
from palaver.isolated import IsolatedModel
from palaver_llamacpp import backend, untouched
from palaver_llamacpp.catalogue import SMOLLM2
from palaver_llamacpp.gguf import Header, read_header
from palaver_llamacpp.server import PREFILL_BATCH, tokens_a_pass

pytestmark = pytest.mark.model

CACHE = 30 * 3 * 64 * 2 * 2 * 8192
"""Bytes of SmolLM2's: 30 layers, 3 key-value heads of 64, keys and values, 2 bytes each, 8,192 tokens."""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the whole cache is taken at once")
def test_a_window_takes_memory_only_as_it_is_used(smollm2: ModelInfo) -> None:
    asked = Request((Message("user", "one two three four five " * 10),))
    with IsolatedModel(smollm2, module="palaver_llamacpp") as model:
        model.load()
        empty = model.memory_bytes()
        assert empty < SMOLLM2.files[0].size + CACHE / 2
        list(model.stream([asked], GenerationConfig(max_new_tokens=12), threading.Event()))
        assert empty < model.memory_bytes() < SMOLLM2.files[0].size + CACHE


RELEASES = """
import dataclasses, json, sys, threading
from palaver import GenerationConfig, Message, Request
from palaver_llamacpp import backend, untouched
from palaver_llamacpp.catalogue import SMOLLM2
from palaver_llamacpp.gguf import Header, read_header
from palaver_llamacpp.server import PREFILL_BATCH, tokens_a_pass

def answers(model, *texts):
    wanted = [Request((Message("user", text),)) for text in texts]
    found = [""] * len(texts)
    for delta in model.stream(wanted, GenerationConfig(max_new_tokens=12), threading.Event()):
        assert delta.finish_reason != "error"
        found[delta.request] += delta.text
    return found

def released(size):
    freed.append((size, untouched.release(size)))
    return freed[-1][1]

info, freed = dataclasses.replace(SMOLLM2, path=sys.argv[1]), []
texts = ("Tell me about lighthouses.", "one two three " * 9)
backend.release = released
model = backend.LlamaCpp().load(info)
after = [answers(model, text) for text in texts]
answers(model, *texts)
backend.release = lambda size: 0
model = backend.LlamaCpp().load(info)
print(json.dumps([freed, after == [answers(model, text) for text in texts]]))
"""


def test_answers_are_the_same_with_a_cache_that_was_released(smollm2: ModelInfo) -> None:
    """In a process of its own, as a model always is: other models' empty windows would be taken for this one's."""
    told = subprocess.run(
        [sys.executable, "-c", RELEASES, smollm2.path], capture_output=True, text=True, check=True
    ).stdout
    freed, is_same = json.loads(told.splitlines()[-1])
    assert is_same
    if sys.platform == "linux":
        assert len(freed) == 2  # the window of a stream, and the slots of the two together
        assert freed[0][0] == CACHE
        assert all(0.99 * size < one <= size for size, one in freed)


@pytest.mark.skipif(sys.platform != "linux", reason="it looks at Linux' list of mappings")
def test_only_the_one_buffer_of_that_size_that_holds_nothing_is_released() -> None:
    size, end = 8 * 2**20, b"\1" * 2**21  # Linux joins neighbours to one mapping: each begins and ends with something
    used, empty = (mmap.mmap(-1, size + 2 * len(end), mmap.MAP_PRIVATE) for _ in range(2))
    used.write(end + b"\0" * (size // 2) + b"kept" + b"\0" * (size // 2 - 4) + end)
    empty[: len(end)] = empty[-len(end) :] = end
    assert untouched.release(size) == 0  # nothing was written to the other one: there is nothing to give back
    empty[len(end) : -len(end)] = b"\0" * size
    assert 0.9 * size < untouched.release(size) <= size
    assert untouched.release(size) == 0
    assert empty[:] == end + b"\0" * size + end
    assert used[len(end) + size // 2 :][:4] == b"kept"


def test_weights_that_servers_cannot_share_are_in_memory_once(
    smollm2: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "is_repacked", lambda header: True)
    model = backend.LlamaCpp().load(smollm2)
    short, long = (Request((Message("user", text),)) for text in ("Say hello.", "one two three " * 600))

    def ends(*requests: Request) -> list[str]:
        found = model.stream(requests, GenerationConfig(max_new_tokens=2), threading.Event())
        return [str(one.finish_reason) for one in found if one.finish_reason]

    assert set(ends(short, short)) <= {"length", "stop"}
    assert model._batch is not None and model._server is None
    assert len(ends(short, short, long)) == 3  # the long one alone, afterwards
    assert model._batch is None and model._server is not None
    model.close()


def test_a_small_model_reads_fewer_tokens_at_once(smollm2: ModelInfo) -> None:
    header = read_header(Path(smollm2.path))
    size, tokens = SMOLLM2.files[0].size, tokens_a_pass(header, 8192, SMOLLM2.files[0].size)
    scores = tokens * 8192 * 4 * (9 + 1)  # 9 heads and a mask
    assert 8 <= tokens < PREFILL_BATCH
    assert scores <= (size + CACHE) / 50 < scores * (tokens + 4) / tokens  # as many as fit, in fours
    assert tokens_a_pass(header, 8192, 100 * size) == PREFILL_BATCH
    assert tokens_a_pass(Header("", "", "", None, False), 8192, size) == PREFILL_BATCH
