"""A sequence-to-sequence LSTM with attention (Sutskever et al. 2014; global attention of Luong et al. 2015).

The encoder reads in both directions. Without input feeding the decoder's steps need no attention of the step before, so
that in training all of them are one call.
Letters: B batch, S time of the source, T of the target, D width, L layers, V vocabulary.
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

    mask: Tensor
    """Which source tokens are real (B, 1, S)."""
    encoded: Tensor
    """What the encoder made (B, S, D)."""
    keys: Tensor
    """The same as queries want it (B, S, D): Luong's "general" score."""
    memory: tuple[Tensor, Tensor]
    """Hidden and cell states of the decoder (L, B, D)."""

    def rows(self, which: Tensor) -> State:
        """The state of these rows, for a beam that goes on from others."""
        memory = (self.memory[0][:, which].contiguous(), self.memory[1][:, which].contiguous())
        return State(self.mask[which], self.encoded[which], self.keys[which], memory)


class LstmSeq2Seq(nn.Module):
    """Encoder, decoder, attention, softmax over the shared embedding."""

    def __init__(self, shape: Shape, vocabulary: int) -> None:
        super().__init__()
        self.shape = shape
        width, layers = shape.width, shape.layers
        between = shape.dropout if layers > 1 else 0.0
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=PAD)
        self.encoder = nn.LSTM(width, (width + 1) // 2, layers, batch_first=True, dropout=between, bidirectional=True)
        self.bridge = nn.Linear(2 * ((width + 1) // 2), width)
        self.decoder = nn.LSTM(width, width, layers, batch_first=True, dropout=between)
        self.score = nn.Linear(width, width, bias=False)
        self.combine = nn.Linear(2 * width, width, bias=False)
        self.unembedding = nn.Linear(width, vocabulary)
        self.unembedding.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        nn.init.zeros_(self.unembedding.bias)
        for lstm in (self.encoder, self.decoder):
            remember_at_first(lstm)

    def forward(self, source: Tensor, inputs: Tensor) -> Tensor:
        """Logits (B, T, V) for source tokens (B, S) and the target tokens before each (B, T)."""
        return self.step(inputs, self.begin(source))[0]

    def begin(self, source: Tensor) -> State:
        """The state before the first target token, for source tokens (B, S)."""
        lengths = (source != PAD).sum(dim=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            self._embed(source), lengths, batch_first=True, enforce_sorted=False
        )  # so that the backward direction begins at the last word, not at the padding
        found, memory = self.encoder(packed)
        both, _ = nn.utils.rnn.pad_packed_sequence(found, batch_first=True, total_length=source.shape[1])
        encoded = F.dropout(self.bridge(both), self.shape.dropout, self.training)
        hidden, cell = (self._both_ways(one) for one in memory)
        return State((source != PAD)[:, None], encoded, self.score(encoded), (torch.tanh(hidden), cell))

    def hidden(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """What goes to the softmax (B, T, D) for target tokens (B, T) after a state, and the state after them."""
        x, _, after = self._decode(inputs, state)
        return x, after

    def aligned(self, inputs: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """The same with the attention (B, T, S)."""
        x, attention, _ = self._decode(inputs, state)
        return x, attention

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (B, T, V) for target tokens (B, T) after a state, and the state after them."""
        x, after = self.hidden(inputs, state)
        return self.unembedding(x), after

    def _decode(self, inputs: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        x, memory = self.decoder(self._embed(inputs), state.memory)
        scores = (x @ state.keys.to(x.dtype).transpose(1, 2)).float()  # (B, T, S)
        attention = scores.masked_fill(~state.mask, float("-inf")).softmax(dim=-1)
        context = attention.to(x.dtype) @ state.encoded.to(x.dtype)
        mixed = torch.tanh(self.combine(torch.cat([context, x], dim=-1)))  # Luong et al. 2015, formula 5
        after = State(state.mask, state.encoded, state.keys, memory)
        return F.dropout(mixed, self.shape.dropout, self.training), attention, after

    def _both_ways(self, state: Tensor) -> Tensor:
        """States (2 L, B, D / 2) of the encoder as ones (L, B, D) of the decoder, by what joins its outputs."""
        forward, backward = state[0::2], state[1::2]
        joined: Tensor = self.bridge(torch.cat([forward, backward], dim=-1))
        return joined

    def _embed(self, tokens: Tensor) -> Tensor:
        return F.dropout(self.embedding(tokens), self.shape.dropout, self.training)
