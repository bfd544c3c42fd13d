"""The forward pass of Llama and its like (SmolLM, Qwen 2, Mistral), with as few operations as PyTorch allows.

Against transformers' own: one product for queries, keys and values, one for gate and up, no padding and no masks beside
those of whoever attends. What stands between the products is done by `processor` where it can, else by PyTorch:
rotation as one complex multiplication, a norm in two operations. What attends is handed in: nothing here knows caches,
texts or requests.

Letters: N positions of one or many texts, D width of the model, H query heads, G key heads, W width of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn.functional import layer_norm, linear, rms_norm, silu

from palaver_torch.blocks import BLOCK, Nibbles
from palaver_torch.processor import processor_of

_FEW = 16
"""Rows up to which fewer operations count more than fewer numbers."""


class Product(Protocol):
    """A matrix that multiplies."""

    def __call__(self, x: torch.Tensor, /) -> torch.Tensor:
        """(N, K) to (N, M)."""
        ...


class Dense:
    """A matrix of plain numbers."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, x: torch.Tensor, /) -> torch.Tensor:
        return linear(x, self.weight, self.bias)


class Embedding:
    """The vector of each token, in plain numbers."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight

    def __call__(self, tokens: torch.Tensor, /) -> torch.Tensor:
        """Vectors (N, D) in float32 of tokens (N)."""
        return self.weight[tokens].float()


class Packed:
    """A matrix in four bits, in the order in which PyTorch's kernel reads it.

    A row of the result does not depend on how many rows are multiplied at once, to the last bit.
    """

    def __init__(self, nibbles: Nibbles, bias: torch.Tensor | None = None) -> None:
        rows = -nibbles.codes.shape[0] % 16  # the kernel counts in sixteens
        codes = torch.nn.functional.pad(nibbles.codes, (0, 0, 0, rows)).to(torch.int32)
        scales = torch.nn.functional.pad(nibbles.scales, (0, 0, 0, 0, 0, rows))
        self._packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
        self._scales = scales.transpose(0, 1).to(torch.bfloat16).contiguous()  # (B, N, 2)
        self._is_double, self._rows, self._bias = nibbles.is_double, nibbles.codes.shape[0] if rows else 0, bias
        self._multiply = torch.ops.aten._weight_int4pack_mm_for_cpu.default

    def __call__(self, x: torch.Tensor, /) -> torch.Tensor:
        if self._is_double:
            x = torch.cat((x, x), dim=1)
        out: torch.Tensor = self._multiply(x, self._packed, BLOCK, self._scales)
        if self._rows:
            out = out[:, : self._rows]
        return out if self._bias is None else out + self._bias


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model."""

    layers: int
    width: int
    """D."""
    heads: int
    """H."""
    groups: int
    """G."""
    head: int
    """W."""
    epsilon: float
    """Added under the root of a norm."""
    dtype: torch.dtype
    """Of what products read."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. The rows of `mix` for queries and keys are in pairs: what rotates together stands together."""

    before: torch.Tensor
    """Scale of the norm (D), twice over: see `_norm`."""
    mix: Product
    """Queries, keys, values."""
    out: Product
    after: torch.Tensor
    gate: Product
    """Gate and up."""
    down: Product


