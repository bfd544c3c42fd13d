"""Mixed precision where it helps: products in bfloat16, weights and sums in float32 (Micikevicius et al. 2018)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from palaver_train.config import Run


class Precision:
    """What a run computes in."""

    def __init__(self, run: Run, device: torch.device) -> None:
        wanted = run.training.precision
        self._device = device.type
        self._is_mixed = wanted == "bfloat16" or (wanted == "auto" and _helps(device, run.architecture))
        self.name = "bfloat16" if self._is_mixed else "float32"

    @contextlib.contextmanager
    def cast(self) -> Iterator[None]:
        """Compute in it."""
        with torch.autocast(self._device, torch.bfloat16, enabled=self._is_mixed):
            yield


def _helps(device: torch.device, architecture: str) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or architecture.startswith(("lstm", "embedding")):
        return False
    check = getattr(torch.cpu, "_is_amx_tile_supported", None)  # private to this day
    return check is not None and bool(check())
