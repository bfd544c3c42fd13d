"""Keys and values of the texts that are being written, a slot each, and attention over them without padding.

transformers' models hand their keys, values and queries to `SlotCache.update` and `SlotCache.attend`; which text a
position belongs to is said beforehand with `begin_prefill` or `begin_decode`. Nothing here knows tokens or requests.

Letters: S slots, N positions of all prompts one after the other, R rows that decode, H query heads, K key heads,
G = H/K, C columns (positions that a slot has room for), L the longest of the rows, D width of a head.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import Cache

from palaver_torch.llama import Turns
from palaver_torch.processor import Processor


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a prompt: `length` positions of a slot, from `start` on."""

    slot: int
    start: int
    length: int


NEIGHBOURS = 16
"""Rows that PyTorch's attention takes together, over as many columns as the longest of them has."""
_SHORT = 32
"""Positions of a piece of a prompt up to which they attend one by one as fast as together."""


@dataclass(frozen=True, slots=True)
class _Neighbours:
    """Some rows of a decoding step, side by side."""

    rows: slice
    longest: int
    mask: torch.Tensor | None
    """0 where a row may look, else -inf (R, 1, 1, L); None when all rows are equally long."""


@dataclass(frozen=True, slots=True)
class _Decode:
    rows: torch.Tensor
    """0..R-1 (R)."""
    positions: torch.Tensor
    """Where each row's token goes (R)."""
    ends: torch.Tensor
    """How far each looks (R)."""
    longest: int
    parts: tuple[_Neighbours, ...]
    """Only where PyTorch attends."""


def cache_keyword(forward: Callable[..., object]) -> str:
    """What a model of transformers calls its cache: `cache` since 5.24, before that `past_key_values`."""
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"


