"""Make a Llama of a GGUF file: in four bits as the file has them, or in plain numbers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from palaver_torch import blocks
from palaver_torch.gguf import ARCHITECTURES, File, NotGGUF, Tensor
from palaver_torch.llama import Dense, Embedding, Layer, Llama, Packed, Product, Shape, pairs_together


class Maker:
    """Makes the parts of one file's model.

    Raises:
        NotGGUF: it is of an architecture or of a type of weights that is not known here.
    """

    def __init__(self, file: File, dtype: torch.dtype) -> None:
        self._file, self._dtype = file, dtype
        self._kind = file.text("general.architecture")
        if self._kind not in ARCHITECTURES:
            raise NotGGUF(f"its architecture ('{self._kind}') is not known here")
        if file.text(f"{self._kind}.rope.scaling.type") not in ("", "none"):
            raise NotGGUF("it stretches its positions in a way that is not known here")
        if f"{self._kind}.expert_count" in file.values:
            raise NotGGUF("it is a mixture of experts, which is not known here")
        width, heads = self._number("embedding_length"), self._number("attention.head_count")
        self.shape = Shape(
            layers=self._number("block_count"),
            width=width,
            heads=heads,
            groups=self._number("attention.head_count_kv", heads),
            head=self._number("attention.key_length", width // heads),
            epsilon=file.number(f"{self._kind}.attention.layer_norm_rms_epsilon"),
            dtype=dtype,
        )
        self.context = self._number("context_length")

    def model(self, *, is_packed: bool) -> Llama:
        """The whole model."""
        embedding = self._tensor("token_embd.weight")
        base = self._file.number(f"{self._kind}.rope.freq_base", 10000.0)
        head = self.shape.head
        frequencies = base ** -(torch.arange(0, head, 2, dtype=torch.double) / head)  # Su et al. 2021
        if "rope_freqs.weight" in self._file.tensors:
            frequencies = frequencies / self._numbers("rope_freqs.weight").double()
        output = "output.weight" if "output.weight" in self._file.tensors else "token_embd.weight"
        return Llama(
            self.shape,
            self._embed(embedding, is_packed=is_packed),
            self.layers(is_packed=is_packed),
            self._scale("output_norm.weight"),
            self._product((output,), is_packed=is_packed),
            frequencies,
        )

    def layers(self, *, is_packed: bool) -> list[Layer]:
        """All layers, in four bits where the file has them so, or in plain numbers."""
        return [self._layer(f"blk.{at}.", is_packed) for at in range(self.shape.layers)]

    def _layer(self, name: str, is_packed: bool) -> Layer:
        mixed = tuple(f"{name}attn_{one}" for one in "qkv")
        return Layer(
            before=self._scale(f"{name}attn_norm.weight"),
            mix=self._mix(mixed, is_packed),
            out=self._product((f"{name}attn_output.weight",), is_packed=is_packed),
            after=self._scale(f"{name}ffn_norm.weight"),
            gate=self._product((f"{name}ffn_gate.weight", f"{name}ffn_up.weight"), is_packed=is_packed),
            down=self._product((f"{name}ffn_down.weight",), is_packed=is_packed),
        )

    def _mix(self, names: tuple[str, ...], is_packed: bool) -> Product:
        # GGUF files of llama have their pairs side by side already.
        order = None if self._kind == "llama" else pairs_together(self.shape)
        bias = None
        if f"{names[0]}.bias" in self._file.tensors:
            bias = torch.cat([self._numbers(f"{one}.bias") for one in names]).to(self._dtype)
            bias = bias if order is None else bias[order]
        return self._product(tuple(f"{one}.weight" for one in names), is_packed=is_packed, order=order, bias=bias)

    def _product(
        self,
        names: tuple[str, ...],
        *,
        is_packed: bool,
        order: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
    ) -> Product:
        tensors = [self._tensor(one) for one in names]
        kinds = {blocks.is_four_bits(one) or (one.kind == 8 and 8) for one in tensors}
        if is_packed and len(kinds) == 1 and kinds != {False}:
            found = [blocks.nibbles(self._file, one) for one in tensors]
            codes, scales = torch.cat([one.codes for one in found]), torch.cat([one.scales for one in found])
            joined = blocks.Nibbles(codes, scales, found[0].is_double)
            return Packed(joined if order is None else joined.rows(order), bias)
        weight = torch.cat([blocks.numbers(self._file, one).to(self._dtype) for one in tensors])
        return Dense(weight if order is None else weight[order], bias)

    def _embed(self, tensor: Tensor, *, is_packed: bool) -> Callable[[torch.Tensor], torch.Tensor]:
        """Rows of the embedding; in eight bits they are read from the file as they are wanted."""
        width = tensor.shape[1]
        if tensor.kind == 8 and is_packed:
            bytes_ = blocks.raw(self._file, tensor)  # (V, B, 34)

            def eight_bits(tokens: torch.Tensor) -> torch.Tensor:
                found = bytes_[tokens]
                scale = found[:, :, :2].contiguous().view(torch.float16).float()
                return (found[:, :, 2:].view(torch.int8) * scale).view(-1, width)

            return eight_bits
        return Embedding(blocks.numbers(self._file, tensor).to(self._dtype))

    def _scale(self, name: str) -> torch.Tensor:
        found = self._numbers(name)
        return torch.cat([found, found])

    def _numbers(self, name: str) -> torch.Tensor:
        return blocks.numbers(self._file, self._tensor(name))

    def _tensor(self, name: str) -> Tensor:
        if name not in self._file.tensors:
            raise NotGGUF(f"it has no '{name}'")
        return self._file.tensors[name]

    def _number(self, key: str, default: int | None = None) -> int:
        return int(self._file.number(f"{self._kind}.{key}", default))
