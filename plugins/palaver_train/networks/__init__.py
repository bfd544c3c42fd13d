"""The networks, one a file, and the table that finds them by their versioned name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from torch import nn

from palaver import ModelFailed
from palaver_train.config import Shape

_HOME: Mapping[str, str] = {
    "transformer_lm.v1": "transformer_lm:TransformerLM",
    "lstm_lm.v1": "lstm_lm:LstmLM",
    "lstm_autoencoder.v1": "lstm_autoencoder:LstmAutoencoder",
    "embedding_autoencoder.v1": "embedding_autoencoder:EmbeddingAutoencoder",
    "transformer_seq2seq.v1": "transformer_seq2seq:TransformerSeq2Seq",
    "lstm_seq2seq.v1": "lstm_seq2seq:LstmSeq2Seq",
}


def make_network(architecture: str, shape: Shape, vocabulary: int) -> nn.Module:
    """A network with fresh weights.

    Raises:
        ModelFailed: this version knows no such architecture.
    """
    if architecture not in _HOME:
        raise ModelFailed(
            f"This version does not know the architecture '{architecture}'.",
            fix=f"It knows: {', '.join(_HOME)}.",
            code="model_unknown",
        )
    module, _, name = _HOME[architecture].partition(":")
    made: Callable[[Shape, int], nn.Module] = getattr(import_module(f"palaver_train.networks.{module}"), name)
    return made(shape, vocabulary)
