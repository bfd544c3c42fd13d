"""What llama.cpp says of one request: how much of the prompt it had read before, and the answer."""

from __future__ import annotations

from typing import cast

from palaver import GenerationConfig, Message, ModelInfo, Request
from palaver_llamacpp.answer import Reader, body
from palaver_llamacpp.server import Chunk, Server


def read(server: Server, info: ModelInfo, task: str, *messages: Message) -> tuple[int, int, str]:
    """Tokens of the prompt taken from before and in all, and the answer."""
    chunks: list[Chunk] = []

    def keep(chunk: Chunk) -> bool:
        chunks.append(chunk)
        return False

    server.handle_chat_completions(body(Request(messages, task), GenerationConfig(max_new_tokens=4)), keep)
    seen = next(cast(dict[str, int], one["prompt_progress"]) for one in chunks if one.get("prompt_progress"))
    reader = Reader(0, info)
    return seen["cache"], seen["total"], "".join(delta.text for chunk in chunks for delta in reader.read(chunk))
