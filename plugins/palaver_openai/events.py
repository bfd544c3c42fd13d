"""Server-sent events of a chat completion, read with suspicion.

A stream counts as whole only when a `finish_reason` came. All else a server can do - an HTML page, half an event, a
connection that just ends - becomes one sentence. Format: WHATWG HTML, 9.2 Server-sent events; OpenAI API reference.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from palaver import ContextExceeded, Delta, FinishReason, ModelFailed

MAX_EVENT = 1_000_000
"""Characters of one event; a server that sends more is not streaming."""


def read_events(lines: Iterable[str], index: int) -> Iterator[Delta]:
    """The deltas in the lines of one response; the last one has a `finish_reason`.

    Raises:
        ModelFailed: the server said something else than a completion. ContextExceeded: the prompt is too long.
    """
    reason: FinishReason | None = None
    prompt_tokens = output_tokens = None
    for event in _data(lines):
        if event == "[DONE]":
            break
        chunk = _json(event)
        if "error" in chunk:
            raise refusal(chunk)
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            prompt_tokens, output_tokens = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        for choice in chunk.get("choices") or []:
            said = choice.get("delta") if isinstance(choice, dict) else None
            text = said.get("content") if isinstance(said, dict) else None
            if isinstance(text, str) and text:
                yield Delta(text, index, logprobs=_logprobs(choice))
            reason = _reason(choice) or reason
    if reason is None:
        yield Delta(
            request=index,
            finish_reason="error",
            error="The server ended the answer without saying that it is whole; the text so far is kept.",
        )
    else:
        error = "The server's filter ended the answer; the text so far is kept." if reason == "error" else ""
        yield Delta(
            request=index, finish_reason=reason, error=error, prompt_tokens=prompt_tokens, output_tokens=output_tokens
        )


def refusal(body: dict[str, Any]) -> ModelFailed | ContextExceeded:
    """The error that a server's error object means, in one sentence."""
    told = body.get("error")
    message = str(told.get("message", told) if isinstance(told, dict) else told).strip()[:500]
    code = str(told.get("code") or told.get("type") or "") if isinstance(told, dict) else ""
    words = f"{code} {message}".lower()
    if "context" in words and any(word in words for word in ("exceed", "length", "maximum", "too long")):
        return ContextExceeded(
            f"The input is longer than the server's model can read: {message}", fix="shorten the text"
        )
    return ModelFailed(f"The server refused: {message or 'it gave no reason'}")


def _data(lines: Iterable[str]) -> Iterator[str]:
    """The data of each event; comments and other fields are passed over."""
    held: list[str] = []
    size = 0
    for line in lines:
        if not line:
            if held:
                yield "\n".join(held)
            held, size = [], 0
        elif line.startswith("data:"):
            held.append(line[5:].removeprefix(" "))
            size += len(line)
            if size > MAX_EVENT:
                raise ModelFailed("The server sent an event of more than 1 MB; it is not streaming.")
    if held:
        yield "\n".join(held)


def _json(event: str) -> dict[str, Any]:
    try:
        chunk = json.loads(event)
    except ValueError as error:
        raise ModelFailed("The server sent an event that is not JSON; its answer is not used further.") from error
    if not isinstance(chunk, dict):
        raise ModelFailed("The server sent an event that is no completion.")
    return chunk


def _logprobs(choice: dict[str, Any]) -> tuple[float, ...]:
    """What a server that gives log-probabilities by itself says of the tokens of this piece."""
    told = choice.get("logprobs")
    content = told.get("content") if isinstance(told, dict) else None
    found = [one.get("logprob") for one in content if isinstance(one, dict)] if isinstance(content, list) else []
    return tuple(float(one) for one in found if isinstance(one, (int, float)) and math.isfinite(one))


def _reason(choice: dict[str, Any]) -> FinishReason | None:
    told = choice.get("finish_reason")
    if told is None:
        return None
    if told == "content_filter":
        return "error"
    return "length" if told == "length" else "stop"


def _count(usage: dict[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) else None
