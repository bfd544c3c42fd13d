"""The backend `trained`: the folder of a run, or of one of its checkpoints, is a model that does its task."""

from __future__ import annotations

import json
import re
from pathlib import Path

from palaver import Model, ModelInfo
from palaver.tongues import code_of
from palaver_train.config import Kind
from palaver_train.needs import require
from palaver_train.places import CHECKPOINT, METRICS, RUN, find

BEAMS = 5
TASKS: dict[Kind, tuple[str, ...]] = {"lm": ("generate",), "autoencoder": ("reconstruct",)}


def beams_of(options: str) -> int | None:
    """Beams that a seq2seq model writes with; None for what means nothing."""
    if options in ("", "greedy"):
        return BEAMS if not options else 1
    found = re.fullmatch(r"beams=([1-9]\d?)", options)
    return int(found[1]) if found else None


class Trained:
    """Loads what `palaver train` has written."""

    name = "trained"
    isolated = True

    def resolve(self, name: str) -> ModelInfo | None:
        """The path of a run's folder, which means its best checkpoint, or of a checkpoint's.

        After it may stand how a seq2seq model writes: `#greedy`, `#beams=8`.
        """
        path, _, options = name.partition("#")
        beams = beams_of(options)
        folder = Path(path).expanduser()
        if not ((folder / CHECKPOINT).is_file() or (folder / RUN).is_file() or (folder / METRICS).is_file()):
            return None
        found = find(folder.resolve())
        if found is None or beams is None:
            return None
        try:
            said = json.loads((found / CHECKPOINT).read_text("utf-8"))
            kind, data = said["run"]["kind"], said["run"]["data"]
            tasks = (data.get("task") or "generate",) if kind == "seq2seq" else TASKS[kind]
            context = int(said["run"]["shape"]["context"])
            told = f"{said['architecture']}, trained for {said['progress']['step']:,} steps"
            size = (found / "model.safetensors").stat().st_size
            named = (str(data.get(f"{side}_language") or "") for side in ("source", "target"))
            languages = tuple(code_of(one) or one for one in named)
        except (OSError, ValueError, KeyError, TypeError):
            return ModelInfo(name=name, backend=self.name, path=str(found))  # refused when it is loaded
        return ModelInfo(
            name=f"{_label(folder.resolve(), found)}{'#' if options else ''}{options}",
            backend=self.name,
            title=folder.resolve().name,
            tasks=tasks,
            good_at=tasks,
            context=context,
            description=told,
            path=str(found),
            pairs=("-".join(languages),) if all(languages) and tasks == ("translate",) else (),
            memory=2 * size + 250_000_000,  # weights, what is computed, PyTorch itself
        )

    def load(self, info: ModelInfo) -> Model:
        """Load the checkpoint.

        Raises:
            ModelFailed: it is damaged, or PyTorch is not installed.
        """
        require("torch", "safetensors", "tokenizers")
        from palaver_train.model import load

        return load(info)


def _label(given: Path, found: Path) -> str:
    """A run's folder by its name, one of its checkpoints with the run's before it."""
    return given.name if given != found else f"{given.parent.name}/{given.name}"
