"""The processes of one run: one alone, or those that torchrun has started."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from palaver import UsageError
from palaver_train.config import Run

_PATIENCE = timedelta(hours=12)
"""A paused run is one that the others wait for."""


class Team:
    """Which process this is, and what they do together. Without torchrun it is one process, and nothing is sent."""

    def __init__(self) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        is_cuda = torch.cuda.is_available()
        local = int(os.environ.get("LOCAL_RANK", "0"))
        wanted = os.environ.get("PALAVER_TORCH_DEVICE", "")
        found = wanted or (f"cuda:{local}" if is_cuda else "mps" if torch.backends.mps.is_available() else "cpu")
        try:
            self.device = torch.device(found)
        except RuntimeError as error:
            raise UsageError(f"PALAVER_TORCH_DEVICE is a device such as cpu or cuda:0, not '{wanted}'.") from error
        self._owns_group = self.world > 1 and not distributed.is_initialized()
        if self._owns_group:
            if self.device.type == "cuda":
                torch.cuda.set_device(self.device)
            distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo", timeout=_PATIENCE)
        if self.world > 1 and distributed.get_world_size() != self.world:
            raise UsageError(f"torchrun said {self.world} processes, and {distributed.get_world_size()} have met.")

    @property
    def is_first(self) -> bool:
        """This process writes and talks for all."""
        return self.rank == 0

    def wrap(self, objective: nn.Module, run: Run) -> nn.Module:
        """The objective, with gradients that are those of all processes."""
        if self.world == 1:
            return objective
        if run.training.parallel == "fsdp":
            from torch.distributed.fsdp import fully_shard

            for name, layers in cast(Any, objective).network.named_children():
                if isinstance(layers, nn.ModuleList) and name in ("blocks", "encoder"):
                    for layer in layers:
                        fully_shard(layer)
            fully_shard(objective)
            return objective
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(objective, device_ids=devices)

    def sum(self, values: Iterable[float]) -> list[float]:
        """The sums over all processes."""
        found = torch.tensor(list(values), dtype=torch.float64 if self.device.type != "mps" else torch.float32)
        if self.world > 1:
            found = found.to(self.device)
            distributed.all_reduce(found)
        return [float(one) for one in found]

    def first_says(self, values: Iterable[float]) -> list[float]:
        """What the first process gave."""
        if self.world == 1:
            return list(values)
        found: Tensor = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        distributed.broadcast(found, 0)
        return [float(one) for one in found]

    def wait(self) -> None:
        """Until all are here."""
        if self.world > 1:
            distributed.barrier()

    def leave(self) -> None:
        """The run is over."""
        if self._owns_group and distributed.is_initialized():
            distributed.destroy_process_group()
