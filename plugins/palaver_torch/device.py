"""Where to compute and in which precision, as far as this machine and this build of PyTorch go."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from palaver import UsageError
from palaver.machine import threads

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Place:
    """A device and a precision."""

    device: torch.device
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def choose_place() -> Place:
    """The fastest that works here; $PALAVER_TORCH_DEVICE and $PALAVER_TORCH_DTYPE override.

    Raises:
        UsageError: a variable names what does not exist.
    """
    device = os.environ.get("PALAVER_TORCH_DEVICE") or _best_device()
    dtype = os.environ.get("PALAVER_TORCH_DTYPE")
    if dtype and dtype not in _DTYPES:
        raise UsageError(f"PALAVER_TORCH_DTYPE is one of {', '.join(_DTYPES)}, not '{dtype}'.")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"PALAVER_TORCH_DEVICE is a device such as cpu or cuda:0, not '{device}'.") from error
    return Place(place, _DTYPES[dtype] if dtype else _best_dtype(place))


def cache_budget(device: torch.device) -> int:
    """Bytes that keys and values may take."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return (free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)) // 2
    return 2 * 2**30


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _best_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu" and _computes_bfloat16():
        return torch.bfloat16
    return torch.float32


def _computes_bfloat16() -> bool:
    """The processor multiplies bfloat16 itself; elsewhere it is emulated and slower than float32."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # of torch.cpu, private to this day
    return any(check() for name in names if (check := getattr(torch.cpu, name, None)) is not None)


def leave_busy_cores() -> None:
    """Compute with the cores that others leave free; to be called before an answer is begun, not in its middle."""
    if torch.get_num_threads() != (free := threads(beside_others="now")):
        torch.set_num_threads(free)
