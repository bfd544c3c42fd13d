"""AdamW, the learning rate over time, and the state of both as tensors that can be written down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from palaver_train.config import Training


def make_optimizer(network: nn.Module, training: Training) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019); matrices decay, biases and norms do not."""
    parameters = [one for one in network.parameters() if one.requires_grad]
    groups = [
        {"params": [one for one in parameters if one.dim() > 1], "weight_decay": training.weight_decay},
        {"params": [one for one in parameters if one.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=training.learning_rate,
        betas=(0.9, training.beta2),
        fused=True,  # one call for all weights: for small networks most of the optimizer's time was Python
    )


def learning_rate(training: Training, step: int, steps: int) -> float:
    """The learning rate of a step, counted from 0."""
    highest, warmup = training.learning_rate, max(1, training.warmup)
    if step < warmup:
        return highest * (step + 1) / warmup
    if training.decay == "inverse-sqrt":  # Vaswani et al. 2017, 5.3
        return highest * math.sqrt(warmup / (step + 1))
    if training.decay == "cosine":  # Loshchilov & Hutter 2017
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return highest * (training.final_share + (1 - training.final_share) * 0.5 * (1 + math.cos(math.pi * done)))
    return highest


def full_weights(network: nn.Module) -> dict[str, Tensor]:
    """The weights, whole and on the processor, however they are spread; every process has to ask."""
    return {name: _whole(tensor) for name, tensor in network.state_dict().items()}


def full_state(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as `weight:moment`, whole and on the processor; every process has to ask."""
    return {
        f"{name}:{moment}": _whole(torch.as_tensor(value))
        for name, parameter in network.named_parameters()
        for moment, value in optimizer.state.get(parameter, {}).items()
    }


def restore(network: nn.Module, optimizer: torch.optim.Optimizer, flat: Mapping[str, Tensor]) -> None:
    """Give an optimizer the state that `full_state` gave."""
    parameters = dict(network.named_parameters())
    for place, value in flat.items():
        name, _, moment = place.rpartition(":")
        parameter = parameters[name]
        if hasattr(parameter, "device_mesh") and value.dim():  # a shard of FSDP2
            from torch.distributed.tensor import distribute_tensor  # 0.5 s

            shard = cast(Any, parameter)
            value = distribute_tensor(value, shard.device_mesh, shard.placements)
        optimizer.state[parameter][moment] = value.to(parameter.device)


def _whole(tensor: Tensor) -> Tensor:
    found: Tensor = cast(Any, tensor).full_tensor() if hasattr(tensor, "full_tensor") else tensor  # of FSDP2
    return found.detach().cpu()
