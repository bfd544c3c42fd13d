"""A checkpoint as a Model: a language model goes on, an autoencoder gives back, a seq2seq model translates."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from palaver import ContextExceeded, Delta, FinishReason, GenerationConfig, Model, ModelFailed, ModelInfo, Request
from palaver.machine import threads
from palaver.pieces import Pieces
from palaver_train.backend import BEAMS, beams_of
from palaver_train.checkpoint import TOKENIZER, WEIGHTS, Description, describe, load_into, read_weights
from palaver_train.decode import beams, continue_text, steps
from palaver_train.networks import make_network
from palaver_train.source import as_source, reconstructed
from palaver_train.tokens import EOS, PAD, TextTokenizer

_ROWS = 64
"""Texts that are written side by side."""


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded:
    """A network that is ready, its tokenizer, and what it was trained for."""

    description: Description
    network: Any
    tokenizer: TextTokenizer


def open_checkpoint(folder: Path) -> Loaded:
    """The network of a checkpoint, in evaluation mode.

    Raises:
        ModelFailed: it is damaged.
    """
    torch.set_num_threads(threads(by_core=False))
    found = describe(folder)
    network = make_network(found.run.architecture, found.run.shape, found.vocabulary)
    load_into(network, read_weights(folder), folder)
    tokenizer = TextTokenizer.read(folder / TOKENIZER)
    return Loaded(found, network.eval().requires_grad_(False), tokenizer)


def load(info: ModelInfo) -> Model:
    """The model of a checkpoint's folder.

    Raises:
        ModelFailed: it is damaged.
    """
    from palaver import weights

    folder = Path(info.path)
    loaded = open_checkpoint(folder)
    options = info.name.partition("#")[2]
    digest = weights.digest(folder / WEIGHTS)
    if options:  # another search is another model: answers of one are not those of the other
        digest = hashlib.sha256(f"{digest}#{options}".encode()).hexdigest()
    info = dataclasses.replace(info, digest=digest, dtype="float32")
    if loaded.description.run.kind == "lm":
        return LanguageModel(info, loaded)
    return SequenceModel(info, loaded, beams_of(options) or BEAMS)


class LanguageModel:
    """Goes on with the text that it is given."""

    def __init__(self, info: ModelInfo, loaded: Loaded) -> None:
        self.info = info
        self._loaded: Loaded | None = loaded

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """See `Model.stream`; one request after the other."""
        loaded = _open(self._loaded, self.info)
        for index, request in enumerate(requests):
            yield from self._write(loaded, index, _text_of(request), config, cancel)

    def close(self) -> None:
        self._loaded = None

    def _write(
        self, loaded: Loaded, index: int, text: str, config: GenerationConfig, cancel: threading.Event
    ) -> Iterator[Delta]:
        prompt = loaded.tokenizer.encode(text)
        pieces = Pieces(loaded.tokenizer.decode, config.stop, prompt=prompt)
        # The seed and the prompt decide: neither the order of requests nor their number.
        generator = torch.Generator().manual_seed((config.seed << 31) ^ zlib.crc32(repr(prompt).encode()))
        count, reason = 0, None
        chances: list[float] = []
        with torch.inference_mode():
            for token, chance in continue_text(loaded.network, prompt, config, generator):
                if cancel.is_set() or token == EOS:
                    reason = "cancelled" if cancel.is_set() else "stop"
                    break
                count += 1
                chances.append(chance)
                if piece := pieces.push([token]):
                    yield Delta(piece, index, logprobs=tuple(chances))
                    chances = []
                if pieces.stopped or count >= config.max_new_tokens:
                    reason = "stop" if pieces.stopped else "length"
                    break
        end: FinishReason = "cancelled" if reason == "cancelled" else "stop" if reason == "stop" else "length"
        left = tuple(chances)
        yield Delta(pieces.finish(), index, end, prompt_tokens=len(prompt), output_tokens=count, logprobs=left)


class SequenceModel:
    """Turns each line of a text into another, or gives it back."""

    def __init__(self, info: ModelInfo, loaded: Loaded, width: int) -> None:
        self.info = info
        self._loaded: Loaded | None = loaded
        self._width = width

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        """See `Model.stream`. Lines are translated one by one; a summary is of the whole text."""
        loaded = _open(self._loaded, self.info)
        lines: list[tuple[int, list[int]]] = []
        for index, request in enumerate(requests):
            text = _text_of(request)
            whole = [text] if request.task == "summarize" else text.split("\n")
            rows = [loaded.tokenizer.encode(one.strip()) for one in whole]
            if (longest := max(map(len, rows))) >= loaded.network.shape.context:
                error = self._too_long(longest, loaded)
                if len(requests) == 1:
                    raise error
                yield Delta("", index, "error", error.message, prompt_tokens=longest, code=error.code)
                continue
            lines += [(index, row) for row in rows]
        yield from self._write(loaded, lines, config, cancel)

    def close(self) -> None:
        self._loaded = None

    def _write(
        self, loaded: Loaded, lines: Sequence[tuple[int, list[int]]], config: GenerationConfig, cancel: threading.Event
    ) -> Iterator[Delta]:
        """The answers; those of a request are told when the last of its lines is written."""
        left: dict[int, int] = {}
        for index, _ in lines:
            left[index] = left.get(index, 0) + 1
        texts: dict[int, tuple[str, bool, int]] = {}
        order = sorted((at for at, (_, row) in enumerate(lines) if row), key=lambda at: len(lines[at][1]))
        texts.update({at: ("", True, 0) for at, (_, row) in enumerate(lines) if not row})
        groups = [order[at : at + _ROWS] for at in range(0, len(order), _ROWS)]
        told: set[int] = set()
        for group in [[], *groups]:
            if group:
                rows = self._rows(loaded, [lines[at][1] for at in group], config, cancel)
                for at, (tokens, is_whole) in zip(group, rows, strict=True):
                    texts[at] = (loaded.tokenizer.decode(tokens), is_whole, len(tokens))
            for index in left.keys() - told:
                own = [at for at, (whose, _) in enumerate(lines) if whose == index]
                if cancel.is_set() or all(at in texts for at in own):
                    told.add(index)
                    yield _answer(index, [texts.get(at) for at in own], [lines[at][1] for at in own], cancel)
            if cancel.is_set():
                return

    def _rows(
        self, loaded: Loaded, rows: Sequence[list[int]], config: GenerationConfig, cancel: threading.Event
    ) -> list[tuple[list[int], bool]]:
        """What is written for each row, and whether it was ended by its end mark."""
        network = loaded.network
        source = as_source(rows, network)
        limit = min(config.max_new_tokens, network.shape.context - 1)
        with torch.inference_mode():
            if not hasattr(network, "begin"):
                return [(row, True) for row in reconstructed(network, source)]
            if self._width > 1 and config.temperature <= 0 and hasattr(network.begin(source[:1]), "rows"):
                found: list[list[int]] = []
                for one in beams(network, source, limit, self._width):
                    if cancel.is_set():
                        return [([], False) for _ in rows]
                    if one is not None:
                        found.append(one)
                return [(one, len(one) < limit) for one in found]
            generator = torch.Generator().manual_seed(config.seed)
            columns = []
            for column in steps(network, source, limit, config, generator):
                columns.append(column)
                if cancel.is_set():
                    break
        written = [list(row) for row in zip(*columns, strict=True)]
        return [([one for one in row if one not in (EOS, PAD)], EOS in row) for row in written]

    def _too_long(self, tokens: int, loaded: Loaded) -> ContextExceeded:
        return ContextExceeded(
            f"The input has {tokens:,} tokens; {self.info.name} reads at most {loaded.network.shape.context - 1:,}.",
            fix="Shorten the input, or train with a larger --context.",
        )


def _answer(
    index: int, written: Sequence[tuple[str, bool, int] | None], rows: Sequence[list[int]], cancel: threading.Event
) -> Delta:
    done = [one for one in written if one is not None]
    reason: FinishReason = "stop" if all(is_whole for _, is_whole, _ in done) else "length"
    if cancel.is_set():
        reason = "cancelled"
    return Delta(
        "\n".join(text for text, _, _ in done),
        index,
        reason,
        prompt_tokens=sum(map(len, rows)),
        output_tokens=sum(count for _, _, count in done),
    )


def _open(loaded: Loaded | None, info: ModelInfo) -> Loaded:
    if loaded is None:
        raise ModelFailed(f"{info.name} was closed.", code="model_closed")
    return loaded


def _text_of(request: Request) -> str:
    """The text to work on: the example's own, else what the user said last."""
    if "text" in request.example.inputs:
        return request.example["text"]
    said = [one.content for one in request.messages if one.role == "user"]
    return said[-1] if said else ""
