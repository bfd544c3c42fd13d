"""Tiny GGUF files with random weights, written by the format's own description, and the same for transformers."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import torch
import transformers
from tests.plugins import torch_models as tiny

from palaver_torch import blocks, gguf

WIDTH, INNER, LAYERS, HEADS, GROUPS, HEAD = 64, 96, 2, 4, 2, 16
Q4_0, Q4_1, Q8_0, Q4_K, Q6_K, F32 = 2, 3, 8, 12, 14, 0


def random_blocks(kind: int, rows: int, columns: int, generator: torch.Generator) -> bytes:
    """Blocks of a quantized matrix: random codes, scales that make weights of about `columns ** -0.5`."""
    weights, size = blocks._BYTES[kind]
    found = torch.randint(0, 256, (rows * columns // weights, size), generator=generator, dtype=torch.uint8)
    scale = torch.rand(found.shape[0], 1, generator=generator) * 0.5 * columns**-0.5 + 0.01
    scale = (scale / 16 if kind in (Q8_0, Q4_K, Q6_K) else scale).half()
    least = {Q4_1: -8 * scale, Q4_K: 8 * scale}.get(kind)
    at = 208 if kind == Q6_K else 0
    found[:, at : at + 2] = scale.view(torch.uint8)
    if least is not None:
        found[:, 2:4] = least.view(torch.uint8)
    return found.numpy().tobytes()


def written(path: Path, architecture: str = "llama", kind: int = Q4_1, **changes: object) -> Path:
    """A model of two layers at `path`; its embedding is in eight bits. `changes` replace values of the header."""
    generator = torch.Generator().manual_seed(3)
    made = tiny.tokenizer()
    model = json.loads(made.backend_tokenizer.to_str())["model"]
    words = sorted(model["vocab"], key=model["vocab"].__getitem__)
    name = architecture
    values: dict[str, object] = {
        "general.architecture": architecture,
        f"{name}.block_count": LAYERS,
        f"{name}.context_length": 512,
        f"{name}.embedding_length": WIDTH,
        f"{name}.feed_forward_length": INNER,
        f"{name}.attention.head_count": HEADS,
        f"{name}.attention.head_count_kv": GROUPS,
        f"{name}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{name}.rope.freq_base": 10000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.token_type": [3 if word in ("<eos>", "<pad>") else 1 for word in words],
        "tokenizer.ggml.merges": [" ".join(one) for one in model["merges"]],
        "tokenizer.ggml.eos_token_id": tiny.EOS,
        **changes,
    }
    turning = HEADS * HEAD, GROUPS * HEAD
    matrices = {
        "attn_q": (turning[0], WIDTH),
        "attn_k": (turning[1], WIDTH),
        "attn_v": (turning[1], WIDTH),
        "attn_output": (WIDTH, turning[0]),
        "ffn_gate": (INNER, WIDTH),
        "ffn_up": (INNER, WIDTH),
        "ffn_down": (WIDTH, INNER),
    }
    tensors: dict[str, tuple[tuple[int, ...], int, bytes]] = {
        "token_embd.weight": ((len(words), WIDTH), Q8_0, random_blocks(Q8_0, len(words), WIDTH, generator))
    }

    def plain(*shape: int) -> tuple[tuple[int, ...], int, bytes]:
        return shape, F32, (torch.rand(*shape, generator=generator) + 0.5).numpy().tobytes()

    for at in range(LAYERS):
        for matrix, shape in matrices.items():
            tensors[f"blk.{at}.{matrix}.weight"] = (shape, kind, random_blocks(kind, *shape, generator))
        if architecture == "qwen2":
            for one in ("attn_q", "attn_k", "attn_v"):
                tensors[f"blk.{at}.{one}.bias"] = plain(matrices[one][0])
        tensors[f"blk.{at}.attn_norm.weight"] = plain(WIDTH)
        tensors[f"blk.{at}.ffn_norm.weight"] = plain(WIDTH)
    tensors["output_norm.weight"] = plain(WIDTH)
    path.write_bytes(_file(values, tensors))
    return path


def as_checkpoint(path: Path, folder: Path) -> Path:
    """The same weights in float32 as a folder of transformers."""
    file = gguf.read(path)
    kind = str(file.values["general.architecture"])
    sizes: dict[str, Any] = {
        "vocab_size": tiny.VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": GROUPS,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "eos_token_id": tiny.EOS,
        "pad_token_id": tiny.PAD,
        "tie_word_embeddings": True,
    }
    network: Any = (
        transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes))
        if kind == "llama"
        else transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**sizes))
    )
    inner = network.model
    found = {name: blocks.numbers(file, one) for name, one in file.tensors.items()}
    with torch.no_grad():
        inner.embed_tokens.weight.copy_(found["token_embd.weight"])
        inner.norm.weight.copy_(found["output_norm.weight"])
        for at, layer in enumerate(inner.layers):
            name = f"blk.{at}."
            attention, mlp = layer.self_attn, layer.mlp
            for part, ours in ((attention.q_proj, "q"), (attention.k_proj, "k"), (attention.v_proj, "v")):
                weight = found[f"{name}attn_{ours}.weight"]
                # llama.cpp's converter puts what turns together side by side; transformers has the halves apart.
                apart = ours != "v" and kind == "llama"
                part.weight.copy_(
                    weight.view(-1, HEAD // 2, 2, WIDTH).transpose(1, 2).flatten(0, 2) if apart else weight
                )
                if kind == "qwen2":
                    part.bias.copy_(found[f"{name}attn_{ours}.bias"])
            attention.o_proj.weight.copy_(found[f"{name}attn_output.weight"])
            for part, ours in ((mlp.gate_proj, "gate"), (mlp.up_proj, "up"), (mlp.down_proj, "down")):
                part.weight.copy_(found[f"{name}ffn_{ours}.weight"])
            layer.input_layernorm.weight.copy_(found[f"{name}attn_norm.weight"])
            layer.post_attention_layernorm.weight.copy_(found[f"{name}ffn_norm.weight"])
    return tiny.saved(folder, network)


def _file(values: dict[str, object], tensors: dict[str, tuple[tuple[int, ...], int, bytes]]) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    for key, value in values.items():
        head += _text(key) + _value(value)
    body = b""
    for name, (shape, kind, data) in tensors.items():
        head += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape[::-1], kind, len(body))
        body += data + bytes(-len(data) % 32)
    return head + bytes(-len(head) % 32) + body


def _value(value: object) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    assert isinstance(value, list)
    items = b"".join(_value(one)[4:] for one in value)
    return struct.pack("<IIQ", 9, 8 if isinstance(value[0], str) else 4, len(value)) + items


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()
