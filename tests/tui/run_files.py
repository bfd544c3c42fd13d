"""The files of a training run, written by hand: an over-fitting one, without anything being trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEXT = "The old bridge reopened on Monday. It had been closed for two years, and the traders had lost money."
BEGUN = {
    "event": "begun", "step": 0, "steps": 100, "architecture": "transformer_lm.v1", "parameters": 110_000,
    "vocabulary": 65, "train_tokens": 9000, "valid_tokens": 1000, "device": "cpu", "precision": "float32",
    "processes": 1, "notes": [],
}  # fmt: skip


def interval(step: int, train: float, valid: float | None = None) -> dict[str, Any]:
    return {
        "event": "interval", "step": step, "epoch": step / 10, "train_loss": train, "learning_rate": 1e-3,
        "gradient_norm": 1.0, "tokens_per_second": 12_345.0, "seconds": float(step), "validation_loss": valid,
    }  # fmt: skip


RISING = [interval(step, 4 / (1 + step / 10), 2 + abs(step - 40) / 50) for step in range(10, 80, 10)]
"""Evaluated at each of them; best at step 40."""
ALARM = {"event": "overfitting", "step": 60, "since_epoch": 4.0, "since_step": 40, "best_loss": 2.0, "loss": 2.4}
SAMPLED = {
    "event": "sampled", "step": 70, "epoch": 7.0,
    "samples": [["\n", "Nobody it had been closed for two years and the traders sang"]],
}  # fmt: skip
ENDED = {
    "event": "ended", "step": 70, "epoch": 7.0, "reason": "stopped", "best_step": 40, "best_loss": 2.0, "seconds": 70.0,
}  # fmt: skip


def write(folder: Path, *events: dict[str, Any]) -> Path:
    """A run's folder, with a checkpoint at the steps 30, 40 and 70."""
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events), "utf-8")
    (folder.parent / "text.txt").write_text(TEXT, "utf-8")
    said = {"run": {"kind": "lm", "data": {"text": "text.txt"}, "tokens": {"tokenizer": "word"}}}
    for step in (30, 40, 70):
        (folder / f"step-{step:08}").mkdir(exist_ok=True)
        (folder / f"step-{step:08}/checkpoint.json").write_text(json.dumps(said), "utf-8")
    (folder / "run.json").write_text(json.dumps({"last": "step-00000070", "best": "step-00000040"}), "utf-8")
    return folder
