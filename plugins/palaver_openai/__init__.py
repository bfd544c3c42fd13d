"""Models behind any OpenAI-compatible server: vLLM, Ollama, llama.cpp, LM Studio, OpenAI."""

from __future__ import annotations

from palaver import Backend, hookimpl
from palaver_openai.backend import OpenAICompatible


@hookimpl
def palaver_backends() -> list[Backend]:
    return [OpenAICompatible()]
