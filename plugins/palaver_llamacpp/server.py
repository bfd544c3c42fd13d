"""llama.cpp's server inside this process, through xllamacpp, where no other program can reach it.

xllamacpp always opens a listener. It gets a socket in a folder that only this user can enter, whose name is removed
once the model is loaded, and a random key.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

from palaver import spare
from palaver.machine import threads
from palaver_llamacpp import kept
from palaver_llamacpp.gguf import Header, read_header
from palaver_llamacpp.kept import KeptChats

PREFILL_BATCH = 64
"""Prompt tokens between two chances to cancel: about 0.2 s of a small model. 2,048 were a tenth faster, measured."""

_SHARE_OF_SCORES = 50
"""What all tokens of a pass see of a full window takes at most this part of weights and cache: fewer tokens for a small
model. With 16 instead of 64, 450 tokens are read 6 % slower and 2,200 tokens 4 % faster: the scores stay in the
processor's cache."""

_REPACKED = frozenset({2, 10, 12, 20, 39})  # ggml.h: Q4_0, Q2_K, Q4_K, IQ4_NL, MXFP4
_REPACKED_ON_ARM = frozenset({8, 13, 14})  # Q8_0, Q5_K, Q6_K

_CACHE_MIB = 32
"""For prompts of conversations that one may return to, in memory, where they cannot be kept in files."""

_MUCH = 1.15
"""Of weights and cache. A process that has more looks for what it does not need: a hundredth of a second."""

_LONG_PROMPT = 1024
"""Tokens between two such looks while a prompt is read."""

Chunk = Mapping[str, object]


class Native(Protocol):
    """What is used of xllamacpp.Server. Several threads may call it; each call takes one of its slots."""

    def handle_chat_completions(self, prompt: dict[str, object], callback: Callable[[Chunk], bool]) -> None:
        """Blocks, without the interpreter's lock, until the answer is whole or the callback returns True."""
        ...


class Server:
    """llama.cpp's server, and the chats that its one slot has read before."""

    def __init__(self, native: Native, kept: KeptChats | None, much: int = 0) -> None:
        """`much` are bytes of the process from which on it gives back what it does not need at the moment."""
        self._native, self._kept, self._much = native, kept, much
        if kept is not None:
            weakref.finalize(self, kept.close)

    def handle_chat_completions(self, prompt: dict[str, object], callback: Callable[[Chunk], bool]) -> None:
        """As `Native` does."""
        if self._kept is None:
            self._native.handle_chat_completions(prompt, callback)
            return
        pieces: list[str] = []
        read = -1

        def hear(chunk: Chunk) -> bool:
            nonlocal read
            progress = cast(Mapping[str, int], chunk.get("prompt_progress") or {})
            if (processed := progress.get("processed", -1)) > read:
                read = processed + _LONG_PROMPT
                self._make_room()  # code of templates and tokens: not what reads
            for choice in cast(Sequence[Mapping[str, Mapping[str, str]]], chunk.get("choices") or ()):
                pieces.append((choice.get("delta") or {}).get("content") or "")
            return callback(chunk)

        messages = cast(Sequence[Mapping[str, str]], prompt["messages"])
        self._make_room()
        self._kept.turn_to(messages, is_chat=prompt["cache_prompt"] is True)
        self._make_room()
        self._native.handle_chat_completions(prompt, hear)
        self._kept.answered("".join(pieces))

    def _make_room(self) -> None:
        if spare.resident() > self._much:
            spare.give_back_code()
            spare.give_back_blocks()


def tokens_a_pass(header: Header, context: int, size: int) -> int:
    """How many tokens of a prompt are read at once, beside weights of `size` bytes and a window of `context` tokens."""
    scores = 4 * context * (header.heads + 1)  # float32, and the mask
    fitting = (size + header.cache_bytes * context) // (_SHARE_OF_SCORES * scores) // 4 * 4
    return max(8, min(PREFILL_BATCH, fitting)) if header.heads else PREFILL_BATCH


def is_repacked(header: Header) -> bool:
    """llama.cpp lays matrices of its types out anew for this processor: mapped weights would be in memory twice."""
    is_arm = hasattr(os, "uname") and os.uname().machine.lower() in ("arm64", "aarch64")
    return bool(header.kinds & (_REPACKED | _REPACKED_ON_ARM if is_arm else _REPACKED))


def serve(
    path: Path,
    context: int,
    *,
    slots: int = 1,
    header: Header | None = None,
    adjust: Callable[[object], None] = lambda params: None,
) -> Server:
    """A server of the weights at `path`, with `slots` windows of `context` tokens each.

    `adjust` gets llama.cpp's parameters last: for measuring what else could be chosen.

    Raises:
        RuntimeError: llama.cpp cannot load it; its reason is in the log.
    """
    spare.one_heap()
    from xllamacpp.xllamacpp import CommonParams, llama_flash_attn_type, llama_load_mode  # paid by who loads: 30 MB
    from xllamacpp.xllamacpp import Server as NativeServer

    params = CommonParams()
    params.model.path = str(path)
    params.n_ctx = context * slots
    header = header or read_header(path)
    params.n_batch = params.n_ubatch = tokens_a_pass(header, context, path.stat().st_size)
    if is_repacked(header):
        params.load_mode = llama_load_mode.LLAMA_LOAD_MODE_NONE
    params.n_parallel = slots
    # Slots that share one cache, and flash attention, both add up in an order that depends on the neighbours: then
    # more near ties of greedy decoding fall otherwise in a batch than alone. On a CPU neither is faster, measured.
    params.kv_unified = False
    params.flash_attn_type = llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads(beside_others=True)
    params.n_threads_http = 1
    keeps_files = slots == 1 and kept.is_possible()
    params.slot_save_path = kept.FILES if keeps_files else ""
    params.cache_ram_mib = _CACHE_MIB if slots == 1 and not keeps_files else 0
    params.use_jinja = True
    params.warmup = False
    params.fit_params = False  # the context is chosen above
    params.verbosity = 1  # errors, into the log
    key = os.urandom(32).hex()
    params.api_keys = [key]
    params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = params.ui = False
    adjust(params)
    spare.give_back_code()
    if os.name == "nt":
        params.hostnames = ["127.0.0.1"]
        return Server(cast(Native, NativeServer(params)), None)
    import shutil
    import tempfile

    private = tempfile.mkdtemp(prefix="palaver-")  # mode 0700
    try:
        params.hostnames = [f"{private}/model.sock"]
        native = cast(Native, NativeServer(params))
        spare.reuse_blocks()
        chats = kept.KeptChats(kept.Door(params.hostnames[0], key)) if keeps_files else None
        return Server(native, chats, int(_MUCH * (path.stat().st_size + header.cache_bytes * context)))
    finally:
        shutil.rmtree(private, ignore_errors=True)