class SlotCache(Cache):
    """The cache, and the attention function that reads it."""

    def __init__(self, dtype: torch.dtype | None = None, processor: Processor | None = None) -> None:
        """`dtype` is that of the keys which `read` keeps; transformers' models bring their own.

        With a processor `read` attends by its kernels.
        """
        super().__init__(layers=[])
        self._dtype, self._processor = dtype, processor
        self.slots = 0
        self.columns = 0
        self._keys: list[torch.Tensor] = []  # (S, K, C, D) a layer
        self._values: list[torch.Tensor] = []
        self._segments: tuple[Segment, ...] = ()
        self._masks: tuple[torch.Tensor | None, ...] = ()
        self._decode: _Decode | None = None
        self._owners = torch.empty(0, dtype=torch.long)
        """The slot of each position of the pass (N), for the kernels."""

    @property
    def _is_short(self) -> bool:
        """Whether the kernels attend also in this pass over pieces of prompts."""
        return self._processor is not None and all(piece.length <= _SHORT for piece in self._segments)

    @property
    def wants_order(self) -> bool:
        """Whether attention is faster when rows of like length stand side by side."""
        return self._processor is None

    @torch.inference_mode()
    def reserve(self, slots: int, columns: int) -> None:
        """Room for that many texts of that many positions; what is there stays."""
        slots, columns = max(slots, self.slots), max(columns, self.columns)
        if (slots, columns) == (self.slots, self.columns):
            return
        for store in (self._keys, self._values):
            for index, old in enumerate(store):
                new = self._room(old, slots, old.shape[1], columns, old.shape[3])
                new[: old.shape[0], :, : old.shape[2]] = old
                store[index] = new
        self.slots, self.columns = slots, columns

    def _room(self, like: torch.Tensor, *size: int) -> torch.Tensor:
        """Zeros, not whatever was in the memory: 0 times a forgotten NaN would be NaN behind PyTorch's mask."""
        return like.new_zeros(size) if self._processor is None else like.new_empty(size)

    def release(self) -> None:
        """Give the memory back."""
        self._keys, self._values, self.slots, self.columns = [], [], 0, 0

    def begin_prefill(self, segments: Sequence[Segment]) -> None:
        """The next forward pass reads these pieces of prompts, one after the other in one row."""
        assert all(one.slot < self.slots and one.start + one.length <= self.columns for one in segments), "no room"
        self._segments, self._decode = tuple(segments), None
        if self._processor is not None:
            owners = [(piece.slot, piece.length) for piece in segments]
            slots, lengths = (torch.tensor(one) for one in zip(*owners, strict=True))
            self._owners = slots.repeat_interleave(lengths)
        self._masks = tuple(self._mask_of(piece) if piece.start and not self._is_short else None for piece in segments)

    def begin_decode(self, positions: torch.Tensor, lengths: Sequence[int]) -> None:
        """The next pass reads one token a row, for the slots 0..R-1, at `positions` (R); `lengths` count it too."""
        rows = torch.arange(positions.shape[0], device=positions.device)
        ends, longest = positions + 1, max(lengths)
        assert len(lengths) <= self.slots and longest <= self.columns, "no room"
        if self._processor is not None:
            self._decode = _Decode(rows, positions, ends, longest, ())
            return
        parts = []
        # Many small launches cost a graphics card more than the columns that they save.
        size = NEIGHBOURS if positions.device.type == "cpu" else len(lengths)
        for begin in range(0, len(lengths), size):
            part = slice(begin, begin + size)
            most, mask = max(lengths[part]), None
            if min(lengths[part]) != most:
                columns = torch.arange(most, device=positions.device)
                mask = self._additive(columns > positions[part, None])[:, None, None]
            parts.append(_Neighbours(part, most, mask))
        self._decode = _Decode(rows, positions, ends, longest, tuple(parts))

    def _mask_of(self, piece: Segment) -> torch.Tensor:
        """What a piece that begins behind other positions may see (T, C)."""
        device, end = self._keys[0].device, piece.start + piece.length
        rows = torch.arange(piece.start, end, device=device)[:, None]
        return self._additive(torch.arange(end, device=device) > rows)

    def _additive(self, hidden: torch.Tensor) -> torch.Tensor:
        """What is added to scores: made once a pass, and not by every layer's attention of a boolean one."""
        dtype = self._keys[0].dtype if self._keys else self._dtype
        mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
        return mask.masked_fill_(hidden, float("-inf"))

    @torch.inference_mode()
    def reorder(self, slots: Sequence[int], length: int) -> None:
        """Give slot 0, 1, ... the first positions of `slots`, each of which is named once."""
        order = torch.tensor(slots, device=self._keys[0].device)
        for store in (self._keys, self._values):
            for layer in store:
                layer[: len(slots), :, :length] = layer[order, :, :length]

    @torch.inference_mode()
    def copy_slot(self, source: int, target: int, length: int) -> None:
        """Give `target` the first positions of `source`."""
        for store in (self._keys, self._values):
            for layer in store:
                layer[target, :, :length] = layer[source, :, :length]

    @torch.inference_mode()
    def saved(self, slot: int, length: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """A copy of the first positions of a slot, for `put`."""
        return [
            (keys[slot, :, :length].clone(), values[slot, :, :length].clone())
            for keys, values in zip(self._keys, self._values, strict=True)
        ]

    @torch.inference_mode()
    def put(self, slot: int, saved: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Begin `slot` with what `saved` gave."""
        for layer, (keys, values) in enumerate(saved):
            self._keys[layer][slot, :, : keys.shape[1]] = keys
            self._values[layer][slot, :, : values.shape[1]] = values

    def read(self, layer: int, mixed: torch.Tensor, turns: Turns) -> torch.Tensor:
        """See `llama.Attend`."""
        if self._processor is not None:
            return self._read_by(self._processor, layer, mixed, turns)
        queries, keys, values = (one.to(self._dtype) for one in turns.split(mixed))
        if self._decode is not None:
            self.update(keys[:, :, None], values[:, :, None], layer)
            return self._attend(layer, queries[:, :, None], None, None).flatten(1)
        self.update(keys.transpose(0, 1)[None], values.transpose(0, 1)[None], layer)
        return self._attend(layer, queries.transpose(0, 1)[None], None, None)[0].flatten(1)

    def _read_by(self, processor: Processor, layer: int, mixed: torch.Tensor, turns: Turns) -> torch.Tensor:
        shape = processor.shape
        if layer == len(self._keys):
            for store in (self._keys, self._values):
                store.append(self._room(mixed, self.slots, shape.groups, self.columns, shape.head))
        keys, values, now = self._keys[layer], self._values[layer], self._decode
        owners = self._owners if now is None else now.rows
        queries = processor.turn(mixed, turns.table, turns.positions, owners, keys, values)
        if now is not None:
            return processor.attend(queries, keys, values, owners, now.ends, now.longest).flatten(1)
        if self._is_short:
            longest = max(piece.start + piece.length for piece in self._segments)
            ends = turns.positions + 1
            return processor.attend(queries, keys, values, owners, ends, longest).flatten(1)
        return self._attend(layer, queries.transpose(0, 1)[None], None, None)[0].flatten(1)

    # What transformers calls

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Nothing: positions are always given."""
        return 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep the new keys and values, (1, K, N, D) or (R, K, 1, D), in their slots."""
        if layer_idx == len(self._keys):
            for store, states in ((self._keys, key_states), (self._values, value_states)):
                store.append(self._room(states, self.slots, states.shape[1], self.columns, states.shape[3]))
        keys, values = self._keys[layer_idx], self._values[layer_idx]
        if (now := self._decode) is not None:
            _, groups, columns, _ = keys.shape
            first = now.rows[:, None] * groups + torch.arange(groups, device=keys.device)
            at = (first * columns + now.positions[:, None]).flatten()  # (R*K)
            for kept, states in ((keys, key_states), (values, value_states)):
                kept.view(-1, kept.shape[3]).index_copy_(0, at, states.reshape(-1, kept.shape[3]))
            return key_states, value_states
        offset = 0
        for piece in self._segments:
            here, there = slice(offset, offset + piece.length), slice(piece.start, piece.start + piece.length)
            keys[piece.slot, :, there] = key_states[0, :, here]
            values[piece.slot, :, there] = value_states[0, :, here]
            offset += piece.length
        return key_states, value_states

    def attend(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        sliding_window: int | None = None,
        **kwargs: object,
    ) -> tuple[torch.Tensor, None]:
        """The attention of transformers' interface: queries (B, H, T, D) to (B, T, H, D)."""
        layer = module.layer_idx
        assert isinstance(layer, int)
        return self._attend(layer, query, scaling, sliding_window), None

    def _attend(self, layer: int, query: torch.Tensor, scaling: float | None, window: int | None) -> torch.Tensor:
        """Queries (B, H, T, D) to (B, T, H, D)."""
        keys, values = self._keys[layer], self._values[layer]
        if self._decode is not None:
            now = self._decode
            found = [_attend_rows(now, part, query, keys, values, scaling, window) for part in now.parts]
            return torch.cat(found) if len(found) > 1 else found[0]
        pieces, offset = [], 0
        for piece, mask in zip(self._segments, self._masks, strict=True):
            part = query[:, :, offset : offset + piece.length]
            pieces.append(_attend_piece(piece, mask, part, keys, values, scaling, window))
            offset += piece.length
        return torch.cat(pieces, dim=2).transpose(1, 2)


def _attend_rows(
    now: _Decode,
    part: _Neighbours,
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    """Queries (R, H, 1, D) of all rows; for those of `part`, (R, 1, H, D)."""
    query, keys, values = query[part.rows], keys[part.rows], values[part.rows]
    rows, heads, _, width = query.shape
    keys, values = keys[:rows, :, : part.longest], values[:rows, :, : part.longest]
    groups, mask = keys.shape[1], part.mask
    if window is not None and part.longest > window:
        columns = torch.arange(part.longest, device=query.device)
        far = (columns <= now.positions[part.rows, None] - window)[:, None, None]
        mask = torch.zeros(far.shape, dtype=query.dtype, device=far.device) if mask is None else mask
        mask = mask.masked_fill(far, float("-inf"))
    # The G heads that share keys stand where the time would be: nothing is repeated in memory.
    grouped = query.reshape(rows, groups, heads // groups, width)
    if mask is not None:
        mask = mask.expand(rows, 1, heads // groups, part.longest)
    out = scaled_dot_product_attention(grouped, keys, values, attn_mask=mask, scale=scaling)
    return out.reshape(rows, 1, heads, out.shape[-1])


def _attend_piece(
    piece: Segment,
    mask: torch.Tensor | None,
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    """Queries (1, H, T, D) of one piece over its own slot, (1, H, T, D)."""
    end = piece.start + piece.length
    groups = query.shape[1] // keys.shape[1]
    key, value = (store[piece.slot, :, :end].repeat_interleave(groups, dim=0)[None] for store in (keys, values))
    if piece.start == 0 and (window is None or end <= window):
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
    if mask is None or (window is not None and end > window):
        behind = torch.arange(piece.start, end, device=query.device)[:, None] - torch.arange(end, device=query.device)
        mask = behind >= 0
        if window is not None:
            mask &= behind < window
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)
