"""What a network writes in the middle of its training, so that one can see it learn."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from palaver import GenerationConfig
from palaver_train.config import Run
from palaver_train.decode import continue_text, greedy
from palaver_train.material import Material
from palaver_train.source import as_source, reconstructed
from palaver_train.tokens import EOS

_TOKENS = {"char": 200}
_CONFIG = GenerationConfig(temperature=0.8)


def write_samples(run: Run, network: Any, material: Material) -> tuple[tuple[str, str], ...]:
    """A prompt or source, and what comes of it, a pair each."""
    tokenizer = material.tokenizer
    with torch.inference_mode():
        if run.kind == "lm":
            generator = torch.Generator().manual_seed(run.training.seed)
            most = _TOKENS.get(run.tokens.tokenizer, 60)
            found = []
            for prompt in material.prompts:
                tokens = itertools.islice(continue_text(network, tokenizer.encode(prompt), _CONFIG, generator), most)
                found.append((prompt, tokenizer.decode([one for one, _ in tokens if one != EOS])))
            return tuple(found)
        source = as_source([tokenizer.encode(one) for one in material.prompts], network)
        if run.architecture.startswith("embedding"):
            rows = reconstructed(network, source)
        else:
            rows = greedy(network, source, min(60, run.shape.context - 1))
        return tuple((prompt, tokenizer.decode(row)) for prompt, row in zip(material.prompts, rows, strict=True))
