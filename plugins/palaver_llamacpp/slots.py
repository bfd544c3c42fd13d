"""Parallel slots for calls with several requests: how many, how long, and what runs in them.

A server with one slot answers a stream; a second one, over the same mapped weights, is loaded by the first call that
brings several requests. Its windows together are as long as the one of the first, so it costs one more KV cache.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from palaver import ContextExceeded, Delta, GenerationConfig, ModelInfo, Request
from palaver_llamacpp.answer import Reader, body
from palaver_llamacpp.server import Chunk, Server

MOST_SLOTS = 8
"""On a CPU sixteen were a tenth faster than eight, with half the window each."""

_SHORTEST = 512
_TEMPLATE = 128
"""Tokens that a chat template may add around the messages."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The windows of a batch."""

    slots: int
    context: int
    """Tokens of each."""


def plan(longest: int, context: int) -> Plan | None:
    """The most slots that hold requests of `longest` tokens within `context` tokens; None where two do not fit."""
    window = _SHORTEST
    while window < longest:
        window *= 2
    slots = min(MOST_SLOTS, context // window)
    return Plan(slots, window) if slots > 1 else None


def most_tokens(request: Request, config: GenerationConfig) -> int:
    """What prompt and answer can have at most: no tokenizer makes more tokens of a text than it has bytes."""
    return (
        sum(len(message.content.encode("utf-8", "replace")) for message in request.messages)
        + _TEMPLATE
        + config.max_new_tokens
    )


def answer_together(
    server: Server,
    info: ModelInfo,
    wanted: Sequence[tuple[int, Request]],
    config: GenerationConfig,
    cancel: threading.Event,
    *,
    slots: int,
    is_alone: bool,
) -> Iterator[Delta]:
    """The answers to `wanted`, by their index, as many at a time as there are slots; a free slot takes the next.

    Raises:
        ContextExceeded: of the only request of the call; of several it ends its own.
        ModelFailed: of the first request that failed; the others are stopped.
    """
    waiting: queue.SimpleQueue[tuple[int, Request]] = queue.SimpleQueue()
    for one in wanted:
        waiting.put(one)
    heard: queue.SimpleQueue[tuple[int, Chunk | BaseException | None]] = queue.SimpleQueue()
    gone = threading.Event()

    def work() -> None:
        while True:
            try:
                index, request = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                if not (cancel.is_set() or gone.is_set()):
                    server.handle_chat_completions(body(request, config), partial(hear, index))
                heard.put((index, None))
            except BaseException as error:  # carried to the thread that waits
                heard.put((index, error))

    def hear(index: int, chunk: Chunk) -> bool:
        heard.put((index, chunk))
        return cancel.is_set() or gone.is_set()

    workers = [
        threading.Thread(target=work, name=f"llama.cpp-{n}", daemon=True) for n in range(min(slots, len(wanted)))
    ]
    for worker in workers:
        worker.start()
    try:
        readers = {index: Reader(index, info) for index, _ in wanted}
        refused: dict[int, ContextExceeded] = {}
        while readers:
            index, chunk = heard.get()
            if isinstance(chunk, BaseException):
                raise chunk
            reader = readers[index]
            if chunk is None and index in refused:
                yield readers.pop(index).refusal(refused[index])
            elif chunk is None:
                yield readers.pop(index).last(cancel)
            else:
                try:
                    yield from reader.read(chunk)
                except ContextExceeded as error:
                    if is_alone:
                        raise
                    refused[index] = error
    finally:
        gone.set()
        for worker in workers:
            worker.join()
