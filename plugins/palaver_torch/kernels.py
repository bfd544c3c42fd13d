"""What a pass does between two matrix products, each in one kernel, in Triton: for many rows and for prompts.

Imported only where Triton is. Sums are in float32, products of float32 are not shortened. Attention reads each slot as
far as its text goes and no further: a short text beside a long one costs what a short text costs.

Letters: see `card`; P heads that share keys.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from palaver_torch.card import QUERIES, Kept, Reading
from palaver_torch.llama import Llama, Shape

triton: Any = import_module("triton")  # has no types, and is not where there is no graphics card
tl: Any = import_module("triton.language")
if TYPE_CHECKING:
    constexpr: TypeAlias = int
    tensor: TypeAlias = Any
else:  # Triton reads the annotations: of these names it looks for the first and can look up both
    constexpr, tensor = tl.constexpr, tl.tensor

_COLUMNS, _WARPS = 64, 4
"""Columns that a step's attention looks at at a time, and the warps that do it."""
_BUSY = 132
"""Programs from which on a large card has something to do everywhere: its multiprocessors."""


def jit(function: Callable[..., None]) -> Any:
    """The function as a kernel."""
    return triton.jit(function)


@jit
def _norm(
    x: tensor,
    new: tensor,
    scale: tensor,
    out: tensor,
    epsilon: float,
    WIDTH: constexpr,
    BLOCK: constexpr,
    ADDS: constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * WIDTH
    at = tl.arange(0, BLOCK)
    inside = at < WIDTH
    value = tl.load(x + row + at, mask=inside, other=0.0)
    if ADDS:
        value += tl.load(new + row + at, mask=inside, other=0.0).to(tl.float32)
        tl.store(x + row + at, value, mask=inside)
    spread = tl.rsqrt(tl.sum(value * value, axis=0) / WIDTH + epsilon)
    gain = tl.load(scale + at, mask=inside, other=0.0)
    tl.store(out + row + at, (value * spread * gain).to(out.dtype.element_ty), mask=inside)


@jit
def _turn(
    mixed: tensor,
    turns: tensor,
    slots: tensor,
    positions: tensor,
    queries: tensor,
    keys: tensor,
    values: tensor,
    columns: int,
    HEADS: constexpr,
    GROUPS: constexpr,
    HALF: constexpr,
    PARTS: constexpr,
    BLOCK: constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    slot, position = tl.load(slots + row), tl.load(positions + row)
    head, pair = tl.arange(0, PARTS)[:, None], tl.arange(0, BLOCK)[None, :]
    inside = (head < HEADS + 2 * GROUPS) & (pair < HALF)
    source = mixed + (row * (HEADS + 2 * GROUPS) + head) * 2 * HALF + 2 * pair
    first = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(source + 1, mask=inside, other=0.0).to(tl.float32)
    turn = turns + (position * HALF + pair) * 2
    turning = (head < HEADS + GROUPS) & (pair < HALF)
    across, along = tl.load(turn, mask=turning, other=1.0), tl.load(turn + 1, mask=turning, other=0.0)
    first, second = first * across - second * along, first * along + second * across
    both = tl.interleave(first, second).to(queries.dtype.element_ty)
    head, at = tl.arange(0, PARTS)[:, None], tl.arange(0, 2 * BLOCK)[None, :]
    within = at < 2 * HALF
    tl.store(queries + (row * HEADS + head) * 2 * HALF + at, both, mask=(head < HEADS) & within)
    place = ((slot * GROUPS + head - HEADS) * columns + position) * 2 * HALF + at
    tl.store(keys + place, both, mask=(head >= HEADS) & (head < HEADS + GROUPS) & within)
    place = ((slot * GROUPS + head - HEADS - GROUPS) * columns + position) * 2 * HALF + at
    tl.store(values + place, both, mask=(head >= HEADS + GROUPS) & (head < HEADS + 2 * GROUPS) & within)


@jit
def _attend(
    queries: tensor,
    keys: tensor,
    values: tensor,
    slots: tensor,
    positions: tensor,
    out: tensor,
    tops: tensor,
    totals: tensor,
    columns: int,
    scaling: float,
    GROUPS: constexpr,
    SHARING: constexpr,
    WIDTH: constexpr,
    WIDE: constexpr,
    BLOCK: constexpr,
    SPLITS: constexpr,
) -> None:
    """One row and key head, a part of the columns: (N, H*W), or with more than one part sums not yet divided."""
    row, group, split = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    slot, length = tl.load(slots + row), tl.load(positions + row) + 1
    part = tl.cdiv(tl.cdiv(length, BLOCK), SPLITS) * BLOCK
    begin = split * part
    end = tl.minimum(begin + part, length)
    # A product of matrices takes sixteen rows at least: those beyond the heads that share keys are nobody's.
    shared, width = tl.arange(0, 16), tl.arange(0, WIDE)
    head = group * SHARING + shared
    is_query = (shared[:, None] < SHARING) & (width[None, :] < WIDTH)
    query = tl.load(
        queries + (row * GROUPS * SHARING + head[:, None]) * WIDTH + width[None, :], mask=is_query, other=0.0
    )
    store = (slot * GROUPS + group) * columns * WIDTH
    top = tl.full([16], float("-inf"), tl.float32)
    total = tl.zeros([16], tl.float32)
    found = tl.zeros([16, WIDE], tl.float32)
    for first in range(begin, end, BLOCK):
        column = first + tl.arange(0, BLOCK)
        here = (column[:, None] < end) & (width[None, :] < WIDTH)
        there = store + column[:, None] * WIDTH + width[None, :]
        key = tl.load(keys + there, mask=here, other=0.0)
        value = tl.load(values + there, mask=here, other=0.0)
        score = tl.dot(query, tl.trans(key), input_precision="ieee") * scaling
        score = tl.where(column[None, :] < end, score, float("-inf"))
        higher = tl.maximum(top, tl.max(score, axis=1))
        share = tl.exp(score - higher[:, None])
        shrunk = tl.exp(top - higher)
        total = total * shrunk + tl.sum(share, axis=1)
        found = found * shrunk[:, None] + tl.dot(share.to(value.dtype), value, input_precision="ieee")
        top = higher
    if SPLITS == 1:
        target = out + (row * GROUPS * SHARING + head[:, None]) * WIDTH + width[None, :]
        tl.store(target, (found / total[:, None]).to(out.dtype.element_ty), mask=is_query)
    else:
        place = (row * GROUPS * SHARING + head) * SPLITS + split
        tl.store(out + place[:, None] * WIDTH + width[None, :], found, mask=is_query)
        tl.store(tops + place, top, mask=shared < SHARING)
        tl.store(totals + place, total, mask=shared < SHARING)


@jit
def _merge(
    found: tensor, tops: tensor, totals: tensor, out: tensor, WIDTH: constexpr, WIDE: constexpr, SPLITS: constexpr
) -> None:
    """The parts of one row and head, together."""
    at = tl.program_id(0).to(tl.int64)
    split, width = tl.arange(0, SPLITS), tl.arange(0, WIDE)
    top, total = tl.load(tops + at * SPLITS + split), tl.load(totals + at * SPLITS + split)
    weight = tl.exp(top - tl.max(top, axis=0))
    place = found + (at * SPLITS + split[:, None]) * WIDTH + width[None, :]
    parts = tl.load(place, mask=(width[None, :] < WIDTH) & (split[:, None] >= 0), other=0.0)
    whole = tl.sum(parts * weight[:, None], axis=0) / tl.sum(total * weight, axis=0)
    tl.store(out + at * WIDTH + width, whole.to(out.dtype.element_ty), mask=width < WIDTH)


@jit
def _attend_block(
    queries: tensor,
    keys: tensor,
    values: tensor,
    blocks: tensor,
    out: tensor,
    columns: int,
    scaling: float,
    HEADS: constexpr,
    SHARING: constexpr,
    WIDTH: constexpr,
    WIDE: constexpr,
    ROWS: constexpr,
    BLOCK: constexpr,
) -> None:
    """A block of a prompt's queries and one head, over all of its text so far (Dao et al. 2022)."""
    block, head = tl.program_id(0) * 4, tl.program_id(1)
    offset, count = tl.load(blocks + block).to(tl.int64), tl.load(blocks + block + 1)
    slot, start = tl.load(blocks + block + 2).to(tl.int64), tl.load(blocks + block + 3)
    row, width = tl.arange(0, ROWS), tl.arange(0, WIDE)
    is_query = (row[:, None] < count) & (width[None, :] < WIDTH)
    place = ((offset + row[:, None]) * HEADS + head) * WIDTH + width[None, :]
    query = tl.load(queries + place, mask=is_query, other=0.0)
    store = (slot * (HEADS // SHARING) + head // SHARING) * columns * WIDTH
    top = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    found = tl.zeros([ROWS, WIDE], tl.float32)
    for first in range(0, start + count, BLOCK):
        column = first + tl.arange(0, BLOCK)
        here = (column[:, None] < start + count) & (width[None, :] < WIDTH)
        there = store + column[:, None] * WIDTH + width[None, :]
        key = tl.load(keys + there, mask=here, other=0.0)
        value = tl.load(values + there, mask=here, other=0.0)
        score = tl.dot(query, tl.trans(key), input_precision="ieee") * scaling
        score = tl.where(column[None, :] <= start + row[:, None], score, float("-inf"))
        higher = tl.maximum(top, tl.max(score, axis=1))
        share = tl.exp(score - higher[:, None])
        shrunk = tl.exp(top - higher)
        total = total * shrunk + tl.sum(share, axis=1)
        found = found * shrunk[:, None] + tl.dot(share.to(value.dtype), value, input_precision="ieee")
        top = higher
    tl.store(out + place, (found / total[:, None]).to(out.dtype.element_ty), mask=is_query)


@jit
def _gate(both: tensor, out: tensor, width: int, BLOCK: constexpr) -> None:
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = at < width
    gate = tl.load(both + row * 2 * width + at, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(both + row * 2 * width + width + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + row * width + at, (gate / (1 + tl.exp(-gate)) * up).to(out.dtype.element_ty), mask=inside)


class Fused:
    """See `card.Operations`."""

    def norm(self, x: torch.Tensor, new: torch.Tensor | None, scale: torch.Tensor, shape: Shape) -> torch.Tensor:
        rows, width = x.shape
        out = torch.empty_like(x, dtype=shape.dtype)
        block, adds = power(width), new is not None
        _norm[(rows,)](x, new if adds else x, scale, out, shape.epsilon, width, block, adds, num_warps=warps(block))
        return out

    def turn(
        self, mixed: torch.Tensor, turns: torch.Tensor, at: Reading, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        (_, groups, columns, width), rows = keys.shape, mixed.shape[0]
        parts = mixed.shape[1] // width
        heads = parts - 2 * groups
        queries = torch.empty(rows, heads, width, dtype=mixed.dtype, device=mixed.device)
        numbers = torch.view_as_real(turns)
        sizes = (heads, groups, width // 2, power(parts), power(width // 2))
        where = (at.slots, at.positions, queries, keys, values, columns)
        _turn[(rows,)](mixed, numbers, *where, *sizes, num_warps=warps(power(parts) * power(width)))
        return queries

    def attend(self, queries: torch.Tensor, at: Reading, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        rows, heads, width = queries.shape
        groups, columns = keys.shape[1:3]
        sharing, scaling = heads // groups, width**-0.5
        out = torch.empty(rows, heads * width, dtype=queries.dtype, device=queries.device)
        if at.blocks is not None:
            sizes = (heads, sharing, width, power(width), QUERIES, 64)
            grid = (len(at.blocks), heads)
            _attend_block[grid](queries, keys, values, at.blocks, out, columns, scaling, *sizes, num_warps=4)
            return out
        parts = attended(queries, at, keys, values, splits_of(rows * groups), out)
        if parts is not None:
            _merge[(rows * heads,)](*parts, out, width, power(width), parts[1].shape[2], num_warps=1)
        return out

    def gate(self, both: torch.Tensor) -> torch.Tensor:
        rows, width = both.shape[0], both.shape[1] // 2
        out = torch.empty(rows, width, dtype=both.dtype, device=both.device)
        _gate[(rows, triton.cdiv(width, 1024))](both, out, width, 1024, num_warps=4)
        return out

    def step(self, model: Llama, tokens: torch.Tensor, at: Reading, kept: Kept) -> torch.Tensor | None:
        from palaver_torch import rowkernels

        return rowkernels.step(model, tokens, at, kept) if tokens.shape[0] <= rowkernels.MOST else None


def attended(
    queries: torch.Tensor, at: Reading, keys: torch.Tensor, values: torch.Tensor, splits: int, out: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
    """A step's attention into `out`; with several parts a text, the sums, maxima and totals of each (N, H, parts)."""
    rows, heads, width = queries.shape
    groups, columns = keys.shape[1:3]
    found = tops = totals = out
    if splits > 1:
        found = torch.empty(rows, heads, splits, width, device=queries.device)
        tops, totals = torch.empty(2, rows, heads, splits, device=queries.device)
    sizes = (groups, heads // groups, width, power(width), _COLUMNS, splits)
    where = (keys, values, at.slots, at.positions, found, tops, totals, columns, width**-0.5)
    _attend[(rows, groups, splits)](queries, *where, *sizes, num_warps=_WARPS if splits == 1 else 2)
    return (found, tops, totals) if splits > 1 else None


def splits_of(programs: int) -> int:
    """Parts that each text's columns are cut into, so that few texts keep a large card busy too."""
    return 1 if programs >= _BUSY else 4 if 4 * programs >= _BUSY else 8


def power(number: int) -> int:
    """The next power of two, which Triton's blocks must be."""
    return 1 << max(0, number - 1).bit_length()


def warps(block: int) -> int:
    """Of 32 threads each, for so many numbers at once."""
    return max(1, min(8, block // 256))
