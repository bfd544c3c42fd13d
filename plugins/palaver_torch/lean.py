"""Run transformers' Llamas, Qwen 2s and Mistrals by our own forward pass, which does less around the same products."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch

from palaver_torch.layout import LaidOut, Vocabulary, can_lay_out
from palaver_torch.llama import Dense, Embedding, Layer, Llama, Product, Shape, pairs_together
from palaver_torch.slots import SlotCache

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_CLASSES = frozenset({"LlamaForCausalLM", "Qwen2ForCausalLM", "MistralForCausalLM"})


@dataclass(frozen=True, slots=True)
class Out:
    """What a pass gives: logits (B, T, V)."""

    logits: torch.Tensor


class LeanForward:
    """See `decode.CausalForward`."""

    def __init__(self, model: Llama) -> None:
        self._model = _laid_out(model)

    def __call__(
        self,
        *,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        use_cache: bool,
        logits_to_keep: torch.Tensor | int,
        **cache: SlotCache,
    ) -> Out:
        """Prompts come in one row (1, N), the tokens of a decoding step in one column (R, 1)."""
        return self.forward(input_ids, position_ids, logits_to_keep, **cache)

    def forward(
        self, input_ids: torch.Tensor, position_ids: torch.Tensor, logits_to_keep: torch.Tensor | int, cache: SlotCache
    ) -> Out:
        """The pass itself."""
        self._model.reach(cache.columns)
        found = self._model.read(input_ids.flatten(), position_ids.flatten(), cache.read)
        if isinstance(logits_to_keep, torch.Tensor):
            return Out(self._model.logits(found[logits_to_keep])[None].clone())  # the next pass may write over them
        return Out(self._model.logits(found)[:, None])


def llama_of(network: PreTrainedModel, dtype: torch.dtype) -> Llama | None:
    """The network as a `Llama`; None where it does something that ours does not."""
    config = cast(Any, network.config)
    rope = getattr(config, "rope_parameters", None) or {}
    plain = (
        type(network).__name__ in _CLASSES
        and config.hidden_act == "silu"
        and rope.get("rope_type", "default") == "default"
        and not (getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True))
        and not getattr(config, "mlp_bias", False)
        and not (getattr(config, "attention_bias", False) and type(network).__name__ == "LlamaForCausalLM")
    )
    if not plain:
        return None
    heads, groups = config.num_attention_heads, config.num_key_value_heads or config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    shape = Shape(config.num_hidden_layers, config.hidden_size, heads, groups, head, config.rms_norm_eps, dtype)
    inner = cast(Any, network).model
    frequencies = rope["rope_theta"] ** -(torch.arange(0, head, 2, dtype=torch.double) / head)  # Su et al. 2021
    return Llama(
        shape,
        Embedding(inner.embed_tokens.weight),
        [_layer(one, shape) for one in inner.layers],
        _twice(inner.norm.weight),
        Dense(cast(Any, network).lm_head.weight),
        frequencies.to(network.device),
    )


def _laid_out(model: Llama) -> Llama:
    """The same model with plain matrices as the processor multiplies them fastest."""
    if not isinstance(model.head, Dense) or not can_lay_out(model.head.weight):
        return model
    layers = [
        replace(
            one, mix=_reordered(one.mix), out=_reordered(one.out), gate=_reordered(one.gate), down=_reordered(one.down)
        )
        for one in model.layers
    ]
    return model.with_layers(layers, Vocabulary(model.head.weight, model.head.bias))


def _reordered(product: Product) -> Product:
    return LaidOut(product.weight, product.bias) if isinstance(product, Dense) else product


def _layer(one: Any, shape: Shape) -> Layer:
    attention, mlp = one.self_attn, one.mlp
    three = (attention.q_proj, attention.k_proj, attention.v_proj)
    order = pairs_together(shape).to(attention.q_proj.weight.device)
    bias = torch.cat([part.bias for part in three])[order] if three[0].bias is not None else None
    return Layer(
        before=_twice(one.input_layernorm.weight),
        mix=Dense(torch.cat([part.weight for part in three])[order], bias),
        out=Dense(attention.o_proj.weight, attention.o_proj.bias),
        after=_twice(one.post_attention_layernorm.weight),
        gate=Dense(torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight])),
        down=Dense(mlp.down_proj.weight),
    )


def _twice(scale: torch.Tensor) -> torch.Tensor:
    return torch.cat([scale, scale]).float()
