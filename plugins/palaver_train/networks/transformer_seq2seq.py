"""A sequence-to-sequence Transformer: an encoder, and a decoder that attends to it (Vaswani et al. 2017).

Norms come first (Xiong et al. 2020), source, target and softmax share one embedding (Press & Wolf 2017).
Letters: B batch, S time of the source, T of the target, P tokens before, D width, H heads, E = D / H, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from palaver_train.config import Shape
from palaver_train.networks.attention import attend
from palaver_train.tokens import PAD


@dataclass(slots=True)
class State:
    """What the decoder keeps between steps."""

    mask: Tensor
    """Which source tokens are real (B, 1, 1, S)."""
    crossed: list[tuple[Tensor, Tensor]]
    """Keys and values (B, H, S, E) of the source, a layer each."""
    past: list[tuple[Tensor, Tensor]] | None = None
    """Keys and values (B, H, P, E) of the target so far, a layer each."""

    def rows(self, which: Tensor) -> State:
        """The state of these rows, for a beam that goes on from others."""

        def of(pairs: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
            return [(k[which], v[which]) for k, v in pairs]

        return State(self.mask[which], of(self.crossed), of(self.past) if self.past else None)


class FeedForward(nn.Module):
    """Two layers on each token by itself."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dropout = shape.dropout
        self.norm = nn.LayerNorm(shape.width)
        self.inner = nn.Linear(shape.width, shape.feed_forward or 4 * shape.width)
        self.outer = nn.Linear(shape.feed_forward or 4 * shape.width, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """The input (B, T, D) with what the layer adds to it."""
        inner = F.dropout(F.relu(self.inner(self.norm(x))), self.dropout, self.training)
        return x + F.dropout(self.outer(inner), self.dropout, self.training)


class SelfAttention(nn.Module):
    """Tokens look at tokens of their own side."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.norm = nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.merge = nn.Linear(shape.width, shape.width)

    def forward(
        self, x: Tensor, *, mask: Tensor | None, past: tuple[Tensor, Tensor] | None, is_causal: bool
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The input (B, T, D) with what attention adds, and keys and values (B, H, P + T, E)."""
        batch, time, width = x.shape
        qkv = self.qkv(self.norm(x)).view(batch, time, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, T, E) each
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        dropout = self.dropout if self.training else 0.0
        mixed = attend(q, k, v, mask=mask, is_causal=is_causal and past is None and time > 1, dropout=dropout)
        mixed = self.merge(mixed.transpose(1, 2).reshape(batch, time, width))
        return x + F.dropout(mixed, self.dropout, self.training), (k, v)


class CrossAttention(nn.Module):
    """The target looks at the source."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.dropout = shape.heads, shape.dropout
        self.norm = nn.LayerNorm(shape.width)
        self.q = nn.Linear(shape.width, shape.width)
        self.kv = nn.Linear(shape.width, 2 * shape.width)
        self.merge = nn.Linear(shape.width, shape.width)

    def read(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, S, E) of what the encoder made (B, S, D)."""
        batch, time, width = encoded.shape
        kv = self.kv(encoded).view(batch, time, 2, self.heads, width // self.heads)
        k, v = kv.permute(2, 0, 3, 1, 4).unbind(0)
        return k, v

    def forward(self, x: Tensor, source: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """The input (B, T, D) with what it takes from the source."""
        mixed = attend(self._queries(x), *source, mask=mask, dropout=self.dropout if self.training else 0.0)
        mixed = self.merge(mixed.transpose(1, 2).reshape(x.shape))
        return x + F.dropout(mixed, self.dropout, self.training)

    def weights(self, x: Tensor, source: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """How much each target token looks at each source token (B, T, S), mean of the heads."""
        q, k = self._queries(x), source[0]
        scores = (q.float() @ k.float().transpose(-1, -2)) / math.sqrt(q.shape[-1])  # (B, H, T, S)
        return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1).mean(dim=1)

    def _queries(self, x: Tensor) -> Tensor:
        q: Tensor = self.q(self.norm(x))
        return q.view(*q.shape[:2], self.heads, -1).transpose(1, 2)  # (B, H, T, E)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention, self.feed_forward = SelfAttention(shape), FeedForward(shape)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """The next representation (B, S, D)."""
        x, _ = self.attention(x, mask=mask, past=None, is_causal=False)
        made: Tensor = self.feed_forward(x)
        return made


class DecoderLayer(nn.Module):
    """Self-attention to what was written, attention to the source, feed-forward."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention, self.cross, self.feed_forward = SelfAttention(shape), CrossAttention(shape), FeedForward(shape)


class TransformerSeq2Seq(nn.Module):
    """Encoder and decoder of the same size."""

    def __init__(self, shape: Shape, vocabulary: int) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(vocabulary, shape.width, padding_idx=PAD)
        self.encoder = nn.ModuleList(EncoderLayer(shape) for _ in range(shape.layers))
        self.decoder = nn.ModuleList(DecoderLayer(shape) for _ in range(shape.layers))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.unembedding = nn.Linear(shape.width, vocabulary, bias=False)
        self.unembedding.weight = self.embedding.weight
        self.positions: Tensor
        self.register_buffer("positions", sinusoids(shape.context, shape.width), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1 and "embedding" not in name:
                nn.init.xavier_uniform_(parameter)
        nn.init.normal_(self.embedding.weight, std=shape.width**-0.5)  # times sqrt(D) below: 1 in size

    def forward(self, source: Tensor, inputs: Tensor) -> Tensor:
        """Logits (B, T, V) for source tokens (B, S) and the target tokens before each (B, T)."""
        hidden, _ = self.hidden(inputs, self.begin(source))
        logits: Tensor = self.unembedding(hidden)
        return logits

    def begin(self, source: Tensor) -> State:
        """The state before the first target token, for source tokens (B, S)."""
        mask = (source != PAD)[:, None, None]
        x = self._embed(source, 0)
        for layer in self.encoder:
            x = layer(x, mask)
        encoded = self.encoder_norm(x)
        return State(mask, [layer.cross.read(encoded) for layer in self._layers()])

    def hidden(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """What the last layer makes (B, T, D) of target tokens (B, T) after a state, and the state with them."""
        x, _, after = self._decode(inputs, state, is_aligned=False)
        return x, after

    def aligned(self, inputs: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """The same for a first block of tokens, with the attention (B, T, S) of the last layer."""
        x, attention, _ = self._decode(inputs, state, is_aligned=True)
        assert attention is not None
        return x, attention

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (B, T, V) for target tokens (B, T) after a state, and the state with them."""
        x, after = self.hidden(inputs, state)
        return self.unembedding(x), after

    def _decode(self, inputs: Tensor, state: State, *, is_aligned: bool) -> tuple[Tensor, Tensor | None, State]:
        x = self._embed(inputs, state.past[0][0].shape[2] if state.past else 0)
        kept, attention = [], None
        for index, layer in enumerate(self._layers()):
            x, keys_values = layer.attention(
                x, mask=None, past=state.past[index] if state.past else None, is_causal=True
            )
            if is_aligned and index == self.shape.layers - 1:
                attention = layer.cross.weights(x, state.crossed[index], state.mask)
            x = layer.feed_forward(layer.cross(x, state.crossed[index], state.mask))
            kept.append(keys_values)
        return self.decoder_norm(x), attention, State(state.mask, state.crossed, kept)

    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.decoder if isinstance(layer, DecoderLayer)]

    def _embed(self, tokens: Tensor, start: int) -> Tensor:
        x = self.embedding(tokens) * math.sqrt(self.shape.width)  # Vaswani et al. 2017, 3.4
        x = x + self.positions[start : start + tokens.shape[1]]
        return F.dropout(x, self.shape.dropout, self.training)


def sinusoids(time: int, width: int) -> Tensor:
    """Positions (T, D) as waves of many lengths (Vaswani et al. 2017, 3.5)."""
    angles = torch.arange(time)[:, None] * 10000.0 ** -(torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]
