"""The backend `llamacpp`: llama.cpp's server inside this process, through xllamacpp.

xllamacpp always opens a listener. It gets a socket in a folder that only this user can enter, whose name is removed
once the model is loaded, and a random key: no other program can use the model.
"""

from __future__ import annotations

import dataclasses
import os
import queue
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

from palaver import (
    ContextExceeded,
    Delta,
    FinishReason,
    GenerationConfig,
    ModelFailed,
    ModelInfo,
    NeedsDownload,
    Request,
)
from palaver_llamacpp.gguf import NotGGUF, read_header

MOST_CONTEXT = 8192
"""Tokens. Models made for more would take gigabytes of memory for it."""

PREFILL_BATCH = 64
"""Prompt tokens between two chances to cancel: about 0.2 s of a small model. 2,048 were a tenth faster, measured."""

PROMPT_CACHE_MB = 256
"""Memory for prompts of conversations that one may return to; llama.cpp's own default is 8 GB."""

Chunk = Mapping[str, object]


class Server(Protocol):
    """What is used of xllamacpp.Server."""

    def handle_chat_completions(self, prompt: dict[str, object], callback: Callable[[Chunk], bool]) -> None:
        """Blocks, without the interpreter's lock, until the answer is whole or the callback returns True."""
        ...


class LlamaCpp:
    """Loads GGUF files with llama.cpp."""

    name = "llamacpp"
    isolated = True

    def resolve(self, name: str) -> ModelInfo | None:
        """`gguf:PATH`, or the path of an existing file that ends in `.gguf`."""
        path = Path(name.removeprefix("gguf:")).expanduser()
        if not name.startswith("gguf:") and not (path.suffix.lower() == ".gguf" and path.is_file()):
            return None
        path = path.resolve()
        size = path.stat().st_size if path.is_file() else 0
        return ModelInfo(
            name=path.stem,
            backend=self.name,
            title=path.stem,
            tasks=("chat", "generate", "summarize", "translate", "qa"),
            description="A GGUF file of yours.",
            path=str(path),
            memory=size + size // 4,  # weights, and a quarter for the context and its buffers
        )

    def load(self, info: ModelInfo) -> LlamaCppModel:
        """Load the weights at `info.path`.

        Raises:
            NeedsDownload: a model of the catalogue is not on this machine.
            ModelFailed: the file cannot be read as a model.
        """
        path = Path(info.path) if info.path else None
        if path is None or not path.is_file():
            if info.files:
                size = f"{info.download_size / 1e6:,.0f} MB"
                raise NeedsDownload(
                    f"{info.name} is not on this machine yet ({size}).", fix=f"palaver models pull {info.name}"
                )
            raise ModelFailed(f"There is no file {info.path}.", fix="Check the path.", code="model_missing")
        remedy = f"palaver models pull {info.name}" if info.files else "Download the file again."
        try:
            header = read_header(path)
        except NotGGUF as error:
            raise ModelFailed(f"{path} cannot be used: {error}.", fix=remedy, code="model_damaged") from error
        context = min(header.context or MOST_CONTEXT, MOST_CONTEXT)
        try:
            server = _serve(path, context)
        except RuntimeError as error:  # xllamacpp says no more than this; llama.cpp's reason is in the log
            raise ModelFailed(
                f"llama.cpp cannot load {path} ({header.architecture or 'unknown architecture'}).",
                fix=f"{remedy} Its reason is in the log." if not info.files else remedy,
                code="model_damaged",
            ) from error
        return LlamaCppModel(
            dataclasses.replace(
                info,
                title=info.title if info.files else header.name or info.title,
                licence=info.licence or header.licence,
                context=context,
            ),
            server,
        )


