"""Which folder is a checkpoint, and which checkpoint a run's folder means. Nothing here needs PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

CHECKPOINT, RUN, METRICS = "checkpoint.json", "run.json", "metrics.jsonl"


def find(path: Path, *, wants_last: bool = False) -> Path | None:
    """The checkpoint that a path means: itself, or the best (or last) of a run's folder. None if it is neither."""
    if (path / CHECKPOINT).is_file():
        return path
    known = read_run(path)
    for name in (known.get("last"), known.get("best")) if wants_last else (known.get("best"), known.get("last")):
        if name and (path / name / CHECKPOINT).is_file():
            return path / name
    if (path / METRICS).is_file() or (path / RUN).is_file():  # killed between its first rename and run.json
        return max((one.parent for one in path.glob(f"step-*/{CHECKPOINT}")), default=None)
    return None


def read_run(folder: Path) -> dict[str, str]:
    """Names of the `last` checkpoint of a run, the one `before` it, and the `best`."""
    try:
        found = json.loads((folder / RUN).read_text("utf-8"))
        return {name: str(found[name]) for name in ("last", "before", "best") if found.get(name)}
    except (OSError, ValueError, AttributeError):
        return {}
