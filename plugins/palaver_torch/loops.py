"""The loops of `processor`, written for a shape of model. Rows: see `vectors`; letters: see `processor`.

`size` is that of a number in keys, values, queries and what products give and take: 2 (bfloat16) or 4 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llvmlite import ir

from palaver_torch.vectors import LANES, Kernel, Value, floats, long

if TYPE_CHECKING:
    from palaver_torch.llama import Shape

_REGISTERS = 12
"""Vectors of queries that are held while keys pass by."""
_AHEAD = 16
"""Keys that are fetched before they are wanted."""


def add_norm(module: ir.Module, name: str, size: int, *, grows: bool) -> None:
    """x (N, D) in float32 grows by `more` (N, D); out (N, D) is its norm times the scale (D)."""
    k = Kernel(module, name, ("x", "more", "scale", "out", "rows", "width", "epsilon"))
    b, width = k.b, k.arguments["width"]
    with k.rows(k.arguments["rows"]) as row:
        x, out = k.address("x", (row, width), size=4), k.address("out", (row, width), size=size)
        more = k.address("more", (row, width), size=size)
        squares = k.variable(floats(0.0))
        with k.through(width) as at:
            here = k.after(x, at, 4)
            value = k.vector(here, 4)
            if grows:
                value = b.fadd(value, k.vector(k.after(more, at, size), size))
                k.put(value, here, 4)
            b.store(k.multiply_add(value, value, b.load(squares)), squares)
        mean = b.fdiv(k.total(b.load(squares)), b.sitofp(width, ir.FloatType()))
        root = k.root(b.fadd(mean, k.float_of("epsilon")))
        factor = k.spread(b.fdiv(ir.FloatType()(1.0), root))
        with k.through(width) as at:
            scale = k.vector(k.after(k.arguments["scale"], at, 4), 4)
            value = b.fmul(b.fmul(k.vector(k.after(x, at, 4), 4), factor), scale)
            k.put(value, k.after(out, at, size), size)
    k.end()


def gate(module: ir.Module, size: int) -> None:
    """out (N, F) is silu(gate) times up, which lie side by side in `both` (N, 2F)."""
    k = Kernel(module, "gate", ("both", "out", "rows", "width"))
    b, width = k.b, k.arguments["width"]
    with k.rows(k.arguments["rows"]) as row:
        left, out = (
            k.address("both", (row, b.mul(width, long(2))), size=size),
            k.address("out", (row, width), size=size),
        )
        right = k.after(left, width, size)
        with k.through(width) as at:
            value = k.vector(k.after(left, at, size), size)
            below = b.fadd(k.exp(b.fneg(value)), floats(1.0))
            value = b.fmul(b.fdiv(value, below), k.vector(k.after(right, at, size), size))
            k.put(value, k.after(out, at, size), size)
    k.end()


def turn(module: ir.Module, shape: Shape, size: int) -> None:
    """Queries and keys rotate in pairs by a complex number each; keys and values go into their slots."""
    names = ("mixed", "turns", "positions", "slots", "keys", "values", "out", "rows", "columns")
    k = Kernel(module, "turn", names)
    b, given = k.b, k.arguments
    width, queries, groups = shape.head, shape.heads * shape.head, shape.groups
    with k.rows(given["rows"]) as row:
        mixed = k.address("mixed", (row, queries + 2 * groups * width), size=size)
        position, slot = (k.whole(k.address(one, (row, 1), size=8)) for one in ("positions", "slots"))
        kept = {
            (one, group): k.address(
                one,
                (slot, b.mul(given["columns"], long(groups * width))),
                (long(group), b.mul(given["columns"], long(width))),
                (position, width),
                size=size,
            )
            for one in ("keys", "values")
            for group in range(groups)
        }
        out = k.address("out", (row, queries), size=size)
        for part in range(0, width, LANES):
            angle = k.vector(k.address("turns", (position, width), (long(part), 1), size=4), 4)
            real = k.order(angle, [at - at % 2 for at in range(LANES)])
            imaginary = k.order(angle, [at - at % 2 + 1 for at in range(LANES)])
            signs = ir.Constant(imaginary.type, [ir.FloatType()(1.0 if at % 2 else -1.0) for at in range(LANES)])
            imaginary = b.fmul(imaginary, signs)
            for head in range(shape.heads + groups):
                value = k.vector(k.after(mixed, head * width + part, size), size)
                crossed = k.order(value, [at ^ 1 for at in range(LANES)])
                turned = k.multiply_add(value, real, b.fmul(crossed, imaginary))
                there = out if head < shape.heads else kept["keys", head - shape.heads]
                k.put(turned, k.after(there, part + (head * width if head < shape.heads else 0), size), size)
            for group in range(groups):
                value = k.vector(k.after(mixed, queries + (groups + group) * width + part, size), size)
                k.put(value, k.after(kept["values", group], part, size), size)
    k.end()


def heads_at_once(shape: Shape) -> int:
    """Heads of a group whose queries are held in registers together."""
    return max(1, min(shape.heads // shape.groups, _REGISTERS * LANES // shape.head))


@dataclass(frozen=True, slots=True)
class _Past:
    """What one row sees of one group of heads."""

    keys: Value
    values: Value
    count: Value
    padded: Value
    """The count up to a multiple of sixteen."""
    scores: Value
    """Room for that many numbers a head."""


def attend(module: ir.Module, shape: Shape, size: int) -> None:
    """softmax(queries keys) values over the last `window` columns of a slot before its row's end."""
    names = (
        "queries",
        "keys",
        "values",
        "slots",
        "ends",
        "scores",
        "out",
        "rows",
        "columns",
        "room",
        "window",
        "scale",
    )
    k = Kernel(module, "attend", names)
    b, given, width = k.b, k.arguments, shape.head
    at_once, together = heads_at_once(shape), shape.heads // shape.groups
    scores = k.address("scores", (k.first, b.mul(given["room"], long(at_once))), size=4)
    scale = k.spread(k.float_of("scale"))
    with k.rows(given["rows"]) as row:
        end, slot = (k.whole(k.address(one, (row, 1), size=8)) for one in ("ends", "slots"))
        begin = b.sub(end, given["window"])
        begin = b.select(b.icmp_signed("<", begin, long(0)), long(0), begin)
        count = b.sub(end, begin)
        padded = b.and_(b.add(count, long(LANES - 1)), long(-LANES))
        with k.through(shape.groups, 1) as group:
            column = b.add(b.mul(b.add(b.mul(slot, long(shape.groups)), group), given["columns"]), begin)
            keys, values = (k.address(one, (column, width), size=size) for one in ("keys", "values"))
            past = _Past(keys, values, count, padded, scores)
            first = k.address("queries", (row, shape.heads * width), (group, together * width), size=size)
            target = k.address("out", (row, shape.heads * width), (group, together * width), size=size)
            for begins in range(0, together, at_once):
                heads = range(begins, min(together, begins + at_once))
                _score(
                    k,
                    past,
                    [k.after(first, head * width, size) for head in heads],
                    width,
                    size,
                    scale,
                    fetches=begins == 0,
                )
                sums = [_exponentiate(k, past, at) for at in range(len(heads))]
                _mix(k, past, [k.after(target, head * width, size) for head in heads], sums, width, size)
    k.end()


