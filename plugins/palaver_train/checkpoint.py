"""Checkpoints: weights, tokenizer and all that a run needs to go on, in a folder that is either whole or not there.

    RUN/run.json                 which checkpoint is the last, which the best
    RUN/metrics.jsonl            what happened
    RUN/step-00002000/           one checkpoint: the last two and the best are kept, and more with --keep
        checkpoint.json          architecture, shape, settings, where the run stood
        model.safetensors        the weights, in float32
        optimizer.safetensors    AdamW's moments
        tokenizer.json
        manifest.json            the SHA-256 of each file

A folder is written under a name with a dot, synced, and renamed; run.json is replaced after that. Whenever the power
goes, run.json names folders that are whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from palaver import ModelFailed, weights
from palaver_train.config import Run
from palaver_train.places import CHECKPOINT, RUN, read_run
from palaver_train.tokens import TextTokenizer

TOKENIZER = "tokenizer.json"
WEIGHTS, OPTIMIZER = "model.safetensors", "optimizer.safetensors"
SCHEMA = "palaver.checkpoint/1"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands: with the seed, all that decides how it goes on."""

    step: int = 0
    epoch: int = 0
    index: int = 0
    """Batches of the epoch that are done."""
    seconds: float = 0.0
    scale: float = 1.0
    """What the learning rate has been lowered to."""
    best_loss: float | None = None
    best_step: int = 0
    best_epoch: float = 0.0
    bad: int = 0
    """Evaluations in a row that were not better than the best."""
    is_overfitting: bool = False


@dataclass(frozen=True, slots=True)
class Description:
    """What a checkpoint says of itself."""

    folder: Path
    run: Run
    vocabulary: int
    progress: Progress
    validation_loss: float | None
    digest: str
    """Of the data."""


def save(
    folder: Path,
    run: Run,
    tokenizer: TextTokenizer,
    model: Mapping[str, Tensor],
    optimizer: Mapping[str, Tensor],
    progress: Progress,
    *,
    validation_loss: float | None,
    digest: str,
) -> str:
    """Write a checkpoint into the folder of its run, and forget those that nobody needs; its name.

    Raises:
        ModelFailed: the disk is full; the checkpoints before are as they were.
    """
    from safetensors.torch import save as as_bytes

    name = f"step-{progress.step:08}"
    draft = folder / f".{name}.{os.getpid()}"
    said = {
        "schema": SCHEMA,
        "architecture": run.architecture,
        "vocabulary": tokenizer.size,
        "validation_loss": validation_loss,
        "progress": {one: getattr(progress, one) for one in Progress.__slots__},
        "data": digest,
        "run": run.to_json(),
    }
    try:
        _sweep(folder)
        draft.mkdir()
        entries = {}
        for file, content in (
            (WEIGHTS, as_bytes({key: value.contiguous() for key, value in _unshared(model).items()})),
            (OPTIMIZER, as_bytes({key: value.contiguous() for key, value in optimizer.items()})),
            (TOKENIZER, tokenizer.to_json().encode()),
            (CHECKPOINT, json.dumps(said, indent=1, ensure_ascii=False).encode()),
        ):
            _write(draft / file, content)
            entries[file] = weights.Entry.now(file, hashlib.sha256(content).hexdigest(), len(content), "palaver train")
        weights.write_manifest(draft, entries)
        final = folder / name
        if final.exists():  # the same step again, after a run that was resumed from an earlier one
            final.rename(folder / f".old-{name}.{os.getpid()}")
        draft.rename(final)
        weights.sync_folder(folder)
        known = read_run(folder)
        is_best = progress.best_step == progress.step and progress.best_loss is not None
        now = {"last": name, "before": known.get("last", ""), "best": name if is_best else known.get("best") or name}
        weights.replace(folder / RUN, json.dumps({"schema": "palaver.run/1", **now}, indent=1).encode())
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        last = read_run(folder).get("last")
        kept = f"{last} is as it was" if last else "there is none before it"
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else (error.strerror or str(error))
        raise ModelFailed(
            f"The checkpoint of step {progress.step:,} cannot be written to {folder}: {reason}; {kept}.",
            fix=f"Make room, then: palaver train resume {folder}",
            code="checkpoint_failed",
        ) from error
    _forget(folder, {one for one in now.values() if one} | _spread(folder, run.training.keep))
    return name


