"""Load a GGUF file with PyTorch: in four bits, as it is, for one text at a time, or in plain numbers for many."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from palaver import ModelFailed, ModelInfo
from palaver.machine import threads
from palaver_torch.causal import Causal, CausalModel
from palaver_torch.device import Place, choose_place
from palaver_torch.gguf import File, NotGGUF, read
from palaver_torch.gguf_llama import Maker
from palaver_torch.graphs import writer_of
from palaver_torch.llama import Llama
from palaver_torch.names import FOUR_BITS, form_of
from palaver_torch.stream import Streamer
from palaver_torch.vocabulary import tokenizer

MOST_CONTEXT = 8192
"""Tokens. Models made for more would take gigabytes of memory for it."""


def load(info: ModelInfo, path: Path) -> CausalModel:
    """The model in the file at `path`.

    Raises:
        ModelFailed: it is damaged, or of a kind that is not known here.
    """
    from palaver import weights

    digest = weights.verify(path, name=info.name)
    torch.set_num_threads(threads())
    form = form_of(info.name) or FOUR_BITS
    try:
        file = read(path)
        if form == FOUR_BITS:
            return _for_one(info, digest, file)
        return _for_many(info, digest, file, dataclasses.replace(choose_place(), dtype=getattr(torch, form)))
    except NotGGUF as error:
        raise ModelFailed(
            f"{path} cannot be used with PyTorch: {error}.",
            fix="Use it with llama.cpp: its name without '@' and what follows.",
            code="model_unsupported",
        ) from error


def _for_one(info: ModelInfo, digest: str, file: File) -> CausalModel:
    maker = Maker(file, torch.bfloat16)
    packed = maker.model(is_packed=True)

    def dense() -> Llama:
        """The same layers in plain numbers, which read long prompts faster."""
        return packed.with_layers(maker.layers(is_packed=False))

    writer = Streamer(packed, dense, ends=_ends(file))
    told = dataclasses.replace(info, digest=digest, device="cpu", dtype=_bits(file), context=_context(maker))
    size = _size(file)
    keys = maker.shape.dtype.itemsize * 2 * maker.shape.layers * maker.shape.groups * maker.shape.head
    return CausalModel(Causal(told, torch.device("cpu"), tokenizer(file), writer, size, keys))


def _for_many(info: ModelInfo, digest: str, file: File, place: Place) -> CausalModel:
    maker = Maker(file, place.dtype)
    model = maker.model(is_packed=False).to(place.device)
    writer = writer_of(model, place, _ends(file))
    told = dataclasses.replace(
        info, digest=digest, device=str(place.device), dtype=place.dtype_name, context=_context(maker)
    )
    keys = place.dtype.itemsize * 2 * maker.shape.layers * maker.shape.groups * maker.shape.head
    return CausalModel(Causal(told, place.device, tokenizer(file), writer, _size(file), keys))


def _context(maker: Maker) -> int:
    return min(maker.context, MOST_CONTEXT)


def _size(file: File) -> int:
    """Weights."""
    return sum(torch.Size(one.shape).numel() for one in file.tensors.values())


def _bits(file: File) -> str:
    """The type that most of the matrices have: `Q4_1`."""
    from palaver_torch.blocks import NAMES

    kinds = [one.kind for one in file.tensors.values() if len(one.shape) > 1]
    return NAMES.get(max(set(kinds), key=kinds.count), "") if kinds else ""


def _ends(file: File) -> frozenset[int]:
    """Tokens that end an answer: the end of the text, of a message, of a turn."""
    found = (file.values.get(f"tokenizer.ggml.{one}_token_id") for one in ("eos", "eot", "eom"))
    named = {one for one in found if isinstance(one, int)}
    for at, word in enumerate(file.items("tokenizer.ggml.tokens")):
        if word in ("<|im_end|>", "<|eot_id|>", "<|endoftext|>"):
            named.add(at)
    return frozenset(named)
