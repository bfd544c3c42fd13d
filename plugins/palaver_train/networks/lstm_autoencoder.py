"""An LSTM autoencoder: a text becomes one vector, and the vector the text again (Dai & Le 2015; Li et al. 2015).

The decoder is shown the vector at every step, as well as at the first (Cho et al. 2014).
Letters: B batch, S time of the text, T of what is written, D width, L layers, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from palaver_train.config import Shape
from palaver_train.networks.lstm_lm import remember_at_first
from palaver_train.tokens import PAD


@dataclass(slots=True)
class State:
    """What the decoder keeps between steps."""

    vector: Tensor
    """The text as a vector (B, D)."""
    memory: tuple[Tensor, Tensor]
    """Hidden and cell states (L, B, D)."""

    def rows(self, which: Tensor) -> State:
        """The state of these rows, for a beam that goes on from others."""
        memory = (self.memory[0][:, which].contiguous(), self.memory[1][:, which].contiguous())
        return State(self.vector[which], memory)


class LstmAutoencoder(nn.Module):
    """Encoder, vector, decoder, softmax over the shared embedding."""

    def __init__(self, shape: Shape, vocabulary: int) -> None:
        super().__init__()
        self.shape = shape
        width, layers = shape.width, shape.layers
        between = shape.dropout if layers > 1 else 0.0
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.encoder = nn.LSTM(width, width, layers, batch_first=True, dropout=between)
        self.squeeze = nn.Linear(width, width)
        self.open = nn.Linear(width, layers * width)
        self.decoder = nn.LSTM(2 * width, width, layers, batch_first=True, dropout=between)
        self.unembedding = nn.Linear(width, vocabulary)
        self.unembedding.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        nn.init.zeros_(self.unembedding.bias)
        for lstm in (self.encoder, self.decoder):
            remember_at_first(lstm)

    def forward(self, source: Tensor, inputs: Tensor) -> Tensor:
        """Logits (B, T, V) for a text (B, S) and the tokens before each (B, T)."""
        return self.step(inputs, self.begin(source))[0]

    def embed(self, source: Tensor) -> Tensor:
        """The vector (B, D) of each text (B, S)."""
        lengths = (source != PAD).sum(dim=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(self._embed(source), lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.encoder(packed)
        return torch.tanh(self.squeeze(hidden[-1]))

    def begin(self, source: Tensor) -> State:
        """The state before the first token is written, for a text (B, S)."""
        vector = self.embed(source)
        hidden = torch.tanh(self.open(vector)).view(len(vector), self.shape.layers, -1).transpose(0, 1).contiguous()
        return State(vector, (hidden, torch.zeros_like(hidden)))

    def hidden(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """What goes to the softmax (B, T, D) for tokens (B, T) after a state, and the state after them."""
        told = state.vector[:, None].expand(-1, inputs.shape[1], -1)
        embedded = self._embed(inputs)
        x, memory = self.decoder(torch.cat([embedded, told.to(embedded.dtype)], dim=-1), state.memory)
        return F.dropout(x, self.shape.dropout, self.training), State(state.vector, memory)

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (B, T, V) for tokens (B, T) after a state, and the state after them."""
        x, after = self.hidden(inputs, state)
        return self.unembedding(x), after

    def _embed(self, tokens: Tensor) -> Tensor:
        return F.dropout(self.embedding(tokens), self.shape.dropout, self.training)
