"""One step of decoding with a row or a few, in five kernels a layer: a stream waits for launches, not for arithmetic.

A product of a matrix with one vector reads the matrix once and computes little: what surrounds it (the norm before, the
rotation, the gate, the sum after) is computed along the way, by each program once more where need be.

Letters: see `card`; K numbers in, M numbers out.
"""

from __future__ import annotations

import torch

from palaver_torch.card import Kept, Reading, matrix
from palaver_torch.kernels import attended, constexpr, jit, power, splits_of, tensor, tl, triton
from palaver_torch.llama import Dense, Llama

MOST = 4
"""Rows; with more of them a product of two matrices is faster."""
_WIDE = 1024
"""Numbers of the vector at a time."""
_PAIRS, _ROWS, _WARPS = 2, 2, 4
"""Pairs of rows, and rows, of a matrix that a program multiplies with, and its warps."""


@jit
def _mix(
    x: tensor,
    scale: tensor,
    weight: tensor,
    bias: tensor,
    turns: tensor,
    slots: tensor,
    positions: tensor,
    queries: tensor,
    keys: tensor,
    values: tensor,
    columns: int,
    epsilon: float,
    IN: constexpr,
    WIDE: constexpr,
    HEADS: constexpr,
    GROUPS: constexpr,
    WIDTH: constexpr,
    PAIRS: constexpr,
    HAS_BIAS: constexpr,
) -> None:
    """Norm, product, rotation: the query of a row, its key and value in their slot; pairs stand side by side."""
    row = tl.program_id(1).to(tl.int64)
    pair = tl.program_id(0) * PAIRS + tl.arange(0, PAIRS)
    there = pair < (HEADS + 2 * GROUPS) * WIDTH // 2
    first, second = tl.zeros([PAIRS], tl.float32), tl.zeros([PAIRS], tl.float32)
    squares = 0.0
    for begin in tl.static_range(0, IN, WIDE):
        at = begin + tl.arange(0, WIDE)
        value = tl.load(x + row * IN + at, mask=at < IN, other=0.0)
        squares += tl.sum(value * value, axis=0)
        value = value * tl.load(scale + at, mask=at < IN, other=0.0)
        inside = there[:, None] & (at[None, :] < IN)
        place = weight + pair[:, None] * 2 * IN + at[None, :]
        first += tl.sum(tl.load(place, mask=inside, other=0.0).to(tl.float32) * value[None, :], axis=1)
        second += tl.sum(tl.load(place + IN, mask=inside, other=0.0).to(tl.float32) * value[None, :], axis=1)
    spread = tl.rsqrt(squares / IN + epsilon)
    first, second = first * spread, second * spread
    if HAS_BIAS:
        first += tl.load(bias + 2 * pair, mask=there, other=0.0).to(tl.float32)
        second += tl.load(bias + 2 * pair + 1, mask=there, other=0.0).to(tl.float32)
    slot, position = tl.load(slots + row), tl.load(positions + row)
    head, within = pair * 2 // WIDTH, pair % (WIDTH // 2)
    turning = there & (head < HEADS + GROUPS)
    turn = turns + (position * (WIDTH // 2) + within) * 2
    across, along = tl.load(turn, mask=turning, other=1.0), tl.load(turn + 1, mask=turning, other=0.0)
    first, second = first * across - second * along, first * along + second * across
    kind = queries.dtype.element_ty
    query = queries + row * HEADS * WIDTH + 2 * pair
    tl.store(query, first.to(kind), mask=head < HEADS)
    tl.store(query + 1, second.to(kind), mask=head < HEADS)
    key = keys + ((slot * GROUPS + head - HEADS) * columns + position) * WIDTH + 2 * within
    is_key = turning & (head >= HEADS)
    tl.store(key, first.to(kind), mask=is_key)
    tl.store(key + 1, second.to(kind), mask=is_key)
    value_at = values + ((slot * GROUPS + head - HEADS - GROUPS) * columns + position) * WIDTH + 2 * within
    is_value = there & (head >= HEADS + GROUPS)
    tl.store(value_at, first.to(kind), mask=is_value)
    tl.store(value_at + 1, second.to(kind), mask=is_value)


@jit
def _normed(
    x: tensor,
    scale: tensor,
    weight: tensor,
    out: tensor,
    epsilon: float,
    IN: constexpr,
    OUT: constexpr,
    WIDE: constexpr,
    BLOCK: constexpr,
    GATES: constexpr,
) -> None:
    """Norm and product (M); with `GATES` SiLU of the first M rows times the second M rows."""
    row = tl.program_id(1).to(tl.int64)
    which = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = which < OUT
    total, other = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    squares = 0.0
    for begin in tl.static_range(0, IN, WIDE):
        at = begin + tl.arange(0, WIDE)
        value = tl.load(x + row * IN + at, mask=at < IN, other=0.0)
        squares += tl.sum(value * value, axis=0)
        value = value * tl.load(scale + at, mask=at < IN, other=0.0)
        inside = there[:, None] & (at[None, :] < IN)
        place = weight + which[:, None] * IN + at[None, :]
        total += tl.sum(tl.load(place, mask=inside, other=0.0).to(tl.float32) * value[None, :], axis=1)
        if GATES:
            place += OUT * IN
            other += tl.sum(tl.load(place, mask=inside, other=0.0).to(tl.float32) * value[None, :], axis=1)
    spread = tl.rsqrt(squares / IN + epsilon)
    total = total * spread
    if GATES:
        total = total / (1 + tl.exp(-total)) * other * spread
    tl.store(out + row * OUT + which, total.to(out.dtype.element_ty), mask=there)


@jit
def _added(
    given: tensor,
    tops: tensor,
    totals: tensor,
    weight: tensor,
    bias: tensor,
    x: tensor,
    IN: constexpr,
    OUT: constexpr,
    WIDE: constexpr,
    BLOCK: constexpr,
    WIDTH: constexpr,
    SPLITS: constexpr,
    HAS_BIAS: constexpr,
) -> None:
    """x (M) plus the product; with `SPLITS` the vector comes in parts of attention, which are put together first."""
    row = tl.program_id(1).to(tl.int64)
    which = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = which < OUT
    total = tl.zeros([BLOCK], tl.float32)
    for begin in tl.static_range(0, IN, WIDE):
        at = begin + tl.arange(0, WIDE)
        if SPLITS == 0:
            value = tl.load(given + row * IN + at, mask=at < IN, other=0.0).to(tl.float32)
        else:
            place = (row * (IN // WIDTH) + at // WIDTH) * SPLITS
            top = tl.load(tops + place, mask=at < IN, other=0.0)
            for split in tl.static_range(1, SPLITS):
                top = tl.maximum(top, tl.load(tops + place + split, mask=at < IN, other=0.0))
            value, whole = tl.zeros([WIDE], tl.float32), tl.zeros([WIDE], tl.float32)
            for split in tl.static_range(0, SPLITS):
                share = tl.exp(tl.load(tops + place + split, mask=at < IN, other=0.0) - top)
                whole += share * tl.load(totals + place + split, mask=at < IN, other=1.0)
                value += share * tl.load(given + (place + split) * WIDTH + at % WIDTH, mask=at < IN, other=0.0)
            value = value / whole
        inside = there[:, None] & (at[None, :] < IN)
        matrix_part = tl.load(weight + which[:, None] * IN + at[None, :], mask=inside, other=0.0).to(tl.float32)
        total += tl.sum(matrix_part * value[None, :], axis=1)
    if HAS_BIAS:
        total += tl.load(bias + which, mask=there, other=0.0).to(tl.float32)
    target = x + row * OUT + which
    tl.store(target, tl.load(target, mask=there, other=0.0) + total, mask=there)


def step(model: Llama, tokens: torch.Tensor, at: Reading, kept: Kept) -> torch.Tensor:
    """See `card.Operations.step`: at most `MOST` rows."""
    shape, rows, device = model.shape, tokens.shape[0], tokens.device
    width, groups = shape.head, shape.groups
    splits = splits_of(rows * groups)
    turns = torch.view_as_real(model.turns)
    queries = torch.empty(rows, shape.heads, width, dtype=shape.dtype, device=device)
    attention = torch.empty(rows, shape.heads * width, dtype=shape.dtype, device=device)
    x = model.embed(tokens)
    for layer, keys, values in zip(model.layers, kept.keys, kept.values, strict=True):
        mix, gate = matrix(layer.mix), matrix(layer.gate)
        pairs = mix.weight.shape[0] // 2
        sizes = (shape.width, wide(shape.width), shape.heads, groups, width, _PAIRS, mix.bias is not None)
        bias = mix.weight if mix.bias is None else mix.bias
        where = (turns, at.slots, at.positions, queries, keys, values, kept.columns, shape.epsilon)
        grid = (triton.cdiv(pairs, _PAIRS), rows)
        _mix[grid](x, layer.before, mix.weight, bias, *where, *sizes, num_warps=_WARPS)
        parts = attended(queries, at, keys, values, splits, attention)
        _add(x, layer.out, attention if parts is None else parts, shape.head)
        between = gate.weight.shape[0] // 2
        gated = torch.empty(rows, between, dtype=shape.dtype, device=device)
        _norm_product(x, layer.after, gate.weight, gated, shape.epsilon, is_gated=True)
        _add(x, layer.down, gated, shape.head)
    weight = matrix(model.head).weight
    logits = torch.empty(rows, weight.shape[0], dtype=shape.dtype, device=device)
    _norm_product(x, model.norm, weight, logits, shape.epsilon, is_gated=False)
    return logits


def _norm_product(
    x: torch.Tensor, scale: torch.Tensor, weight: torch.Tensor, out: torch.Tensor, epsilon: float, *, is_gated: bool
) -> None:
    rows, count = out.shape
    block = _ROWS if count < 4096 else 16
    sizes = (x.shape[1], count, wide(x.shape[1]), block, is_gated)
    _normed[(triton.cdiv(count, block), rows)](x, scale, weight, out, epsilon, *sizes, num_warps=_WARPS)


def _add(
    x: torch.Tensor, product: object, given: torch.Tensor | tuple[torch.Tensor, torch.Tensor, torch.Tensor], head: int
) -> None:
    found: Dense = matrix(product)
    parts = (given, given, given) if isinstance(given, torch.Tensor) else given
    splits = 0 if isinstance(given, torch.Tensor) else parts[1].shape[2]
    bias = found.weight if found.bias is None else found.bias
    out, into = found.weight.shape
    sizes = (into, out, wide(into), _ROWS, head, splits, found.bias is not None)
    _added[(triton.cdiv(out, _ROWS), x.shape[0])](*parts, found.weight, bias, x, *sizes, num_warps=_WARPS)


def wide(numbers: int) -> int:
    """Of a vector's numbers, so many at a time."""
    return min(_WIDE, power(numbers))
