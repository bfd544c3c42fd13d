"""Write loops over arrays in LLVM's language, sixteen numbers at a time.

What PyTorch has no single operation for costs it a pass through the memory for each operation that it has. A
kernel gets its arguments as an array of 64-bit integers, addresses among them, and takes the rows first, first + step,
and so on, so that several threads can share a call. `compiled` makes machine code of it.

Numbers are kept as float32 or bfloat16 and always computed in float32; bfloat16 rounds to the nearest, ties to even.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from llvmlite import ir

LANES = 16
_LONG, _INT, _SHORT, _FLOAT, _BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(16), ir.FloatType(), ir.IntType(8)
_INTS, _SHORTS, _FLOATS = (ir.VectorType(one, LANES) for one in (_INT, _SHORT, _FLOAT))
_SUM_IN_ANY_ORDER = ("reassoc",)
_CACHE_LINE = 64

Value = Any
"""A value of LLVM: llvmlite has no types to check."""


def long(number: int) -> Value:
    """A constant for counting."""
    return ir.Constant(_LONG, number)


def floats(number: float) -> Value:
    """Sixteen times the same constant."""
    return ir.Constant(_FLOATS, [_FLOAT(struct.unpack("f", struct.pack("f", number))[0])] * LANES)


def _ints(number: int) -> Value:
    return ir.Constant(_INTS, [number] * LANES)


class Kernel:
    """A function that is being written: `kernel(arguments, first, step)`. `b` is llvmlite's builder."""

    def __init__(self, module: ir.Module, name: str, arguments: Sequence[str]) -> None:
        self._module = module
        kind = ir.FunctionType(ir.VoidType(), [_LONG.as_pointer(), _LONG, _LONG])
        self._function = ir.Function(module, kind, name)
        self._entry = self._function.append_basic_block("entry")
        self.b = ir.IRBuilder(self._entry)
        given, self.first, self.step = self._function.args
        self.arguments = {one: self.b.load(self.b.gep(given, [long(at)]), name=one) for at, one in enumerate(arguments)}

    def end(self) -> None:
        """The function is whole."""
        self.b.ret_void()

    @contextlib.contextmanager
    def loop(self, begin: Value, end: Value, step: Value) -> Iterator[Value]:
        """`for at in range(begin, end, step)`; gives `at`."""
        b, before = self.b, self.b.block
        head, body, after = (self._function.append_basic_block(one) for one in ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        at = b.phi(_LONG)
        at.add_incoming(begin, before)
        b.cbranch(b.icmp_signed("<", at, end), body, after)
        b.position_at_end(body)
        yield at
        at.add_incoming(b.add(at, step), b.block)
        b.branch(head)
        b.position_at_end(after)

    def rows(self, count: Value) -> contextlib.AbstractContextManager[Value]:
        """The loop over the rows that are this thread's."""
        return self.loop(self.first, count, self.step)

    def through(self, count: Value | int, step: int = LANES) -> contextlib.AbstractContextManager[Value]:
        """The loop over 0, step, ... below `count`."""
        return self.loop(long(0), long(count) if isinstance(count, int) else count, long(step))

    def variable(self, value: Value) -> Value:
        """A place that begins with `value`; LLVM keeps it in a register."""
        builder = ir.IRBuilder(self._entry)
        builder.position_at_start(self._entry)
        place = builder.alloca(value.type)
        self.b.store(value, place)
        return place

    def add_to(self, place: Value, value: Value) -> None:
        """`place += value`."""
        self.b.store(self.b.fadd(self.b.load(place), value), place)

    # Addresses and memory

    def address(self, name: str, *terms: tuple[Value, Value | int], size: int) -> Value:
        """Where the sum of index times stride lies in an array of numbers of `size` bytes."""
        b, at = self.b, self.arguments[name]
        for index, stride in terms:
            at = b.add(at, b.mul(index, b.mul(_counted(stride), long(size))))
        return at

    def after(self, address: Value, count: Value | int, size: int) -> Value:
        """The address `count` numbers on."""
        return self.b.add(address, self.b.mul(_counted(count), long(size)))

    def whole(self, address: Value) -> Value:
        """A 64-bit integer."""
        return self.b.load(self.b.inttoptr(address, _LONG.as_pointer()), align=8)

    def number(self, address: Value) -> Value:
        """A single float32."""
        return self.b.load(self.b.inttoptr(address, _FLOAT.as_pointer()), align=4)

    def put_number(self, value: Value, address: Value) -> None:
        """Store a single float32."""
        self.b.store(value, self.b.inttoptr(address, _FLOAT.as_pointer()), align=4)

    def vector(self, address: Value, size: int) -> Value:
        """Sixteen numbers that are kept in `size` bytes each."""
        b = self.b
        if size == 4:
            return b.load(b.inttoptr(address, _FLOATS.as_pointer()), align=4)
        bits = b.zext(b.load(b.inttoptr(address, _SHORTS.as_pointer()), align=2), _INTS)
        return b.bitcast(b.shl(bits, _ints(16)), _FLOATS)

    def put(self, value: Value, address: Value, size: int) -> None:
        """Store sixteen numbers in `size` bytes each."""
        b = self.b
        if size == 4:
            b.store(value, b.inttoptr(address, _FLOATS.as_pointer()), align=4)
            return
        bits = b.bitcast(value, _INTS)
        is_odd = b.and_(b.lshr(bits, _ints(16)), _ints(1))
        rounded = b.lshr(b.add(bits, b.add(is_odd, _ints(0x7FFF))), _ints(16))
        rounded = b.select(b.fcmp_unordered("uno", value, value), _ints(0x7FC0), rounded)  # NaN stays NaN
        b.store(b.trunc(rounded, _SHORTS), b.inttoptr(address, _SHORTS.as_pointer()), align=2)

    def fetch(self, address: Value, count: int) -> None:
        """Tell the processor that these bytes will be read soon."""
        pointer = _BYTE.as_pointer()
        for at in range(0, count, _CACHE_LINE):
            there = self.b.inttoptr(self.b.add(address, long(at)), pointer)
            self._call("llvm.prefetch.p0", ir.VoidType(), [there, *(ir.Constant(_INT, one) for one in (0, 3, 1))])

    # Arithmetic

    def float_of(self, name: str) -> Value:
        """The argument as a float32: its bits are the low half."""
        return self.b.bitcast(self.b.trunc(self.arguments[name], _INT), _FLOAT)

    def spread(self, number: Value) -> Value:
        """Sixteen times the same."""
        b = self.b
        one = b.insert_element(ir.Constant(_FLOATS, ir.Undefined), number, ir.Constant(_INT, 0))
        return self.order(one, [0] * LANES)

    def order(self, value: Value, places: Sequence[int]) -> Value:
        """The numbers at these places."""
        return self.b.shuffle_vector(value, ir.Constant(_FLOATS, ir.Undefined), ir.Constant(_INTS, list(places)))

    def multiply_add(self, x: Value, y: Value, z: Value) -> Value:
        """x * y + z."""
        return self._call("llvm.fma.v16f32", _FLOATS, [x, y, z])

    def larger(self, x: Value, y: Value) -> Value:
        """The larger of each two; a NaN gives way."""
        return self._call("llvm.maxnum.v16f32", _FLOATS, [x, y])

    def largest(self, value: Value) -> Value:
        """The largest of sixteen."""
        return self._call("llvm.vector.reduce.fmax.v16f32", _FLOAT, [value])

    def total(self, value: Value) -> Value:
        """The sum of sixteen."""
        return self._call("llvm.vector.reduce.fadd.v16f32", _FLOAT, [_FLOAT(0.0), value], _SUM_IN_ANY_ORDER)

    def root(self, number: Value) -> Value:
        """The square root of a single number."""
        return self._call("llvm.sqrt.f32", _FLOAT, [number])

    def exp(self, x: Value) -> Value:
        """e to the x, to a unit in the last place or two; x is taken as between -87 and 88.

        Cephes' expf (Moshier 1989): the power of two apart, a polynomial of degree 7 for the rest.
        """
        b = self.b
        near = self._call("llvm.minnum.v16f32", _FLOATS, [self.larger(x, floats(-87.0)), floats(88.0)])
        power = self.multiply_add(near, floats(1.44269504088896341), floats(0.5))
        power = self._call("llvm.floor.v16f32", _FLOATS, [power])
        rest = self.multiply_add(power, floats(-0.693359375), near)
        rest = self.multiply_add(power, floats(2.12194440e-4), rest)
        found = floats(1.9875691500e-4)
        for factor in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
            found = self.multiply_add(found, rest, floats(factor))
        found = self.multiply_add(b.fmul(found, rest), rest, b.fadd(rest, floats(1.0)))
        whole = b.shl(b.add(b.fptosi(power, _INTS), _ints(127)), _ints(23))
        return b.select(b.fcmp_unordered("uno", x, x), x, b.fmul(found, b.bitcast(whole, _FLOATS)))

    def _call(self, name: str, kind: Any, given: Sequence[Value], flags: Sequence[str] = ()) -> Value:
        function = self._module.globals.get(name)
        if function is None:
            function = ir.Function(self._module, ir.FunctionType(kind, [one.type for one in given]), name)
        return self.b.call(function, given, fastmath=flags)


def _counted(count: Value | int) -> Value:
    return long(count) if isinstance(count, int) else count
