"""Names of GGUF files that PyTorch computes: `torch:FILE.gguf` in four bits, `...@bfloat16` in plain numbers.

The precision is part of the name because it is part of the answer: history and cached answers tell them apart.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

from palaver import ModelInfo

_PRECISIONS = ("bfloat16", "float16", "float32")


def precision_of(name: str) -> str:
    """The precision that the name asks for; empty for the file's own four bits."""
    found = name.rpartition("@")[2] if "@" in name else ""
    return found if found in _PRECISIONS else ""


def without_precision(name: str) -> str:
    """The name of the model alone."""
    return name.rpartition("@")[0] if precision_of(name) else name


def missing_packages() -> list[str]:
    """What it takes and is not installed; nothing is imported."""
    return [one for one in ("torch", "transformers", "safetensors") if importlib.util.find_spec(one) is None]


def gguf_file(name: str) -> Path | None:
    """The file that `torch:FILE.gguf` means, with or without a precision."""
    if not name.startswith("torch:"):
        return None
    path = Path(without_precision(name.removeprefix("torch:"))).expanduser()
    return path.resolve() if path.suffix.lower() == ".gguf" and path.is_file() else None


def taken_over(info: ModelInfo, precision: str) -> ModelInfo:
    """`info`, a GGUF file of another backend's, as a model of this one."""
    size = Path(info.path).stat().st_size
    # Four bits, the same layers once more in bfloat16 for prompts, keys and values; or all of it in 16 or 32 bits.
    times = {"": 4, "bfloat16": 4, "float16": 4, "float32": 8}[precision]
    return dataclasses.replace(
        info,
        name=f"{without_precision(info.name)}@{precision}" if precision else info.name,
        backend="torch",
        memory=times * size + 400_000_000,
        device="",
        dtype=precision,
        digest="",
    )
