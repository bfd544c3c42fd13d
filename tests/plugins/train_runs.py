"""Tiny runs for the tests of training: texts, pairs, and settings that take a second."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from palaver_train.config import Kind, Run, make_run
from palaver_train.events import Event
from palaver_train.session import begin

TEN = [
    "the cat sat on the mat", "a dog ran in the rain", "two birds sing at dawn", "the old ship left the port",
    "rain fell on the town", "she reads by the fire", "he walks to the sea", "the bell rang at noon",
    "a fox hid in the snow", "bread and salt and wine",
]  # fmt: skip
SMALL: dict[str, Any] = {"width": 32, "layers": 2, "heads": 2, "context": 32, "dropout": 0.0, "batch": 8, "warmup": 5}


def text_file(folder: Path, lines: int = 200) -> Path:
    """A text of made-up sentences."""
    generator = random.Random(1)
    words = sorted({word for line in TEN for word in line.split()})
    path = folder / "text.txt"
    path.write_text("".join(" ".join(generator.choices(words, k=6)) + ".\n" for _ in range(lines)), "utf-8")
    return path


def pair_files(folder: Path, count: int = 60) -> dict[str, str]:
    """Sources, and the same words backwards as targets."""
    generator = random.Random(2)
    words = sorted({word for line in TEN for word in line.split()})
    sources = [" ".join(generator.sample(words, k=generator.randint(2, 5))) for _ in range(count)]
    found = {"source": folder / "a.txt", "target": folder / "b.txt"}
    found["source"].write_text("".join(f"{line}\n" for line in sources), "utf-8")
    found["target"].write_text("".join(" ".join(line.split()[::-1]) + "\n" for line in sources), "utf-8")
    return {name: str(path) for name, path in found.items()}


def small_run(kind: Kind, folder: Path, **settings: Any) -> Run:
    """A run over the texts of this module, made in the folder."""
    if kind == "seq2seq":
        data: dict[str, Any] = {**pair_files(folder), "tokenizer": "word"}
    elif kind == "autoencoder":
        (folder / "ten.txt").write_text("".join(f"{line}\n" for line in TEN * 3), "utf-8")
        data = {"text": str(folder / "ten.txt"), "tokenizer": "word", "valid_share": 0.2}
    else:
        data = {"text": str(text_file(folder))}
    return make_run(kind, {**SMALL, **data, "steps": 4, "evaluate_every": 2, **settings})


def trained(run: Run, folder: Path) -> list[Event]:
    """What happened in a run."""
    told: list[Event] = []
    begin(run, folder, on_event=told.append)
    return told