class Turns:
    """The rotation of each row of a pass."""

    def __init__(self, shape: Shape, table: torch.Tensor, positions: torch.Tensor) -> None:
        self._shape = shape
        self.table, self.positions = table, positions
        """Rotations of all positions (C, W/2), complex, and the position of each row (N)."""
        self._rows: torch.Tensor | None = None

    def split(self, mixed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Turned queries (N, H, W) and keys (N, G, W) in float32, and values (N, G, W) as the product gives them."""
        shape, count = self._shape, mixed.shape[0]
        both = shape.heads + shape.groups
        if self._rows is None:
            self._rows = self.table[self.positions][:, None]  # (N, 1, W/2)
        pairs = mixed[:, : both * shape.head].float().view(count, both, shape.head // 2, 2)
        turned = torch.view_as_real(torch.view_as_complex(pairs) * self._rows).view(count, both, shape.head)
        values = mixed[:, both * shape.head :].view(count, shape.groups, shape.head)
        return turned[:, : shape.heads], turned[:, shape.heads :], values


Attend = Callable[[int, torch.Tensor, Turns], torch.Tensor]
"""Layer and what its product gives (N, (H + 2G)*W), in `Shape.dtype`, to (N, H*W)."""


class Between(Protocol):
    """What a layer does between its products."""

    def norm(self, x: torch.Tensor, more: torch.Tensor | None, scale: torch.Tensor) -> torch.Tensor:
        """x (N, D), float32, grows by `more` (N, D); its norm times the scale, which stands there twice (2D).

        Zhang & Sennrich 2019: x over the root of its mean square.
        """
        ...

    def gate(self, both: torch.Tensor) -> torch.Tensor:
        """silu(gate) times up (N, F), of gate and up side by side (N, 2F)."""
        ...


class PlainBetween:
    """The same by PyTorch's own operations."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    def norm(self, x: torch.Tensor, more: torch.Tensor | None, scale: torch.Tensor) -> torch.Tensor:
        """Beside its own negative x has the mean 0 and the same mean square: the norm that subtracts the mean, which
        PyTorch has in one operation, then does what the one without takes six for. For many rows it takes longer.
        """
        if more is not None:
            x += more
        width, shape = x.shape[1], self._shape
        if x.shape[0] > _FEW:
            return rms_norm(x, (width,), scale[:width], shape.epsilon).to(shape.dtype)
        both = torch.cat((x, -x), dim=1)
        return layer_norm(both, scale.shape, scale, None, shape.epsilon)[:, :width].to(shape.dtype)

    def gate(self, both: torch.Tensor) -> torch.Tensor:
        gate, up = both.chunk(2, dim=1)
        return silu(gate) * up


class Llama:
    """A model without its cache."""

    def __init__(
        self,
        shape: Shape,
        embed: Callable[[torch.Tensor], torch.Tensor],
        layers: Sequence[Layer],
        norm: torch.Tensor,
        head: Product,
        frequencies: torch.Tensor,
    ) -> None:
        self.shape, self.layers = shape, layers
        self.embed, self.norm, self.head = embed, norm, head
        self._frequencies = frequencies.double()
        self.turns = torch.empty(0, frequencies.shape[0], dtype=torch.complex64, device=frequencies.device)
        """Rotation of each position (C, W/2)."""
        self.between: Between = processor_of(shape, frequencies.device) or PlainBetween(shape)

    def with_layers(self, layers: Sequence[Layer], head: Product | None = None) -> Llama:
        """The same model with its matrices in another form."""
        return Llama(self.shape, self.embed, layers, self.norm, head or self.head, self._frequencies)

    def to(self, device: torch.device) -> Llama:
        """The same model on a device; its matrices are plain ones."""
        if device == self._frequencies.device:
            return self
        layers = [
            Layer(
                one.before.to(device),
                _moved(one.mix, device),
                _moved(one.out, device),
                one.after.to(device),
                _moved(one.gate, device),
                _moved(one.down, device),
            )
            for one in self.layers
        ]
        embed = self.embed
        if isinstance(embed, Embedding):
            embed = Embedding(embed.weight.to(device))
        head = _moved(self.head, device)
        return Llama(self.shape, embed, layers, self.norm.to(device), head, self._frequencies.to(device))

    def reach(self, positions: int) -> None:
        """Be ready for that many positions."""
        if self.turns.shape[0] < positions:
            at = torch.arange(positions + positions // 2, dtype=torch.double, device=self._frequencies.device)
            angles = at[:, None] * self._frequencies
            self.turns = torch.polar(torch.ones_like(angles), angles).to(torch.complex64)

    def read(self, tokens: torch.Tensor, positions: torch.Tensor, attend: Attend) -> torch.Tensor:
        """What the last layer makes of the tokens (N) at their positions (N): (N, D)."""
        between, turns = self.between, Turns(self.shape, self.turns, positions)
        x, more = self.embed(tokens), None
        for at, layer in enumerate(self.layers):
            found = attend(at, layer.mix(between.norm(x, more, layer.before)), turns)
            more = layer.down(between.gate(layer.gate(between.norm(x, layer.out(found), layer.after))))
        return between.norm(x, more, self.norm)

    def logits(self, found: torch.Tensor) -> torch.Tensor:
        """Logits (N, V) of what `read` gave (N, D)."""
        return self.head(found)


def pairs_together(shape: Shape) -> torch.Tensor:
    """The order of rows that puts side by side what turns together; values stay as they are."""
    order = torch.arange((shape.heads + 2 * shape.groups) * shape.head)
    turning = (shape.heads + shape.groups) * shape.head
    order[:turning] = order[:turning].view(-1, 2, shape.head // 2).transpose(1, 2).flatten()
    return order


def _moved(product: Product, device: torch.device) -> Product:
    assert isinstance(product, Dense), "four bits stay where they are"
    bias = product.bias.to(device) if product.bias is not None else None
    return Dense(product.weight.to(device), bias)
