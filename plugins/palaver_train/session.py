"""Begin a run in a folder, or go on with one: what the command line, the terminal UI and a search call."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from palaver import BadInput, UsageError
from palaver_train.config import Run
from palaver_train.control import Control
from palaver_train.events import Ended, Event
from palaver_train.needs import require
from palaver_train.places import METRICS, find


def begin(
    run: Run,
    folder: Path,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    control: Control | None = None,
) -> Ended:
    """Train a new model into a folder.

    Raises:
        UsageError: there is a run in the folder already. BadInput: the data cannot be used.
        ModelFailed: memory or disk do not suffice, or training diverged.
    """
    require("torch", "safetensors", "tokenizers")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from palaver_train.material import prepare, write_test
    from palaver_train.team import Team

    if find(folder) is not None:
        raise UsageError(
            f"{folder} holds a run already.", fix=f"palaver train resume {folder}, or another --out", code="run_exists"
        )
    material = prepare(run)
    team = Team()
    if team.is_first:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / METRICS).unlink(missing_ok=True)
        write_test(material, folder)
    team.wait()
    from palaver_train.launch import launch

    return launch(run, material, folder, team, None, on_event=on_event, control=control)


def resume(
    folder: Path,
    changes: dict[str, object] | None = None,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    control: Control | None = None,
) -> Ended:
    """Go on with the run of a folder from its last checkpoint; `changes` are other steps, epochs or minutes.

    Raises:
        BadInput: there is none, or its text has changed. ModelFailed: as in `begin`.
    """
    require("torch", "safetensors", "tokenizers")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    from palaver_train import checkpoint
    from palaver_train.launch import launch
    from palaver_train.material import prepare
    from palaver_train.team import Team
    from palaver_train.tokens import TextTokenizer

    last = find(folder, wants_last=True)
    if last is None:
        raise BadInput(f"{folder} holds no run.", fix="palaver train --help", code="no_run")
    found = checkpoint.describe(last)
    run = dataclasses.replace(found.run, training=dataclasses.replace(found.run.training, **(changes or {})))  # type: ignore[arg-type]
    material = prepare(run, TextTokenizer.read(last / checkpoint.TOKENIZER))
    if material.digest != found.digest:
        raise BadInput(
            f"The text that {folder} learnt from has changed: to go on would mix two data sets.",
            fix="Put the text back, or begin another run.",
            code="data_changed",
        )
    return launch(
        run, material, folder if last != folder else folder.parent, Team(), found, on_event=on_event, control=control
    )
