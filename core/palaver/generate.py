"""One request to one model: the pieces as they come, the whole with its timing."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from palaver.errors import ContextExceeded
from palaver.model import FinishReason, Generation, GenerationConfig, Model, Request


def generate(
    model: Model,
    request: Request,
    config: GenerationConfig,
    cancel: threading.Event,
    on_text: Callable[[str], None] = lambda piece: None,
) -> Generation:
    """The model's answer. `on_text` gets each piece, in this thread.

    A stream that ends without saying why is an error, however good its text looks.

    Raises:
        PalaverError: as the model raises it; the pieces already given stand.
    """
    start = time.perf_counter()
    first: float | None = None
    pieces: list[str] = []
    reason: FinishReason | None = None
    error = ""
    prompt_tokens = output_tokens = None
    logprobs: list[float] = []
    for delta in model.stream([request], config, cancel):
        if delta.text:
            first = first if first is not None else time.perf_counter() - start
            pieces.append(delta.text)
            on_text(delta.text)
        prompt_tokens = delta.prompt_tokens if delta.prompt_tokens is not None else prompt_tokens
        output_tokens = delta.output_tokens if delta.output_tokens is not None else output_tokens
        logprobs += delta.logprobs
        reason, error = delta.finish_reason or reason, delta.error or error
        if delta.code == ContextExceeded.code:
            raise ContextExceeded(error)
    if reason is None:
        reason, error = "error", f"{model.info.name} stopped without finishing its answer."
    seconds = time.perf_counter() - start
    logprob = math.fsum(logprobs) if logprobs else None
    return Generation(
        "".join(pieces), reason, prompt_tokens, output_tokens, first, seconds, error, logprob, len(logprobs)
    )


def digest_of(model: Model, cancel: threading.Event) -> str:
    """Of the model's weights; where that is known only after loading, it is loaded. Empty where it is never known.

    Raises:
        PalaverError: it cannot be loaded.
    """
    load = getattr(model, "load", None)
    if not model.info.digest and callable(load):
        load(cancel)
    return model.info.digest