def _score(
    k: Kernel, past: _Past, queries: Sequence[Value], width: int, size: int, scale: Value, *, fetches: bool
) -> None:
    """Products of each query with all keys; what pads them is -inf."""
    b, parts = k.b, range(0, width, LANES)
    held = [[b.fmul(scale, k.vector(k.after(one, part, size), size)) for part in parts] for one in queries]
    rows = [k.after(past.scores, b.mul(past.padded, long(at)), 4) for at in range(len(queries))]
    for one in rows:
        k.put(floats(float("-inf")), k.after(one, b.sub(past.padded, long(LANES)), 4), 4)
    with k.through(past.count, 1) as at:
        here = k.after(past.keys, b.mul(at, long(width)), size)
        if fetches:
            k.fetch(k.after(here, _AHEAD * width, size), width * size)
            k.fetch(k.after(past.values, b.mul(at, long(width)), size), width * size)
        key = [k.vector(k.after(here, part, size), size) for part in parts]
        for query, one in zip(held, rows, strict=True):
            found = b.fmul(key[0], query[0])
            for left, right in zip(key[1:], query[1:], strict=True):
                found = k.multiply_add(left, right, found)
            k.put_number(k.total(found), k.after(one, at, 4))


def _exponentiate(k: Kernel, past: _Past, head: int) -> Value:
    """The scores become e to their distance from the largest; gives one over their sum, sixteen times."""
    b = k.b
    row = k.after(past.scores, b.mul(past.padded, long(head)), 4)
    most = k.variable(floats(float("-inf")))
    with k.through(past.padded) as at:
        b.store(k.larger(b.load(most), k.vector(k.after(row, at, 4), 4)), most)
    largest = k.spread(k.largest(b.load(most)))
    total = k.variable(floats(0.0))
    with k.through(past.padded) as at:
        here = k.after(row, at, 4)
        value = k.exp(b.fsub(k.vector(here, 4), largest))
        k.put(value, here, 4)
        k.add_to(total, value)
    return k.spread(b.fdiv(ir.FloatType()(1.0), k.total(b.load(total))))


def _mix(k: Kernel, past: _Past, targets: Sequence[Value], sums: Sequence[Value], width: int, size: int) -> None:
    """The sum of the values by their weights."""
    b, parts = k.b, range(0, width, LANES)
    mixed = [[k.variable(floats(0.0)) for _ in parts] for _ in targets]
    rows = [k.after(past.scores, b.mul(past.padded, long(at)), 4) for at in range(len(targets))]
    with k.through(past.count, 1) as at:
        here = k.after(past.values, b.mul(at, long(width)), size)
        value = [k.vector(k.after(here, part, size), size) for part in parts]
        for row, places in zip(rows, mixed, strict=True):
            weight = k.spread(k.number(k.after(row, at, 4)))
            for one, place in zip(value, places, strict=True):
                b.store(k.multiply_add(weight, one, b.load(place)), place)
    for target, places, factor in zip(targets, mixed, sums, strict=True):
        for part, place in zip(parts, places, strict=True):
            k.put(b.fmul(b.load(place), factor), k.after(target, part, size), size)
