"""The forward pass of Llama and its like on a graphics card: positions and slots are on the card, nothing waits for it.

A pass has no Python that looks at a number: so a step of decoding can be captured once and replayed. What it takes
beside the matrix products is handed in as `Operations`: in Triton (`kernels`), or in plain PyTorch where there is none.

Letters: N positions of one or many texts, D width of the model, H query heads, G key heads, W width of a head, S slots,
C columns (positions that a slot has room for), I width between gate and down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch.nn.functional import scaled_dot_product_attention, silu

from palaver_torch.llama import Dense, Llama, Shape
from palaver_torch.slots import Segment

ROUND = 64
"""Columns come in such steps."""
QUERIES = 64
"""Of a prompt, that attend together."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the tokens of a pass go."""

    slots: torch.Tensor
    """(N)."""
    positions: torch.Tensor
    """(N)."""
    pieces: tuple[Segment, ...] = ()
    """The prompts that the tokens are pieces of, one after the other; none: each token is a text's next one."""
    blocks: torch.Tensor | None = None
    """See `blocks_of` (blocks, 4), int32; with pieces only."""

    @classmethod
    def of(cls, pieces: Sequence[Segment], device: torch.device) -> Reading:
        """Of pieces of prompts."""
        table = torch.tensor([(one.slot, one.start, one.length) for one in pieces]).to(device)
        blocks = torch.tensor(blocks_of(pieces, QUERIES), dtype=torch.int32).to(device)
        slots, starts, lengths = table.unbind(1)
        total = sum(one.length for one in pieces)
        which = torch.repeat_interleave(lengths, output_size=total)
        offsets = lengths.cumsum(0) - lengths
        positions = torch.arange(total, device=device) + (starts - offsets)[which]
        return cls(slots[which], positions, tuple(pieces), blocks)


