"""Keys and values of beams that share their past: a beam that changes parents moves a mask, never the keys.

All beams of a text write their keys side by side; which of them a beam may look at is a mask of its ancestors. The
source text's keys are there once a text, not once a beam.

Letters: B texts, K beams of each, H heads, T steps so far, S positions of the source, D width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import Cache, EncoderDecoderCache


class _Own(Cache):
    """What the beams have written: columns t*K + k of (B, H, T*K, D) a layer."""

    def __init__(self, beams: int) -> None:
        super().__init__(layers=[])
        self.beams, self.time = beams, 0
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []
        self.stub = torch.empty(0)
        """Stands for the keys between `update` and `attend`: only its length is looked at."""

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.time

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, heads, _, width = key_states.shape
        beams, begin = self.beams, self.time * self.beams
        if layer_idx == len(self.keys):
            for store in (self.keys, self.values):
                store.append(key_states.new_empty(rows // beams, heads, 32 * beams, width))
        for store, states in ((self.keys, key_states), (self.values, value_states)):
            kept = store[layer_idx]
            if begin == kept.shape[2]:
                kept = store[layer_idx] = torch.cat([kept, torch.empty_like(kept)], dim=2)
            kept[:, :, begin : begin + beams] = states.view(rows // beams, beams, heads, width).transpose(1, 2)
        if self.stub.shape[-2:] != (self.time + 1, 1):
            self.stub = key_states.new_empty(1).expand(1, 1, self.time + 1, 1)
        return self.stub, self.stub


class _SourceLayer:
    """The source's keys and values in one layer, (B, H, S, D)."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.keys, self.values = keys, values


class _Source(Cache):
    def __init__(self) -> None:
        super().__init__(layers=[])
        self.kept: list[_SourceLayer] = []
        self.layers = cast("list[Any]", self.kept)  # where transformers looks for them

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.kept.append(_SourceLayer(key_states, value_states))
        return key_states, value_states


class BeamCache(EncoderDecoderCache):
    """The cache of one group of texts that are decoded together."""

    def __init__(self, texts: int, beams: int, device: torch.device) -> None:
        self.own, self.source = _Own(beams), _Source()
        super().__init__(self.own, self.source)
        self._eye = torch.eye(beams, dtype=torch.bool, device=device)
        self.visible = self._eye.expand(texts, beams, beams).clone()
        """Columns that each beam may look at (B, K, T*K), the step that is being read included."""

    def step(self, parents: torch.Tensor) -> None:
        """After a pass: beam k goes on from beam `parents[b, k]` (B, K)."""
        self.own.time += 1
        texts, beams = parents.shape
        chosen = self.visible.gather(1, parents[:, :, None].expand(-1, -1, self.visible.shape[2]))
        self.visible = torch.cat([chosen, self._eye.expand(texts, beams, beams)], dim=2)

    def keep(self, texts: Sequence[int]) -> None:
        """Go on with these texts only, in this order: most of them stay where they are, and cost nothing."""
        moved = [(to, at) for to, at in enumerate(texts) if to != at]
        index = torch.tensor(texts, dtype=torch.long, device=self.visible.device)
        self.visible = self.visible[index]
        stores = [(store, self.own.time * self.own.beams) for store in (self.own.keys, self.own.values)]
        for store, used in stores:
            for layer, one in enumerate(store):
                store[layer] = _kept(one, moved, len(texts), used)
        for source in self.source.kept:
            source.keys, source.values = (
                _kept(one, moved, len(texts), one.shape[2]) for one in (source.keys, source.values)
            )


def _kept(store: torch.Tensor, moved: Sequence[tuple[int, int]], count: int, used: int) -> torch.Tensor:
    """The first `count` texts of (B, H, C, D) after moves within; columns from `used` on hold nothing."""
    for to, at in moved:
        store[to, :, :used] = store[at, :, :used]
    return store[:count]


class BeamAttention:
    """The attention function of a sequence-to-sequence model, encoder and decoder."""

    def __init__(self) -> None:
        self.cache: BeamCache | None = None

    def attend(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        position_bias: torch.Tensor | None = None,
        **kwargs: object,
    ) -> tuple[torch.Tensor, None]:
        """The attention of transformers' interface: queries (B*K, H, T, D) to (B*K, T, H, D)."""
        rows, heads, time, width = query.shape
        cache, mask = self.cache, attention_mask
        is_own = cache is not None and key is cache.own.stub
        if cache is not None and is_own:
            layer, beams = module.layer_idx, cache.own.beams
            assert isinstance(layer, int)
            columns = (cache.own.time + 1) * beams
            key, value = cache.own.keys[layer][:, :, :columns], cache.own.values[layer][:, :, :columns]
            mask = cache.visible[:, None] if beams > 1 else None
            if position_bias is not None:  # (1, H, 1, T): every beam of a step is as far away
                bias = position_bias.repeat_interleave(beams, dim=-1)
                mask = bias if mask is None else bias.masked_fill(~mask, float("-inf"))
        elif position_bias is not None:
            mask = position_bias if mask is None else position_bias + mask
        texts = key.shape[0]
        if rows != texts or is_own:  # the beams of a text stand where the time would be
            query = query.view(texts, rows // texts, heads, width).transpose(1, 2)
        if mask is not None:
            mask = mask.expand(texts, mask.shape[1], query.shape[2], key.shape[2])
        out = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling).transpose(1, 2)
        return out.reshape(rows, time, heads, out.shape[-1]), None
