"""What llama.cpp has read ahead it does not read again; a question waits for one batch of it at most."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from palaver import GenerationConfig, Message, ModelInfo, Request
from palaver_llamacpp.backend import LlamaCppModel
from palaver_llamacpp.gguf import read_header
from palaver_llamacpp.server import Chunk, Server, serve

pytestmark = pytest.mark.model


class Watched:
    """llama.cpp's server, and how many tokens of each prompt it took from before, and had in all."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.seen: list[tuple[int, int]] = []

    def handle_chat_completions(self, prompt: dict[str, object], callback: Callable[[Chunk], bool]) -> None:
        first: list[dict[str, int]] = []

        def hear(chunk: Chunk) -> bool:
            if chunk.get("prompt_progress"):
                first.append(cast(dict[str, int], chunk["prompt_progress"]))
            return callback(chunk)

        self._server.handle_chat_completions(prompt, hear)
        self.seen.append((first[0]["cache"], first[0]["total"]))


SHORT = GenerationConfig(max_new_tokens=12)


def watched(info: ModelInfo, context: int) -> tuple[LlamaCppModel, Watched]:
    model, server = LlamaCppModel(info, read_header(Path(info.path))), Watched(serve(Path(info.path), context))
    model._server = cast(Server, server)
    return model, server


def test_what_was_read_ahead_is_not_read_again(smollm2: ModelInfo) -> None:
    model, server = watched(smollm2, 1024)
    said = (Message("user", "Tell me of the sea. " * 12),)
    never = threading.Event()
    answer = "".join(one.text for one in model.stream([Request(said, "chat")], SHORT, never))
    said = (*said, Message("assistant", answer))
    drafts = [(*said, Message("user", text)) for text in ("", "And who", "And who goes there at night?")]
    for draft in drafts:
        model.read_ahead(Request(draft, "chat"), never)
    list(model.stream([Request(drafts[-1], "chat")], SHORT, never))
    (_, first), *read, (cached, total) = server.seen
    assert read[0][0] >= first, "the first turn was read again"
    assert [cache for cache, _ in read] == sorted(cache for cache, _ in read), "a longer draft goes on from a shorter"
    assert (cached, total) == (total - 1, read[-1][1]), "all but the token that the answer begins from"


def test_reading_ahead_stops_between_two_batches_and_what_was_read_stays(smollm2: ModelInfo) -> None:
    model, server = watched(smollm2, 1024)
    long, stopped = Request((Message("user", "Tell me of the sea. " * 60),), "chat"), threading.Event()
    stopped.set()
    model.read_ahead(long, stopped)
    model.read_ahead(long, threading.Event())
    (_, total), (cached, _) = server.seen
    assert 0 < cached < total / 2


def test_a_scored_example_is_neither_read_ahead_nor_takes_from_it(smollm2: ModelInfo) -> None:
    model, server = watched(smollm2, 512)
    said, never = (Message("user", "Tell me of the sea."),), threading.Event()
    model.read_ahead(Request(said, "summarize"), never)
    assert server.seen == []
    model.read_ahead(Request(said, "chat"), never)
    list(model.stream([Request(said, "summarize")], SHORT, never))
    assert [cached for cached, _ in server.seen] == [0, 0]
