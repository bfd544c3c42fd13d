"""An autoencoder of word vectors: it gives back, for each place of a text, the vector of the token that stood there.

The vectors are made before and stay as they are: if they could move, all being equal would be the cheapest answer. The
loss is the mean squared error, and what is written is the token whose vector is nearest.
Letters: B batch, S time of the text, D width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from palaver_train.config import Shape
from palaver_train.networks.lstm_lm import remember_at_first
from palaver_train.tokens import BOS, PAD, UNKNOWN


class EmbeddingAutoencoder(nn.Module):
    """An LSTM makes one vector of a text's vectors; a feed-forward network makes them all at once again."""

    def __init__(self, shape: Shape, vocabulary: int) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.vectors: Tensor
        self.register_buffer("vectors", torch.zeros(vocabulary, width))
        self.encoder = nn.LSTM(
            width, width, shape.layers, batch_first=True, dropout=shape.dropout if shape.layers > 1 else 0.0
        )
        self.squeeze = nn.Linear(width, width)
        self.places = nn.Embedding(shape.context, width)
        self.inner = nn.Linear(2 * width, shape.feed_forward or 4 * width)
        self.outer = nn.Linear(shape.feed_forward or 4 * width, width)
        nn.init.normal_(self.places.weight, std=0.5)
        remember_at_first(self.encoder)

    def forward(self, source: Tensor) -> Tensor:
        """Vectors (B, S, D) for a text (B, S)."""
        return self.decode(self.embed(source), source.shape[1])

    def embed(self, source: Tensor) -> Tensor:
        """The vector (B, D) of each text (B, S)."""
        lengths = (source != PAD).sum(dim=1).cpu()
        shown = F.dropout(self.vectors[source], self.shape.dropout, self.training)
        packed = nn.utils.rnn.pack_padded_sequence(shown, lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.encoder(packed)
        return torch.tanh(self.squeeze(hidden[-1]))

    def decode(self, vector: Tensor, time: int) -> Tensor:
        """Vectors (B, S, D) for the first places of texts (B, D)."""
        batch, places = vector.shape[0], self.places.weight[:time]
        told = torch.cat([vector[:, None].expand(-1, time, -1), places[None].expand(batch, -1, -1)], dim=-1)
        made: Tensor = self.outer(F.gelu(self.inner(told)))
        return made

    def nearest(self, made: Tensor) -> Tensor:
        """The token (B, S) whose vector has the smallest angle to each vector (B, S, D)."""
        scores = F.normalize(made, dim=-1) @ F.normalize(self.vectors, dim=-1).T
        scores[..., [PAD, BOS, UNKNOWN]] = float("-inf")
        return scores.argmax(dim=-1)
