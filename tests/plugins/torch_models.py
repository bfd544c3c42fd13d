"""Tiny models with random weights, made on the spot: every kind that the torch backend loads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from palaver import Delta, Example, GenerationConfig, Message, Model, Request
from palaver_torch.backend import Torch

EOS, PAD = 0, 1
SENTENCES = ["the cat sat on the mat, the dog ate the cat; ünï → ok 日本 🎈", "a b c d e f g. who sat? the mat!"]


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE: any text goes in, and characters are often several tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=300, special_tokens=["<eos>", "<pad>"], initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<eos>", pad_token="<pad>")


VOCABULARY = len(tokenizer())


def saved(folder: Path, network: Any, made: PreTrainedTokenizerFast | None = None) -> Path:
    """The folder, with the model as safetensors and its tokenizer."""
    transformers.logging.disable_progress_bar()
    network.save_pretrained(folder)
    (made or tokenizer()).save_pretrained(folder)
    return folder


def llama(folder: Path, *, context: int = 256, **changes: Any) -> Path:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        **{
            "vocab_size": VOCABULARY,
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": context,
            "eos_token_id": EOS,
            "pad_token_id": PAD,
            "initializer_range": 0.4,  # far from uniform, so that an answer is no string of ties
            **changes,
        }
    )
    return saved(folder, transformers.LlamaForCausalLM(config))


def load(folder: Path) -> Model:
    info = Torch().resolve(str(folder))
    assert info is not None
    return Torch().load(info)


def told(text: str, task: str = "generate") -> Request:
    return Request((Message("user", text),), task)


def given(task: str, options: dict[str, object] | None = None, **inputs: str) -> Request:
    return Request((), task, Example(inputs=inputs), options or {})


def deltas(model: Model, requests: Sequence[Request], config: GenerationConfig) -> list[Delta]:
    return list(model.stream(requests, config, threading.Event()))


def sure(model: Model, requests: Sequence[Request], config: GenerationConfig) -> list[list[float]]:
    """The log-probabilities of each answer's tokens."""
    found: list[list[float]] = [[] for _ in requests]
    for one in deltas(model, [replace(each, logprobs=True) for each in requests], config):
        found[one.request] += one.logprobs
    return found


def texts(model: Model, requests: Sequence[Request], config: GenerationConfig) -> list[str]:
    found = [""] * len(requests)
    for one in deltas(model, requests, config):
        found[one.request] += one.text
    return found
