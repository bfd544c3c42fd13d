"""Train language models, autoencoders and sequence-to-sequence models on your own text, and use what comes out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from palaver import Backend, Task, hookimpl

if TYPE_CHECKING:
    import click


@hookimpl
def palaver_tasks() -> Iterable[type[Task]]:
    """The task `reconstruct`, which autoencoders do."""
    from palaver_train.reconstruct import Reconstruct

    return [Reconstruct]


@hookimpl
def palaver_backends() -> Iterable[Backend]:
    """The backend `trained`: folders that `palaver train` has written."""
    from palaver_train.backend import Trained

    return [Trained()]


@hookimpl
def palaver_commands(group: click.Group) -> None:
    """Add `palaver train` and `palaver data`."""
    from palaver_train import ask_commands, commands, data_commands

    ask_commands.add_to(commands.add_to(group))
    data_commands.add_to(group)
