"""GGUF's blocks of quantized weights, as plain numbers and as what PyTorch's four-bit kernel multiplies with.

The kernel takes a scale and an offset for each 32 weights, `(q - 8) * scale + offset`, which is what the blocks hold:
nothing is quantized anew. Its scales have the 8 significant bits of bfloat16 where the blocks have 11; that rounding is
all that is lost. Eight-bit weights go in as two rows of four bits, `16 * high + low`.

Letters: N rows, K columns, B blocks of 32 in a row (K / 32).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from palaver_torch.gguf import File, NotGGUF, Tensor

BLOCK = 32
"""Weights that share a scale."""

_PLAIN = {0: torch.float32, 1: torch.float16, 30: torch.bfloat16}
_BYTES = {
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
}
"""Weights and bytes of a block by ggml's number of its type: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K."""
NAMES = {0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 12: "Q4_K", 14: "Q6_K", 30: "BF16"}
_FOUR_BITS = (2, 3, 12)


@dataclass(frozen=True, slots=True)
class Nibbles:
    """A matrix as the four-bit kernel sees it."""

    codes: torch.Tensor
    """0-15 (N, K), uint8."""
    scales: torch.Tensor
    """Scale and offset of each block (N, B, 2), float32."""
    is_double: bool = False
    """The columns are there twice: high halves, then low halves."""

    def rows(self, order: torch.Tensor) -> Nibbles:
        """The same matrix with its rows in another order."""
        return Nibbles(self.codes[order], self.scales[order], self.is_double)


def is_known(kind: int) -> bool:
    """Whether `numbers` can read tensors of this type."""
    return kind in _PLAIN or kind in (2, 3, 8, 12, 14)


def numbers(file: File, tensor: Tensor) -> torch.Tensor:
    """The tensor in float32.

    Raises:
        NotGGUF: its type is not known, or the file ends before it does.
    """
    if tensor.kind in _PLAIN:
        size = torch.Size(tensor.shape).numel()
        bytes_ = _bytes(file, tensor, size * _PLAIN[tensor.kind].itemsize)
        return bytes_.view(_PLAIN[tensor.kind]).float().view(tensor.shape)
    if tensor.kind == 14:
        return _six_bits(raw(file, tensor)).view(tensor.shape)
    found = nibbles(file, tensor)
    values = found.codes.view(*found.scales.shape[:2], BLOCK).float() - 8
    values = values.mul_(found.scales[:, :, :1]).add_(found.scales[:, :, 1:]).flatten(1)
    if not found.is_double:
        return values
    return values[:, : tensor.shape[1]] + values[:, tensor.shape[1] :]


def nibbles(file: File, tensor: Tensor) -> Nibbles:
    """The matrix as four-bit numbers; `is_four_bits` or Q8_0.

    Raises:
        NotGGUF: its type is another one, or the file ends before it does.
    """
    if tensor.kind == 12:
        return _four_k(raw(file, tensor), tensor.shape)
    blocks = raw(file, tensor)  # (N, B, bytes)
    rows = tensor.shape[0]
    scale = _halves(blocks[:, :, :2])
    if tensor.kind in (2, 3):
        quarters = blocks[:, :, -16:]
        codes = torch.cat([quarters & 15, quarters >> 4], dim=-1)
        offset = _halves(blocks[:, :, 2:4]) + 8 * scale if tensor.kind == 3 else torch.zeros_like(scale)
        return Nibbles(codes.view(rows, -1), torch.stack([scale, offset], dim=-1))
    if tensor.kind != 8:
        raise NotGGUF(f"its weights are of a type ({NAMES.get(tensor.kind, tensor.kind)}) that is not known here")
    bytes_ = blocks[:, :, 2:].contiguous().view(torch.int8).view(rows, -1)
    high, low = (bytes_ >> 4) + 8, bytes_ & 15
    scales = torch.cat(
        [torch.stack([16 * scale, torch.zeros_like(scale)], dim=-1), torch.stack([scale, 8 * scale], dim=-1)], dim=1
    )
    return Nibbles(torch.cat([high, low], dim=1).view(torch.uint8), scales, is_double=True)


def is_four_bits(tensor: Tensor) -> bool:
    """The tensor's blocks are what the kernel takes."""
    return tensor.kind in _FOUR_BITS and tensor.shape[-1] % BLOCK == 0


def raw(file: File, tensor: Tensor) -> torch.Tensor:
    """The tensor's bytes (N, blocks a row, bytes a block)."""
    weights, size = _BYTES.get(tensor.kind, (0, 0))
    if not size or tensor.shape[-1] % weights:
        raise NotGGUF(f"its weights are of a type ({NAMES.get(tensor.kind, tensor.kind)}) that is not known here")
    total = torch.Size(tensor.shape).numel() // weights
    return _bytes(file, tensor, total * size).view(-1, tensor.shape[-1] // weights, size)


def _bytes(file: File, tensor: Tensor, size: int) -> torch.Tensor:
    if tensor.offset + size > len(file.data):
        raise NotGGUF("it ends too early: the download was cut short")
    return torch.frombuffer(file.data, dtype=torch.uint8, count=size, offset=tensor.offset)


def _halves(two: torch.Tensor) -> torch.Tensor:
    """The numbers in 16 bits (..., 2 bytes) in float32 (...)."""
    return two.contiguous().view(torch.float16).float()[..., 0]


def _four_k(blocks: torch.Tensor, shape: tuple[int, ...]) -> Nibbles:
    """Q4_K: 8 blocks of 32, their scales and minima in 6 bits each, packed by four."""
    scale, least, packed = _halves(blocks[..., :2]), _halves(blocks[..., 2:4]), blocks[..., 4:16]
    first, second, third = packed[..., :4], packed[..., 4:8], packed[..., 8:]
    scales = torch.cat([first & 63, (third & 15) | (first >> 6 << 4)], dim=-1).float()
    minima = torch.cat([second & 63, (third >> 4) | (second >> 6 << 4)], dim=-1).float()
    scales, minima = scales * scale[..., None], minima * least[..., None]
    quarters = blocks[..., 16:].reshape(*blocks.shape[:2], 4, 32)
    codes = torch.stack([quarters & 15, quarters >> 4], dim=3)  # (N, blocks, 4, 2, 32): low halves come first
    both = torch.stack([scales, 8 * scales - minima], dim=-1)
    return Nibbles(codes.reshape(shape[0], -1), both.reshape(shape[0], -1, 2))


def _six_bits(blocks: torch.Tensor) -> torch.Tensor:
    """Q6_K: 16 blocks of 16; four low bits and two high ones apart, scales of 8 bits."""
    rows, count = blocks.shape[:2]
    low, high = blocks[..., :128].reshape(rows, count, 2, 2, 32), blocks[..., 128:192].reshape(rows, count, 2, 1, 32)
    shifts = torch.tensor([0, 2, 4, 6], dtype=torch.uint8)[:, None]
    codes = torch.cat([low & 15, low >> 4], dim=-2) | ((high >> shifts) & 3) << 4  # (N, blocks, 2, 4, 32)
    scales = blocks[..., 192:208].contiguous().view(torch.int8).float() * _halves(blocks[..., 208:])[..., None]
    values: torch.Tensor = (codes.float() - 32).reshape(rows, count, 16, 16) * scales[..., None]
    return values.flatten(1)
