"""Bring a run's parts together, watch over memory and disk, and write what happens beside it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from palaver import ModelFailed
from palaver.machine import memory_free, threads
from palaver_train import checkpoint
from palaver_train.config import Run
from palaver_train.control import Control, forget_orders
from palaver_train.curves import draw
from palaver_train.events import Ended, Event, Log
from palaver_train.material import Material
from palaver_train.networks import make_network
from palaver_train.team import Team
from palaver_train.trainer import Trainer
from palaver_train.vectors import give_vectors

_BYTES_A_WEIGHT = 20
"""The weight, its gradient, two moments, and a copy on its way to the disk."""
_CHECKPOINTS = 4
"""The last two, the best, and the one that is being written."""


def launch(
    run: Run,
    material: Material,
    folder: Path,
    team: Team,
    found: checkpoint.Description | None,
    *,
    on_event: Callable[[Event], None],
    control: Control | None,
) -> Ended:
    """Train, from the beginning or from a checkpoint.

    Raises:
        ModelFailed: memory or disk do not suffice, or training diverged.
    """
    torch.set_num_threads(threads(team.world, by_core=False))
    _check_room(run, material.tokenizer.size, folder)
    with torch.random.fork_rng():
        torch.manual_seed(run.training.seed)
        network = make_network(run.architecture, run.shape, material.tokenizer.size)
    if found is not None:
        checkpoint.load_into(network, checkpoint.read_weights(found.folder), found.folder)
    elif run.architecture.startswith("embedding"):
        give_vectors(network, material, run.training.seed)
    if control is None:
        forget_orders(folder) if team.is_first else None
        control = Control(folder)
    with _logged(folder, team, found, on_event) as tell, _enough_memory(run):
        trainer = Trainer(run, material, network, folder, team, on_event=tell, control=control)
        if found is not None:
            trainer.resume(found)
        ended = trainer.train()
    if team.is_first:
        draw(folder)
    team.leave()
    return ended


@contextlib.contextmanager
def _logged(
    folder: Path, team: Team, found: checkpoint.Description | None, on_event: Callable[[Event], None]
) -> Iterator[Callable[[Event], None]]:
    """Each event to metrics.jsonl and then to whoever listens; the first process does both."""
    if not team.is_first:
        yield lambda event: None
        return
    log = Log(folder, keep_to=found.progress.step if found else 0)

    def tell(event: Event) -> None:
        log.write(event)
        on_event(event)

    try:
        yield tell
    finally:
        log.close()


@contextlib.contextmanager
def _enough_memory(run: Run) -> Iterator[None]:
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _too_little_memory(run) from error
    except RuntimeError as error:
        if "allocate memory" not in str(error) and "out of memory" not in str(error):
            raise
        raise _too_little_memory(run) from error


def _too_little_memory(run: Run) -> ModelFailed:
    size = (
        f"--batch-tokens {run.training.batch_tokens}" if run.training.batch_tokens else f"--batch {run.training.batch}"
    )
    return ModelFailed(
        f"The memory does not suffice for {size}; the checkpoints are as they were.",
        fix="Train with smaller batches and more of --accumulate, or a smaller --width.",
        code="too_little_memory",
    )


def _check_room(run: Run, vocabulary: int, folder: Path) -> None:
    """
    Raises:
        ModelFailed: the weights alone need more memory, or the checkpoints more disk, than there is.
    """
    with torch.device("meta"):  # sizes without memory
        size = sum(one.numel() for one in make_network(run.architecture, run.shape, vocabulary).parameters())
    needed, free = size * _BYTES_A_WEIGHT, memory_free()
    if needed > free:
        raise ModelFailed(
            f"Training {size / 1e6:,.1f} million weights needs about {needed / 2**30:,.1f} GiB of memory, "
            f"and {free / 2**30:,.1f} are free.",
            fix="Give a smaller --width, fewer --layers or a smaller --vocabulary.",
            code="too_little_memory",
        )
    wanted, left = size * 12 * _CHECKPOINTS, shutil.disk_usage(folder).free
    if wanted > left:
        raise ModelFailed(
            f"The checkpoints need about {wanted / 2**30:,.1f} GiB, and {left / 2**30:,.1f} are free at {folder}.",
            fix="Make room, or give another --out.",
            code="disk_full",
        )