class Operations(Protocol):
    """What a pass does between two matrix products."""

    def norm(self, x: torch.Tensor, new: torch.Tensor | None, scale: torch.Tensor, shape: Shape) -> torch.Tensor:
        """Add `new` to x (N, D) in place, and the norm of that (N, D)."""
        ...

    def turn(
        self, mixed: torch.Tensor, turns: torch.Tensor, at: Reading, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        """Rotated queries (N, H, W) of `mixed` (N, (H+2G)*W); keys and values go into their slots (S, G, C, W)."""
        ...

    def attend(self, queries: torch.Tensor, at: Reading, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """(N, H*W) for queries (N, H, W), each over its slot as far as its position."""
        ...

    def gate(self, both: torch.Tensor) -> torch.Tensor:
        """SiLU of the first half of (N, 2*I) times the second half: (N, I)."""
        ...

    def step(self, model: Llama, tokens: torch.Tensor, at: Reading, kept: Kept) -> torch.Tensor | None:
        """Logits (N, V) of a step of decoding with so few rows that there is a faster way; None where there is none."""
        ...


class Kept:
    """Keys and values of all texts, in memory that is laid out anew when texts grow longer or more."""

    def __init__(self, shape: Shape, device: torch.device) -> None:
        self._shape, self._device = shape, device
        self.slots = self.columns = 0
        self._flat = [torch.empty(0)] * (2 * shape.layers)
        self.keys: list[torch.Tensor] = []
        """(S, G, C, W) a layer."""
        self.values: list[torch.Tensor] = []

    @property
    def token_bytes(self) -> int:
        """For one position of one text."""
        shape = self._shape
        return 2 * shape.layers * shape.groups * shape.head * shape.dtype.itemsize

    @property
    def held(self) -> int:
        """Bytes."""
        return sum(one.nbytes for one in self._flat)

    @torch.inference_mode()
    def reserve(self, slots: int, columns: int, *, keep: int = 0) -> bool:
        """Room for that many texts of that many positions, and for one more; whether anything moved.

        Only the first `keep` positions of slot 0 are sure to stay.
        """
        columns = -(-columns // ROUND) * ROUND
        if slots <= self.slots and columns <= self.columns:
            return False
        shape = self._shape
        saved = [store[0, :, :keep].clone() for store in (*self.keys, *self.values)] if keep else []
        self.slots, self.columns, self.keys, self.values = slots, columns, [], []
        size = (slots + 1) * columns * shape.groups * shape.head
        if size > self._flat[0].numel():
            self._flat = []
            # Zeros, not whatever was in the memory: 0 times a forgotten NaN would be NaN behind a mask.
            for _ in range(2 * shape.layers):
                self._flat.append(torch.zeros(size, dtype=shape.dtype, device=self._device))
        views = [one[:size].view(slots + 1, shape.groups, columns, shape.head) for one in self._flat]
        self.keys, self.values = views[: shape.layers], views[shape.layers :]
        for view, old in zip(views, saved, strict=False):
            view[0, :, :keep] = old
        return True

    @torch.inference_mode()
    def copy(self, source: int, targets: torch.Tensor, length: int) -> None:
        """Begin the slots `targets` with the first positions of `source`."""
        for store in (*self.keys, *self.values):
            store[targets, :, :length] = store[source, :, :length]


class CardLlama:
    """A model on a device, its keys and values elsewhere."""

    def __init__(self, model: Llama, operations: Operations) -> None:
        self.model, self._operations = model, operations

    def logits(self, tokens: torch.Tensor, at: Reading, kept: Kept, ends: torch.Tensor | None = None) -> torch.Tensor:
        """Logits (N, V) after each of the tokens (N), or after those at `ends` only."""
        if ends is None and (found := self._operations.step(self.model, tokens, at, kept)) is not None:
            return found
        read = self._read(tokens, at, kept)
        return self.model.logits(read if ends is None else read[ends])

    def _read(self, tokens: torch.Tensor, at: Reading, kept: Kept) -> torch.Tensor:
        model, do = self.model, self._operations
        shape, turns = model.shape, model.turns
        x = model.embed(tokens)
        new: torch.Tensor | None = None
        for layer, keys, values in zip(model.layers, kept.keys, kept.values, strict=True):
            mixed = layer.mix(do.norm(x, new, layer.before, shape))
            queries = do.turn(mixed, turns, at, keys, values)
            new = layer.out(do.attend(queries, at, keys, values))
            new = layer.down(do.gate(layer.gate(do.norm(x, new, layer.after, shape))))
        return do.norm(x, new, model.norm, shape)


class Plain:
    """See `Operations`: in PyTorch, on any device."""

    def norm(self, x: torch.Tensor, new: torch.Tensor | None, scale: torch.Tensor, shape: Shape) -> torch.Tensor:
        if new is not None:
            x += new
        # Zhang & Sennrich 2019
        spread = torch.rsqrt(x.square().mean(dim=1, keepdim=True) + shape.epsilon)
        return (x * spread * scale[: x.shape[1]]).to(shape.dtype)

    def turn(
        self, mixed: torch.Tensor, turns: torch.Tensor, at: Reading, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        groups, width = keys.shape[1], keys.shape[3]
        parts = mixed.view(mixed.shape[0], -1, width)
        pairs = torch.view_as_complex(parts[:, :-groups].float().reshape(len(parts), -1, width // 2, 2))
        turned = torch.view_as_real(pairs * turns[at.positions][:, None]).flatten(2).to(mixed.dtype)
        keys[at.slots, :, at.positions] = turned[:, -groups:]
        values[at.slots, :, at.positions] = parts[:, -groups:]
        return turned[:, :-groups]

    def attend(self, queries: torch.Tensor, at: Reading, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        if at.pieces:
            offsets = [0]
            for piece in at.pieces:
                offsets.append(offsets[-1] + piece.length)
            found = [
                _attend_piece(queries[begin:end], piece, keys, values)
                for piece, begin, end in zip(at.pieces, offsets, offsets[1:], strict=False)
            ]
            return torch.cat(found)
        rows, heads, width = queries.shape
        groups, columns = keys.shape[1:3]
        mask = torch.arange(columns, device=queries.device) <= at.positions[:, None]  # (N, C)
        mask = mask[:, None, None].expand(rows, 1, heads // groups, columns)
        # The heads that share keys stand where the time would be.
        grouped = queries.reshape(rows, groups, heads // groups, width)
        out = scaled_dot_product_attention(grouped, keys[at.slots], values[at.slots], attn_mask=mask)
        return out.reshape(rows, heads * width)

    def gate(self, both: torch.Tensor) -> torch.Tensor:
        gate, up = both.chunk(2, dim=1)
        return silu(gate) * up

    def step(self, model: Llama, tokens: torch.Tensor, at: Reading, kept: Kept) -> torch.Tensor | None:
        return None


def _attend_piece(queries: torch.Tensor, piece: Segment, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Queries (T, H, W) of one piece of a prompt over its slot: (T, H*W)."""
    end = piece.start + piece.length
    sharing = queries.shape[1] // keys.shape[1]
    key, value = (one[piece.slot, :, :end].repeat_interleave(sharing, dim=0)[None] for one in (keys, values))
    query = queries.transpose(0, 1)[None]
    rows = torch.arange(piece.start, end, device=queries.device)
    mask = torch.arange(end, device=queries.device) <= rows[:, None]
    found = scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return found[0].transpose(0, 1).flatten(1)


@torch.inference_mode()
def fused(model: Llama, device: torch.device) -> Operations:
    """The operations in Triton where it is and gives what plain PyTorch gives, else those of plain PyTorch."""
    plain, zeros = Plain(), torch.zeros(8, dtype=torch.long, device=device)
    try:
        from palaver_torch.kernels import Fused

        model.reach(ROUND)
        tried: list[tuple[Operations, Kept]] = [
            (plain, Kept(model.shape, device)),
            (Fused(), Kept(model.shape, device)),
        ]
        for _, kept in tried:
            kept.reserve(1, 1)
        for rows, pieces in ((8, (Segment(0, 0, 8),)), (1, ()), (8, ())):
            at = Reading.of(pieces, device) if pieces else Reading(zeros[:rows], zeros[:rows] + 8)
            tokens = zeros[:rows] + 1
            one, two = (
                CardLlama(model, do).logits(tokens, at, kept, zeros[:1] if pieces else None) for do, kept in tried
            )
            if not bool((one - two).float().norm() <= 0.05 * one.float().norm()):
                return plain
        return tried[1][0]
    except Exception:  # of Triton's, its compiler's and the card's: no C compiler, too little shared memory, ...
        return plain


def matrix(product: object) -> Dense:
    """A product that is a matrix of plain numbers, as all are on a card."""
    return cast(Dense, product)


def blocks_of(pieces: Sequence[Segment], size: int) -> list[tuple[int, int, int, int]]:
    """The pieces cut into at most `size` queries: first token of the pass, tokens, slot, position."""
    found, offset = [], 0
    for piece in pieces:
        for begin in range(0, piece.length, size):
            count = min(size, piece.length - begin)
            found.append((offset + begin, count, piece.slot, piece.start + begin))
        offset += piece.length
    return found
