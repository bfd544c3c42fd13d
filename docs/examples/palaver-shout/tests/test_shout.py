"""The task is a pure function, and the model's answer reaches it through Palaver's own registry."""

from __future__ import annotations

import threading

import palaver_shout

from palaver import Example, GenerationConfig


def test_the_text_is_the_last_thing_the_model_reads() -> None:
    request = palaver_shout.Shout().request(Example({"text": "hello"}))
    assert [message.role for message in request.messages] == ["system", "user"]
    assert request.messages[-1].content == "hello"


def test_marks_are_added_to_whatever_the_model_said() -> None:
    assert palaver_shout.Shout(marks=2).parse(" HELLO\n", Example({"text": "hello"})) == "HELLO!!"


def test_upper_answers_every_request_and_ends_each() -> None:
    requests = [palaver_shout.Shout().request(Example({"text": text})) for text in ("hello", "grüße")]
    deltas = list(palaver_shout.Upper().stream(requests, GenerationConfig(), threading.Event()))
    assert [(delta.text, delta.request, delta.finish_reason) for delta in deltas] == [
        ("HELLO", 0, "stop"),
        ("GRÜSSE", 1, "stop"),
    ]
