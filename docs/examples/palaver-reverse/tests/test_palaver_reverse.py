"""Every request ends once, and says why."""

from __future__ import annotations

import threading

from palaver_reverse import INFO, Reverse

from palaver import GenerationConfig, Message, Request


def answers(*texts: str, limit: int = 100, cancel: threading.Event | None = None) -> list[tuple[str, str | None]]:
    requests = [Request((Message("user", text),)) for text in texts]
    deltas = list(Reverse(INFO).stream(requests, GenerationConfig(limit), cancel or threading.Event()))
    return [
        (
            "".join(delta.text for delta in deltas if delta.request == index),
            next(delta.finish_reason for delta in deltas if delta.request == index and delta.finish_reason),
        )
        for index in range(len(texts))
    ]


def test_a_batch_answers_each_request() -> None:
    assert answers("a storm came", "snow") == [("came storm a", "stop"), ("snow", "stop")]


def test_the_limit_holds_and_is_told() -> None:
    assert answers("a storm came", limit=2) == [("came storm", "length")]


def test_a_cancel_ends_every_request() -> None:
    cancel = threading.Event()
    cancel.set()
    assert answers("a storm came", "snow", cancel=cancel) == [("", "cancelled"), ("", "cancelled")]
