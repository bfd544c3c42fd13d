"""Load a checked folder with transformers: safetensors only, no code of the model's own, no weights made up."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
import transformers

from palaver import Model, ModelFailed, ModelInfo
from palaver.machine import threads
from palaver_torch.checkpoint import Checkpoint, Kind, made_for, read_checkpoint
from palaver_torch.device import Place, choose_place

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_CLASSES: dict[Kind, type[Any]] = {
    "causal": transformers.AutoModelForCausalLM,
    "seq2seq": transformers.AutoModelForSeq2SeqLM,
    "span": transformers.AutoModelForQuestionAnswering,
}
MOST_CONTEXT = 8192
"""Tokens. Models made for more would take gigabytes of memory for it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Loaded:
    """A model with its tokenizer, where it computes, and what is known of it."""

    info: ModelInfo
    checkpoint: Checkpoint
    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    place: Place


def load(info: ModelInfo, folder: Path) -> Model:
    """The model in `folder`, ready to answer.

    Raises:
        ModelFailed: it is damaged, incomplete, wants to run code, or is of no kind that is known.
    """
    checkpoint = read_checkpoint(folder)
    digest = checkpoint.digest(info.name)  # before anything of it is read
    torch.set_num_threads(threads())
    place = choose_place()
    try:
        network, loading = _network(checkpoint, place)
        tokenizer = _tokenizer(folder)
    except ModelFailed:
        raise
    except Exception as error:  # transformers, safetensors and tokenizers raise whatever they like
        raise ModelFailed(
            f"{folder} cannot be loaded: {_one_line(error)}",
            fix=f"palaver models pull {info.name}" if info.files else "Download the model again.",
            code="model_damaged",
        ) from error
    missing = sorted(cast("set[str]", loading.get("missing_keys") or set()))
    if missing:
        raise ModelFailed(
            f"{folder} lacks {len(missing)} of its weights ({missing[0]}, ...) for {checkpoint.architecture}.",
            fix="Download the model again, or use one that was trained for this.",
            code="model_damaged",
        )
    told = dataclasses.replace(
        info,
        path=str(folder),
        tasks=info.tasks or made_for(checkpoint.config)[0],
        context=_context(network, tokenizer),
        digest=f"{digest} {place.dtype_name}",  # the same weights answer otherwise in other numbers
        device=str(place.device),
        dtype=place.dtype_name,
    )
    return _model(Loaded(told, checkpoint, network, tokenizer, place))


def _network(checkpoint: Checkpoint, place: Place) -> tuple[PreTrainedModel, dict[str, object]]:
    network, loading = _CLASSES[checkpoint.kind].from_pretrained(
        str(checkpoint.folder),
        dtype=place.dtype,
        attn_implementation="sdpa",
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    return network.to(place.device).eval().requires_grad_(False), loading


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Marian's asks for sacremoses, which changes little
        found = transformers.AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    return cast("PreTrainedTokenizerBase", found)


def _model(loaded: Loaded) -> Model:
    if loaded.checkpoint.kind == "causal":
        from palaver_torch.causal import of_checkpoint

        return of_checkpoint(loaded)
    if loaded.checkpoint.kind == "seq2seq":
        from palaver_torch.seq2seq import Seq2SeqModel

        return Seq2SeqModel(loaded)
    from palaver_torch.span import SpanModel

    return SpanModel(loaded)


def _context(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that the model was made for; relative positions have no end, there the tokenizer knows."""
    text = network.config.get_text_config()
    named = [getattr(text, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len")]
    limits = [one for one in (*named, tokenizer.model_max_length) if isinstance(one, int) and 0 < one < 10**9]
    return min([*limits[:1], MOST_CONTEXT])


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
