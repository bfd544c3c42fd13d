"""One request to llama.cpp's chat endpoint, and what its chunks say as Deltas."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from palaver import ContextExceeded, Delta, FinishReason, GenerationConfig, ModelFailed, ModelInfo, Request
from palaver_llamacpp.server import Chunk


def body(request: Request, config: GenerationConfig) -> dict[str, object]:
    """The request as llama.cpp's chat endpoint reads it."""
    asked: dict[str, object] = {
        "messages": [{"role": one.role, "content": _whole(one.content)} for one in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,  # a chunk a batch of the prompt: the chance to cancel there
        "max_tokens": config.max_new_tokens,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": config.top_k,
        "min_p": 0.0,  # llama.cpp's default of 0.05 is not what GenerationConfig says
        "seed": config.seed,
        "cache_prompt": is_kept(request),
    }
    if request.logprobs:  # of the chosen token alone; two or three hundredths of the time
        asked |= {"logprobs": True, "top_logprobs": 1}
    if config.stop:
        asked["stop"] = list(config.stop)
    return asked


def is_kept(request: Request) -> bool:
    """Whether what was read of it before is used, and what is read now is kept for the next one.

    A reused prompt is evaluated in other batches, which can turn a near tie of greedy decoding: a conversation gains
    seconds by it, a scored example would lose that the same input gives the same output.
    """
    return request.task == "chat"


def _whole(text: str) -> str:
    """Half a surrogate pair is not UTF-8 and would be refused."""
    return text.encode("utf-8", "replace").decode("utf-8")


class Reader:
    """Turns the chunks of one answer into Deltas, in order."""

    def __init__(self, index: int, info: ModelInfo) -> None:
        self._index, self._info = index, info
        self._finish: FinishReason | None = None
        self._prompt_tokens: int | None = None
        self._output_tokens = 0

    def read(self, chunk: Chunk) -> Iterator[Delta]:
        """The texts in this chunk; while the prompt is read, a Delta without any: it is alive.

        Raises:
            ContextExceeded, ModelFailed: as llama.cpp says.
        """
        if "error" in chunk:
            raise _error(self._info, cast(Mapping[str, object], chunk["error"]))
        progress = cast(Mapping[str, int], chunk.get("prompt_progress") or {})
        if progress:
            self._prompt_tokens = progress.get("total", self._prompt_tokens)
            yield Delta(request=self._index)
        if usage := cast(Mapping[str, int], chunk.get("usage") or {}):
            self._prompt_tokens, self._output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
        for choice in cast(Sequence[Mapping[str, object]], chunk.get("choices") or ()):
            text = cast(Mapping[str, str | None], choice.get("delta") or {}).get("content")
            if text:
                self._output_tokens += 1
                yield Delta(text, request=self._index, logprobs=_logprobs(choice))
            if reason := choice.get("finish_reason"):
                self._finish = "length" if reason == "length" else "stop"

    def refusal(self, error: ContextExceeded) -> Delta:
        """The Delta that ends a request whose prompt does not fit."""
        return Delta("", self._index, "error", error.message, self._prompt_tokens, code=error.code)

    def last(self, cancel: threading.Event) -> Delta:
        """The Delta that ends the answer, after its last chunk.

        Raises:
            ModelFailed: it ended without a reason.
        """
        if self._finish is None and not cancel.is_set():
            raise ModelFailed(f"{self._info.name} stopped without saying why.", code="model_silent")
        return Delta(
            request=self._index,
            finish_reason=self._finish or "cancelled",
            prompt_tokens=self._prompt_tokens,
            output_tokens=self._output_tokens,
        )


def _logprobs(choice: Mapping[str, object]) -> tuple[float, ...]:
    told = cast(Mapping[str, object], choice.get("logprobs") or {}).get("content")
    found = [one.get("logprob") for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    return tuple(float(one) for one in found if isinstance(one, (int, float)) and math.isfinite(one))


def _error(info: ModelInfo, error: Mapping[str, object]) -> ContextExceeded | ModelFailed:
    if error.get("type") == "exceed_context_size_error":
        return ContextExceeded(
            f"The input has {error.get('n_prompt_tokens', 0):,} tokens; {info.name} reads at most "
            f"{error.get('n_ctx', info.context or 0):,}, its answer included.",
            fix="Shorten the input, or use a model with a longer context.",
        )
    return ModelFailed(f"{info.name} failed: {' '.join(str(error.get('message', error)).split())}")
