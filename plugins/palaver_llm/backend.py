"""Ask a model that llm knows: its own ones, and those that its plugins add."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from palaver import Delta, FinishReason, GenerationConfig, Model, ModelFailed, ModelInfo, NotFound, Request

if TYPE_CHECKING:
    import llm

_OPTIONS = {
    "max_new_tokens": ("max_tokens", "max_new_tokens", "num_predict", "max_output_tokens"),
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "seed": ("seed",),
}
"""Decoding parameters, and what models of llm call them; a model gets those that it has."""


class Llm:
    """`llm:gpt-4o-mini`, `llm:mistral/mistral-small`: whatever `llm models` lists."""

    name: str = "llm"
    isolated: bool = True
    """What plugins of llm import and print stays in a process of its own."""

    def resolve(self, name: str) -> ModelInfo | None:
        """Every name after `llm:`; whether there is such a model is found out where llm is imported."""
        model = name.removeprefix("llm:")
        if model == name or not model:
            return None
        return ModelInfo(
            name, "llm", title=model, tasks=("*",), description=f"{model} by llm", digest=f"llm {model}", device="llm"
        )

    def load(self, info: ModelInfo) -> Model:
        """The model, which llm's plugins load when they like.

        Raises:
            ModelFailed: llm is not installed. NotFound: it knows no such model.
        """
        try:
            import llm  # 0.4 s: paid by whoever asks one of its models
        except ImportError as error:
            raise ModelFailed(
                "llm is not installed beside Palaver.", fix="pip install 'palaver[llm]'", code="no_llm"
            ) from error
        try:
            return LlmModel(info, llm.get_model(info.title))
        except llm.UnknownModelError as error:
            raise NotFound(f"llm knows no model '{info.title}'.", fix="llm models", code="model_not_found") from error


class LlmModel:
    """One of its models."""

    def __init__(self, info: ModelInfo, model: llm.Model) -> None:
        self.info = info
        self._model = model

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """One after the other; a cancel is seen between two pieces."""
        for index, request in enumerate(requests):
            yield from self._answer(index, request, config, cancel)

    def _answer(
        self, index: int, request: Request, config: GenerationConfig, cancel: threading.Event
    ) -> Iterator[Delta]:
        import llm

        if cancel.is_set():
            yield Delta(request=index, finish_reason="cancelled")
            return
        roles = {"system": llm.system, "user": llm.user, "assistant": llm.assistant}
        messages = [roles[one.role](one.content) for one in request.messages]
        reason: FinishReason = "stop"
        try:
            response = self._model.prompt(messages=messages, options=self._options(config))
            for piece in response:
                if cancel.is_set():
                    reason = "cancelled"
                    break
                yield Delta(str(piece), index)
            usage = response.usage() if reason == "stop" else None
        except llm.NeedsKeyException as error:
            raise ModelFailed(f"{self.info.title}: {error}", fix="llm keys set", code="no_key") from error
        except llm.ModelError as error:
            raise ModelFailed(f"{self.info.title}: {error}") from error
        yield Delta(
            request=index,
            finish_reason=reason,
            prompt_tokens=usage.input if usage else None,
            output_tokens=usage.output if usage else None,
        )

    def _options(self, config: GenerationConfig) -> dict[str, Any]:
        has = self._model.Options.model_fields
        found: dict[str, Any] = {}
        for ours, theirs in _OPTIONS.items():
            name = next((one for one in theirs if one in has), None)
            if name is not None:
                found[name] = getattr(config, ours)
        return found

    def close(self) -> None:
        """llm's models have no end of their own."""