def describe(folder: Path) -> Description:
    """What the checkpoint in a folder is.

    Raises:
        ModelFailed: it is damaged, or of another version.
    """
    try:
        said = json.loads((folder / CHECKPOINT).read_text("utf-8"))
        if said.get("schema") != SCHEMA:
            raise ModelFailed(
                f"{folder} is a checkpoint of another version: {said.get('schema')}.",
                fix="Use the Palaver that wrote it.",
                code="model_unknown",
            )
        run = Run.from_json(said["run"])
        loss = said["validation_loss"]
        return Description(folder, run, int(said["vocabulary"]), Progress(**said["progress"]), loss, str(said["data"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, str(error)) from error


def read_weights(folder: Path, file: str = WEIGHTS) -> dict[str, Tensor]:
    """The tensors of a checkpoint's file, which is what the manifest says.

    Raises:
        ModelFailed: it is damaged.
    """
    from safetensors.torch import load_file

    try:
        for one in (file, TOKENIZER):
            weights.verify(folder / one, name=folder.name)
        found: dict[str, Tensor] = load_file(str(folder / file))
        return found
    except ModelFailed as error:
        raise ModelFailed(error.message, fix="Use another checkpoint of the run.", code="model_damaged") from error
    except Exception as error:  # of safetensors, in Rust
        raise _damaged(folder, " ".join(str(error).split())[:200]) from error


def load_into(network: Any, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Give a network the weights of a file; tied weights stand there once.

    Raises:
        ModelFailed: they are those of another network.
    """
    wanted = _unshared(network.state_dict())
    wrong = sorted(set(wanted) ^ set(tensors)) or [
        name for name, tensor in tensors.items() if tensor.shape != wanted[name].shape
    ]
    if wrong:
        raise _damaged(folder, f"{wrong[0]} does not fit the architecture")
    network.load_state_dict(dict(tensors), strict=False)


def _unshared(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor under its first name."""
    seen: set[tuple[int, int]] = set()
    found = {}
    for name, tensor in tensors.items():
        place = (tensor.data_ptr(), tensor.numel())
        if tensor.numel() and place in seen:
            continue
        seen.add(place)
        found[name] = tensor
    return found


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sweep(folder: Path) -> None:
    """Remove what a process that was killed has left."""
    for left in (*folder.glob(".step-*"), *folder.glob(".old-step-*")):
        shutil.rmtree(left, ignore_errors=True)


def _spread(folder: Path, keep: int) -> set[str]:
    """Names of so many checkpoints, the first and the last among them, with like distances between them.

    Of two neighbours that are too many, the one goes whose leaving makes the smallest gap: so they stay spread without
    knowing how long the run will be.
    """
    names = sorted(one.name for one in folder.glob("step-*"))
    while len(names) > max(keep, 2):
        steps = [int(one.rpartition("-")[2]) for one in names]
        at = min(range(1, len(names) - 1), key=lambda at: (steps[at + 1] - steps[at - 1], at))
        del names[at]
    return set(names) if keep else set()


def _forget(folder: Path, kept: set[str]) -> None:
    for one in folder.glob("step-*"):
        if one.name not in kept:
            with contextlib.suppress(OSError):
                gone = one.rename(folder / f".old-{one.name}.{os.getpid()}")
                shutil.rmtree(gone, ignore_errors=True)


def _damaged(folder: Path, why: str) -> ModelFailed:
    return ModelFailed(
        f"The checkpoint in {folder} is damaged: {why}.", fix="Use another checkpoint of the run.", code="model_damaged"
    )
