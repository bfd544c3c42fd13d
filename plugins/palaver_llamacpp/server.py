"""llama.cpp's server inside this process, through xllamacpp, where no other program can reach it.

xllamacpp always opens a listener. It gets a socket in a folder that only this user can enter, whose name is removed
once the model is loaded, and a random key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, cast

from palaver.machine import threads

PREFILL_BATCH = 64
"""Prompt tokens between two chances to cancel: about 0.2 s of a small model. 2,048 were a tenth faster, measured."""

MOST_PROMPT_CACHE, LEAST_PROMPT_CACHE = 256 * 2**20, 32 * 2**20
"""Bytes for prompts of conversations that one may return to, a third of the weights between these two; llama.cpp's own
default is 8 GB."""

Chunk = Mapping[str, object]


class Server(Protocol):
    """What is used of xllamacpp.Server. Several threads may call it; each call takes one of its slots."""

    def handle_chat_completions(self, prompt: dict[str, object], callback: Callable[[Chunk], bool]) -> None:
        """Blocks, without the interpreter's lock, until the answer is whole or the callback returns True."""
        ...


def serve(
    path: Path, context: int, *, slots: int = 1, adjust: Callable[[object], None] = lambda params: None
) -> Server:
    """A server of the weights at `path`, with `slots` windows of `context` tokens each.

    `adjust` gets llama.cpp's parameters last: for measuring what else could be chosen.

    Raises:
        RuntimeError: llama.cpp cannot load it; its reason is in the log.
    """
    from xllamacpp.xllamacpp import CommonParams, llama_flash_attn_type  # 30 MB of native code: paid by who loads
    from xllamacpp.xllamacpp import Server as NativeServer

    params = CommonParams()
    params.model.path = str(path)
    params.n_ctx = context * slots
    params.n_batch = params.n_ubatch = PREFILL_BATCH
    params.n_parallel = slots
    # Slots that share one cache, and flash attention, both add up in an order that depends on the neighbours: then
    # more near ties of greedy decoding fall otherwise in a batch than alone. On a CPU neither is faster, measured.
    params.kv_unified = False
    params.flash_attn_type = llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads(beside_others=True)
    params.n_threads_http = 1
    kept = min(MOST_PROMPT_CACHE, max(LEAST_PROMPT_CACHE, path.stat().st_size // 3))
    params.cache_ram_mib = kept // 2**20 if slots == 1 else 0
    params.use_jinja = True
    params.warmup = False
    params.fit_params = False  # the context is chosen above
    params.verbosity = 1  # errors, into the log
    params.api_keys = [os.urandom(32).hex()]
    params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = params.ui = False
    adjust(params)
    if os.name == "nt":
        params.hostnames = ["127.0.0.1"]
        return cast(Server, NativeServer(params))
    import shutil
    import tempfile

    private = tempfile.mkdtemp(prefix="palaver-")  # mode 0700
    try:
        params.hostnames = [f"{private}/model.sock"]
        return cast(Server, NativeServer(params))
    finally:
        shutil.rmtree(private, ignore_errors=True)
