"""A Transformer language model: each token sees those before it (Vaswani et al. 2017; Radford et al. 2019).

Letters: B batch, T time, P tokens before, D width, H heads, E = D / H, V vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from palaver_train.config import Shape
from palaver_train.networks.attention import attend
from palaver_train.networks.rotary import rotate, rotations

State = list[tuple[Tensor, Tensor]]
"""Keys and values (B, H, P, E) of each layer."""


class Block(nn.Module):
    """Attention, then a feed-forward layer, each added to its input; norms come first (Xiong et al. 2020)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads, self.dropout = shape.heads, shape.dropout
        self.attention_norm = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.merge = nn.Linear(width, width, bias=False)
        self.inner_norm = nn.LayerNorm(width, bias=False)
        self.inner = nn.Linear(width, shape.feed_forward or 4 * width, bias=False)
        self.outer = nn.Linear(shape.feed_forward or 4 * width, width, bias=False)

    def forward(
        self, x: Tensor, turns: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The block's output (B, T, D), and its keys and values (B, H, P + T, E)."""
        batch, time, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(batch, time, 3 * self.heads, -1)
        qk, v = qkv.split([2 * self.heads, self.heads], dim=2)
        q, k = rotate(qk, turns).transpose(1, 2).chunk(2, dim=1)  # (B, H, T, E) each
        v = v.transpose(1, 2)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v.float()], dim=2)
        # A prefix in one go, or one token after it: a block of tokens after a prefix would need a mask.
        mixed = attend(q, k, v, is_causal=past is None and time > 1, dropout=self.dropout if self.training else 0.0)
        mixed = self.merge(mixed.transpose(1, 2).reshape(batch, time, width))
        x = x + F.dropout(mixed, self.dropout, self.training)
        inner = self.outer(F.gelu(self.inner(self.inner_norm(x))))
        return x + F.dropout(inner, self.dropout, self.training), (k, v)


class TransformerLM(nn.Module):
    """Embedding, blocks, softmax over the same embedding (Press & Wolf 2017)."""

    def __init__(self, shape: Shape, vocabulary: int) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width, bias=False)
        self.unembedding = nn.Linear(shape.width, vocabulary, bias=False)
        self.unembedding.weight = self.embedding.weight
        self.turns: Tensor
        self.register_buffer("turns", rotations(shape.context, shape.width // shape.heads), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                # GPT-2: what is added to the residual stream shrinks with the number of additions.
                deep = name.endswith(("merge.weight", "outer.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * shape.layers) if deep else 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, V) for token ids (B, T)."""
        return self.step(tokens, None)[0]

    def hidden(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """What the last layer makes (B, T, D) of tokens (B, T) after a state, and the state with them in it."""
        start = state[0][0].shape[2] if state else 0
        end = start + tokens.shape[1]
        x = F.dropout(self.embedding(tokens), self.shape.dropout, self.training)
        kept: State = []
        for index, block in enumerate(self.blocks):
            x, keys_values = block(x, self.turns[start:end], state[index] if state else None)
            kept.append(keys_values)
        return self.norm(x), kept

    def step(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Logits (B, T, V) for tokens (B, T) after a state, and the state with them in it."""
        x, kept = self.hidden(tokens, state)
        return self.unembedding(x), kept

    def length(self, state: State) -> int:
        """Tokens that a state holds."""
        return state[0][0].shape[2]
