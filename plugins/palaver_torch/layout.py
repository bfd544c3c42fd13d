"""Matrices laid out once in the order in which the processor multiplies them, not anew for every product.

oneDNN reorders a plain bfloat16 matrix each time; for the 1 to 128 rows of a decoding step that takes as long as the
product itself. The layout is PyTorch's own and of no other use: a matrix that is also read by rows stays plain beside
it.

Letters: N rows, K numbers in, M numbers out.
"""

from __future__ import annotations

from typing import cast

import torch
from torch.nn.functional import linear

_COLUMNS = 8192
"""Outputs of one product: the numbers of a whole vocabulary are more than the caches hold."""


def can_lay_out(weight: torch.Tensor) -> bool:
    """Whether this build of PyTorch has a faster order for the matrix."""
    return (
        weight.dtype == torch.bfloat16
        and weight.device.type == "cpu"
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and all(hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise"))
    )


class LaidOut:
    """A matrix (M, K) that multiplies; a plain one where `can_lay_out` says no."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self._bias = bias
        self._plain = None if can_lay_out(weight) else weight
        if self._plain is None:
            with torch.inference_mode():
                self._weight: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
            self._multiply = torch.ops.mkldnn._linear_pointwise.default

    def __call__(self, x: torch.Tensor, /) -> torch.Tensor:
        """(..., K) to (..., M)."""
        if self._plain is not None:
            return linear(x, self._plain, self._bias)
        return cast(torch.Tensor, self._multiply(x, self._weight, self._bias, "none", [], ""))


class LaidOutLinear(torch.nn.Module):
    """A `torch.nn.Linear` of a network that only answers."""

    def __init__(self, plain: torch.nn.Linear) -> None:
        super().__init__()
        self._product = LaidOut(plain.weight, plain.bias)
        self.weight = plain.weight.new_empty(0)
        """Nothing: T5 asks for its type."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._product(x)


class Vocabulary(torch.nn.Module):
    """A matrix with an output for each token, multiplied in parts; what it gives is overwritten by the next product."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        super().__init__()
        self._size = weight.shape[0]
        columns = _COLUMNS if can_lay_out(weight) else self._size
        parts = [slice(at, at + columns) for at in range(0, self._size, columns)]
        self._parts = [LaidOut(weight[part], bias[part] if bias is not None else None) for part in parts]
        self._room = weight.new_empty(0, self._size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (..., M) of (..., K)."""
        if len(self._parts) == 1:
            return self._parts[0](x)
        flat = x.flatten(0, -2)
        rows = flat.shape[0]
        if self._room.shape[0] < rows:  # memory that is new at each step costs more than the product
            self._room = flat.new_empty(rows, self._size)
        out = self._room[:rows]
        for at, part in enumerate(self._parts):
            out[:, at * _COLUMNS : (at + 1) * _COLUMNS] = part(flat)
        return out.view(*x.shape[:-1], self._size)

    def release(self) -> None:
        """Give the memory of the last logits back."""
        self._room = self._room.new_empty(0, self._size)


def lay_out(network: torch.nn.Module) -> None:
    """Change the linear layers of a network that is not trained any more. Tied ones stay: their weight is looked up."""
    tied = {id(one.weight) for one in network.modules() if isinstance(one, torch.nn.Embedding)}
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear and id(child.weight) not in tied and can_lay_out(child.weight):
                setattr(module, name, LaidOutLinear(child))
