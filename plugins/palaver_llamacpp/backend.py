"""The backend `llamacpp`: GGUF files through llama.cpp, one stream or several requests side by side."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from palaver import Delta, GenerationConfig, ModelFailed, ModelInfo, NeedsDownload, PalaverError, Request, paths
from palaver_llamacpp.answer import body, is_kept
from palaver_llamacpp.gguf import Header, NotGGUF, read_header
from palaver_llamacpp.server import Server, is_repacked, serve, tokens_a_pass
from palaver_llamacpp.slots import Plan, answer_together, most_tokens, plan
from palaver_llamacpp.untouched import release

MOST_CONTEXT = 8192
"""Tokens. Models made for more would take gigabytes of memory for it."""

_PROCESS, _TOKEN = 33_000_000, 420
"""Bytes, measured: Python and llama.cpp's code, and its tables for each token of the vocabulary."""


def memory_needed(header: Header, context: int, size: int) -> int:
    """Bytes of the process with weights of `size` bytes and all of a window of `context` tokens in use."""
    cache = header.cache_bytes * context or size // 4
    computed = 4 * context * (header.heads + 1) * tokens_a_pass(header, context, size)  # the scores of attention
    return size + cache + computed + _PROCESS + _TOKEN * header.vocabulary


class LlamaCpp:
    """Loads GGUF files with llama.cpp."""

    name = "llamacpp"
    isolated = True

    def resolve(self, name: str) -> ModelInfo | None:
        """`gguf:PATH`, or the path of an existing file that ends in `.gguf`."""
        is_of_hub = name.startswith("hf:") and name.endswith(".gguf") and name.count("/") == 2
        path = Path(name.removeprefix("gguf:")).expanduser()
        if is_of_hub:
            path = paths.model_dir(name) / name.rpartition("/")[2]
        elif not name.startswith("gguf:") and not (path.suffix.lower() == ".gguf" and path.is_file()):
            return None
        path = path.resolve()
        try:
            header = read_header(path)
        except (OSError, NotGGUF):  # loading says what is wrong with it
            header = Header("", "", "", None, False)
        context = min(header.context or MOST_CONTEXT, MOST_CONTEXT)
        size = path.stat().st_size if path.is_file() else 0
        return ModelInfo(
            name=name if is_of_hub else path.stem,
            backend=self.name,
            title=path.stem,
            tasks=("chat", "generate", "summarize", "translate", "qa"),
            description="A GGUF file of yours.",
            context=context if header.architecture else None,
            path=str(path) if path.is_file() or not is_of_hub else "",
            memory=memory_needed(header, context, size),
        )

    def examine(self, info: ModelInfo) -> PalaverError | None:
        """The file is gone, or begins like no GGUF file."""
        remedy = f"palaver models pull {info.name}" if info.files else "Check the path."
        try:
            with Path(info.path).open("rb") as file:
                begins = file.read(4)
        except OSError as error:
            told = f"{info.path} cannot be read: {error.strerror or error}."
            return ModelFailed(told, fix=remedy, code="model_missing") if info.path else None
        if begins == b"GGUF":
            return None
        return ModelFailed(f"{info.path} does not begin like a GGUF file.", fix=remedy, code="model_damaged")

    def load(self, info: ModelInfo) -> LlamaCppModel:
        """Load the weights at `info.path`.

        Raises:
            NeedsDownload: a model of the catalogue is not on this machine.
            ModelFailed: the file cannot be read as a model.
        """
        path = Path(info.path) if info.path else None
        if path is None or not path.is_file():
            if info.name.startswith("hf:"):
                raise NeedsDownload(f"{info.name} is not here yet.", fix=f"palaver models pull {info.name}")
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
        model = LlamaCppModel(
            dataclasses.replace(
                info,
                title=info.title if info.files else header.name or info.title,
                licence=info.licence or header.licence,
                context=context,
            ),
            header,
        )
        try:
            model.open()
        except RuntimeError as error:  # xllamacpp says no more than this; llama.cpp's reason is in the log
            raise ModelFailed(
                f"llama.cpp cannot load {path} ({header.architecture or 'unknown architecture'}).",
                fix=f"{remedy} Its reason is in the log." if not info.files else remedy,
                code="model_damaged",
            ) from error
        return model


class LlamaCppModel:
    """A loaded GGUF model."""

    def __init__(self, info: ModelInfo, header: Header) -> None:
        """Nothing is loaded yet."""
        self._info, self._header = info, header
        self._server: Server | None = None
        self._batch: tuple[Plan, Server] | None = None
        self._is_closed = False

    def open(self) -> Server:
        """The server of one stream, loaded if need be. Weights that it cannot share are in memory once.

        Raises:
            RuntimeError: llama.cpp cannot load it.
        """
        if self._server is None:
            if is_repacked(self._header):
                self._batch = None
            context = self._info.context or MOST_CONTEXT
            self._server = serve(Path(self._info.path), context, header=self._header)
            release(self._header.cache_bytes * context)
        return self._server

    @property
    def info(self) -> ModelInfo:
        return self._info

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """See `Model.stream`. A cancel is heard between two tokens, and between two batches of the prompt.

        Several requests are answered side by side, their Deltas interleaved; one whose prompt may be too long for
        that is answered afterwards, alone.
        """
        if self._is_closed:
            raise ModelFailed(f"{self._info.name} was closed.", code="model_closed")
        wanted = list(enumerate(requests))
        short: list[tuple[int, Request]] = []
        if len(wanted) > 1 and (batch := self._batch_server(requests, config)) is not None:
            shape, server = batch
            short = [one for one in wanted if most_tokens(one[1], config) <= shape.context]
            yield from answer_together(server, self._info, short, config, cancel, slots=shape.slots, is_alone=False)
            del batch, server  # what holds it holds its memory
        done = {index for index, _ in short}
        if alone := [one for one in wanted if one[0] not in done]:
            is_alone = len(wanted) == 1
            yield from answer_together(self.open(), self._info, alone, config, cancel, slots=1, is_alone=is_alone)

    def read_ahead(self, request: Request, cancel: threading.Event) -> None:
        """See `ReadsAhead.read_ahead`. Stops between two batches of the prompt; the prefix cache has what was read."""
        if self._server is not None and is_kept(request):
            self._server.handle_chat_completions(
                body(request, GenerationConfig(max_new_tokens=0)), lambda chunk: cancel.is_set()
            )

    def close(self) -> None:
        self._is_closed = True
        self._server = self._batch = None

    def _batch_server(self, requests: Sequence[Request], config: GenerationConfig) -> tuple[Plan, Server] | None:
        """A server with slots for those requests that fit beside each other, kept for the next call; None for few."""
        context = self._info.context or MOST_CONTEXT
        needs = sorted(most_tokens(request, config) for request in requests)
        fitting = [need for need in needs if plan(need, context)]
        shape = plan(fitting[-1], context) if len(fitting) > 1 else None
        if shape is None:
            return None
        if self._batch is not None:
            kept = self._batch[0]
            if kept.context >= shape.context and kept.slots >= min(shape.slots, len(fitting)):
                return self._batch
            self._batch = None  # its memory is free before the next one takes its own
        if is_repacked(self._header):
            self._server = None
        try:
            self._batch = (
                shape,
                serve(Path(self._info.path), shape.context, slots=shape.slots, header=self._header),
            )
        except RuntimeError:  # no memory for a second cache: one after the other, then
            return None
        release(self._header.cache_bytes * shape.context * shape.slots)
        return self._batch