def threads() -> int:
    """Threads to compute with: one a physical core that this process may use; PALAVER_THREADS overrides."""
    wanted = os.environ.get("PALAVER_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    smt = Path("/sys/devices/system/cpu/smt/active")
    shares_cores = smt.is_file() and smt.read_text("ascii").strip() == "1"
    return max(1, usable // 2 if shares_cores else usable)


def _serve(path: Path, context: int) -> Server:
    from xllamacpp.xllamacpp import CommonParams  # 30 MB of native code: paid by the process that loads a model
    from xllamacpp.xllamacpp import Server as NativeServer

    params = CommonParams()
    params.model.path = str(path)
    params.n_ctx = context
    params.n_batch = params.n_ubatch = PREFILL_BATCH
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads()
    params.n_threads_http = 1
    params.cache_ram_mib = PROMPT_CACHE_MB
    params.use_jinja = True
    params.warmup = False
    params.fit_params = False  # the context is chosen above
    params.verbosity = 1  # errors, into the log
    params.api_keys = [secrets.token_urlsafe(32)]
    params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = params.ui = False
    if os.name == "nt":
        params.hostnames = ["127.0.0.1"]
        return cast(Server, NativeServer(params))
    private = tempfile.mkdtemp(prefix="palaver-")  # mode 0700
    try:
        params.hostnames = [f"{private}/model.sock"]
        return cast(Server, NativeServer(params))
    finally:
        shutil.rmtree(private, ignore_errors=True)


class LlamaCppModel:
    """A loaded GGUF model. Requests of one call are answered one after the other."""

    def __init__(self, info: ModelInfo, server: Server) -> None:
        self._info = info
        self._server: Server | None = server

    @property
    def info(self) -> ModelInfo:
        return self._info

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """See `Model.stream`. A cancel is heard between two tokens, and between two batches of the prompt."""
        for index, request in enumerate(requests):
            if cancel.is_set():
                yield Delta(request=index, finish_reason="cancelled")
            else:
                yield from self._answer(index, request, config, cancel)

    def close(self) -> None:
        self._server = None

    def _answer(
        self, index: int, request: Request, config: GenerationConfig, cancel: threading.Event
    ) -> Iterator[Delta]:
        chunks: queue.SimpleQueue[Chunk | BaseException | None] = queue.SimpleQueue()
        gone = threading.Event()

        def hear(chunk: Chunk) -> bool:
            chunks.put(chunk)
            return cancel.is_set() or gone.is_set()

        def run(server: Server) -> None:
            try:
                server.handle_chat_completions(_body(request, config), hear)
                chunks.put(None)
            except BaseException as error:  # carried to the thread that waits
                chunks.put(error)

        if self._server is None:
            raise ModelFailed(f"{self._info.name} was closed.", code="model_closed")
        worker = threading.Thread(target=run, args=(self._server,), name="llama.cpp", daemon=True)
        worker.start()
        try:
            yield from self._deltas(index, chunks, cancel)
        finally:
            gone.set()
            worker.join()

    def _deltas(
        self, index: int, chunks: queue.SimpleQueue[Chunk | BaseException | None], cancel: threading.Event
    ) -> Iterator[Delta]:
        finish: FinishReason | None = None
        prompt_tokens, output_tokens = None, 0
        while (chunk := chunks.get()) is not None:
            if isinstance(chunk, BaseException):
                raise chunk
            if "error" in chunk:
                raise self._error(cast(Mapping[str, object], chunk["error"]))
            progress = cast(Mapping[str, int], chunk.get("prompt_progress") or {})
            prompt_tokens = progress.get("total", prompt_tokens)
            if usage := cast(Mapping[str, int], chunk.get("usage") or {}):
                prompt_tokens, output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
            for choice in cast(Sequence[Mapping[str, object]], chunk.get("choices") or ()):
                text = cast(Mapping[str, str | None], choice.get("delta") or {}).get("content")
                if text:
                    output_tokens += 1
                    yield Delta(text, request=index)
                if reason := choice.get("finish_reason"):
                    finish = "length" if reason == "length" else "stop"
        if finish is None and not cancel.is_set():
            raise ModelFailed(f"{self._info.name} stopped without saying why.", code="model_silent")
        yield Delta(
            request=index,
            finish_reason=finish or "cancelled",
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
        )

    def _error(self, error: Mapping[str, object]) -> ContextExceeded | ModelFailed:
        if error.get("type") == "exceed_context_size_error":
            return ContextExceeded(
                f"The input has {error.get('n_prompt_tokens', 0):,} tokens; {self._info.name} reads at most "
                f"{error.get('n_ctx', self._info.context or 0):,}, its answer included.",
                fix="Shorten the input, or use a model with a longer context.",
            )
        return ModelFailed(f"{self._info.name} failed: {' '.join(str(error.get('message', error)).split())}")


def _body(request: Request, config: GenerationConfig) -> dict[str, object]:
    """The request as llama.cpp's chat endpoint reads it."""
    body: dict[str, object] = {
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
        # A reused prompt is evaluated in other batches, which can turn a near tie of greedy decoding: a conversation
        # gains seconds by it, a scored example would lose that the same input gives the same output.
        "cache_prompt": request.task == "chat",
    }
    if config.stop:
        body["stop"] = list(config.stop)
    return body


def _whole(text: str) -> str:
    """Half a surrogate pair is not UTF-8 and would be refused."""
    return text.encode("utf-8", "replace").decode("utf-8")
