"""Names of GGUF files that PyTorch computes: `NAME@4bit` as the file has them, `NAME@bfloat16` in plain numbers.

The form is part of the name because it is part of the answer: history and cached answers tell them apart. Nothing here
imports torch.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

from palaver import ModelInfo

FOUR_BITS = "4bit"
_BYTES = {FOUR_BITS: 4, "bfloat16": 4, "float16": 4, "float32": 8}
"""Bytes of memory for a byte of the file: four bits come with the layers once more in 16 bits, for prompts."""
_COMPUTES_16_BITS = ("avx512_bf16", "amx_bf16")


def form_of(name: str) -> str:
    """The form that a name ends with; empty where it ends otherwise."""
    form = name.rpartition("@")[2] if "@" in name else ""
    return form if form in _BYTES else ""


def missing_packages() -> list[str]:
    """What it takes and is not installed; nothing is imported."""
    return [one for one in ("torch", "transformers", "safetensors") if importlib.util.find_spec(one) is None]


def gguf_file(name: str) -> Path | None:
    """The file that `FILE.gguf@FORM` means."""
    if not form_of(name):
        return None
    path = Path(name.rpartition("@")[0].removeprefix("gguf:")).expanduser()
    return path.resolve() if path.suffix.lower() == ".gguf" and path.is_file() else None


def taken_over(info: ModelInfo, form: str) -> ModelInfo | None:
    """`info`, a GGUF file of another backend's, as a model of this one; None where there is no such file or form."""
    path = Path(info.path) if info.path else None
    if path is None or path.suffix.lower() != ".gguf" or not path.is_file() or form not in _BYTES:
        return None
    return dataclasses.replace(
        info,
        name=f"{info.name if info.files else path}@{form}",
        backend="torch",
        good_at=(),
        description=f"{info.title or path.stem} through PyTorch, in {'four bits' if form == FOUR_BITS else form}.",
        memory=_BYTES[form] * path.stat().st_size + 400_000_000,
        dtype="" if form == FOUR_BITS else form,
        digest="",
    )


def batch_form() -> str:
    """The form in which this machine answers many requests fastest."""
    if Path("/dev/nvidia0").exists():
        return "bfloat16"
    try:
        flags = Path("/proc/cpuinfo").read_text("ascii", "replace")
    except OSError:
        return "float32"
    return "bfloat16" if any(one in flags for one in _COMPUTES_16_BITS) else "float32"
