"""What a Llama does between its products, each in one pass through the memory, on a processor.

PyTorch's attention of one query reads keys and values at a third of the speed of the memory, and a rotation, a norm or
a gate takes several operations that each write what the next one reads. Here attention reads values ahead while it
reads keys. The results of a row do not depend on the other rows, to the last bit.

Letters: N rows (positions of one or many texts), D width of the model, F of its inner layer, H query heads, G key
heads, W width of a head, S slots, C columns of a slot.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from palaver_torch.compiled import Compiled
    from palaver_torch.llama import Shape


class Processor:
    """The kernels for one shape of model; keys, values and what products give are in `shape.dtype`."""

    def __init__(self, shape: Shape) -> None:
        from llvmlite import ir

        from palaver_torch import loops
        from palaver_torch.compiled import Compiled, bits

        self.shape, self._size = shape, shape.dtype.itemsize
        module = ir.Module()
        loops.add_norm(module, "norm", self._size, grows=False)
        loops.add_norm(module, "add_norm", self._size, grows=True)
        loops.gate(module, self._size)
        loops.turn(module, shape, self._size)
        loops.attend(module, shape, self._size)
        self._at_once = loops.heads_at_once(shape)
        self._run: Compiled = Compiled(module)
        self._bits, self._epsilon = bits, bits(shape.epsilon)

    def norm(self, x: torch.Tensor, more: torch.Tensor | None, scale: torch.Tensor) -> torch.Tensor:
        """See `llama.Between`."""
        rows, width = x.shape
        name = "norm" if more is None else "add_norm"
        out = torch.empty(rows, width, dtype=self.shape.dtype)
        more = out if more is None else more.contiguous()
        numbers = self.shape.dtype
        at = [
            _address(x, torch.float32),
            _address(more, numbers),
            _address(scale, torch.float32),
            _address(out, numbers),
        ]
        self._run(name, [*at, rows, width, self._epsilon], self._run.threads(x.numel() * 8))
        return out

    def gate(self, both: torch.Tensor) -> torch.Tensor:
        """See `llama.Between`."""
        both, rows, width = both.contiguous(), both.shape[0], both.shape[1] // 2
        if width % 16:
            left, right = both.chunk(2, dim=1)
            return torch.nn.functional.silu(left) * right
        out = torch.empty(rows, width, dtype=both.dtype)
        self._run("gate", [self._at(both), self._at(out), rows, width], self._run.threads(both.numel() * 4))
        return out

    def turn(
        self,
        mixed: torch.Tensor,
        turns: torch.Tensor,
        positions: torch.Tensor,
        slots: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> torch.Tensor:
        """Turned queries (N, H, W) of what the product gave (N, (H + 2G)*W); keys and values go where they are kept.

        Row n belongs to `positions` (N) of `slots` (N): keys and values (S, G, C, W), rotations (C, W/2), complex.
        """
        shape, mixed, rows = self.shape, mixed.contiguous(), mixed.shape[0]
        out = torch.empty(rows, shape.heads, shape.head, dtype=mixed.dtype)
        whose = [_address(turns, torch.complex64), _address(positions, torch.long), _address(slots, torch.long)]
        at = [self._at(one) for one in (mixed, keys, values, out)]
        self._run("turn", [at[0], *whose, *at[1:], rows, keys.shape[2]], self._run.threads(mixed.numel() * 4))
        return out

    def attend(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        slots: torch.Tensor,
        ends: torch.Tensor,
        longest: int,
        scale: float | None = None,
        window: int | None = None,
    ) -> torch.Tensor:
        """Of queries (N, H, W), each over the columns of its slot before its end (N), the last `window` of them.

        (N, H, W). `longest` is the largest end.
        """
        rows, columns = queries.shape[0], (longest + 15) // 16 * 16
        work = 2 * rows * keys.shape[1] * longest * keys.shape[3] * self._size
        threads = self._run.threads(work)
        scores = torch.empty(threads, self._at_once, columns)
        out = torch.empty_like(queries)
        at = [self._at(one) for one in (queries, keys, values)]
        at += [_address(slots, torch.long), _address(ends, torch.long), _address(scores, torch.float32), self._at(out)]
        factor = self._bits(self.shape.head**-0.5 if scale is None else scale)
        self._run("attend", [*at, rows, keys.shape[2], columns, window or longest, factor], threads)
        return out

    def _at(self, tensor: torch.Tensor) -> int:
        return _address(tensor, self.shape.dtype)


def processor_of(shape: Shape, device: torch.device) -> Processor | None:
    """The kernels, where they can be had and fit the shape; $PALAVER_TORCH_KERNELS=0 leaves all to PyTorch."""
    fits = shape.head % 16 == 0 and shape.width % 16 == 0 and shape.dtype in (torch.bfloat16, torch.float32)
    if device.type != "cpu" or not fits or os.environ.get("PALAVER_TORCH_KERNELS") == "0":
        return None
    return _made(shape)


@functools.lru_cache(maxsize=8)
def _made(shape: Shape) -> Processor | None:
    try:
        return Processor(shape)
    except ImportError:  # llvmlite has no wheel for every machine
        return None


def _address(tensor: torch.Tensor, dtype: torch.dtype) -> int:
    assert tensor.is_contiguous() and tensor.dtype == dtype, "the kernels would read something else"
    return tensor.data_ptr()
