"""How fast a character model learns beside nanoGPT, and how well: its published setting for a processor, the same text.

    python tests/bench/bench_train_lm.py NANOGPT INPUT.txt [ROUNDS] [STEPS]     speed, both in turn
    python tests/bench/bench_train_lm.py quality INPUT.txt                      2,000 steps, the validation loss

NANOGPT is a checkout of karpathy/nanoGPT, INPUT.txt Tiny Shakespeare. Setting: 4 layers, 4 heads, width 128, context
64, batch 12, no dropout, AdamW (0.9, 0.99), weight decay 0.1, clipping at 1. Its loop is that of its train.py, without
compilation, as its README says for a processor. Counted are targets a second of processor time, with one thread.
Ours is measured as it comes, and once more in float32: where a processor multiplies bfloat16, as it comes is that.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from palaver_train.config import Run, make_run
from palaver_train.events import Interval
from palaver_train.session import begin

CONTEXT, BATCH = 64, 12
SETTING: dict[str, Any] = {
    "layers": 4, "heads": 4, "width": 128, "context": CONTEXT, "batch": BATCH, "dropout": 0.0, "warmup": 100,
    "learning_rate": 1e-3, "weight_decay": 0.1, "beta2": 0.99, "clip": 1.0, "seed": 1,
}  # fmt: skip


def main(peer: Path, text: Path, rounds: int, steps: int) -> None:
    """Print both rates of each round, and the medians of the paired ratios."""
    sys.path.insert(0, str(peer))
    data = text.read_text("utf-8")
    ratios: dict[str, list[float]] = {"auto": [], "float32": []}
    theirs(data, 5)
    for _ in range(rounds):
        told = {precision: ours(text, steps, precision) for precision in ratios}
        rate = theirs(data, steps)
        for precision, own in told.items():
            ratios[precision].append(own / rate)
        print(f"  nanoGPT {rate:7,.0f}   palaver {told['auto']:7,.0f}   in float32 {told['float32']:7,.0f} targets/s")
    for precision, found in ratios.items():
        print(f"{precision}: {statistics.median(found):.2f} times nanoGPT, median of {rounds}")


def ours(text: Path, steps: int, precision: str) -> float:
    """Targets a second of our trainer, from the first step told to the last; begin and end are no training."""
    run = make_run(
        "lm",
        {**SETTING, "text": str(text), "steps": steps + 5, "log_every": 5, "evaluate_every": steps + 5,
         "evaluate_batches": 1, "precision": precision},
    )  # fmt: skip
    times: list[float] = []

    def listen(event: object) -> None:
        if isinstance(event, Interval):
            times.append(time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        begin(run, Path(folder) / "run", on_event=listen)
    # The last interval holds an evaluation, so it is left out.
    return (len(times) - 2) * 5 * BATCH * CONTEXT / (times[-2] - times[0])


def theirs(data: str, steps: int) -> float:
    """Targets a second of nanoGPT's loop."""
    with contextlib.redirect_stdout(io.StringIO()):
        from model import GPT, GPTConfig  # type: ignore[import-not-found]

        letters = sorted(set(data))
        numbers = {letter: number for number, letter in enumerate(letters)}
        tokens = np.array([numbers[letter] for letter in data[: int(len(data) * 0.9)]], dtype=np.uint16)
        torch.manual_seed(1337)
        setting = {"n_layer": 4, "n_head": 4, "n_embd": 128, "block_size": CONTEXT, "bias": False, "dropout": 0.0}
        network = GPT(GPTConfig(vocab_size=len(letters), **setting))
        optimizer = network.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        places = torch.randint(len(tokens) - CONTEXT, (BATCH,))
        x = torch.stack([torch.from_numpy(tokens[i : i + CONTEXT].astype(np.int64)) for i in places])
        y = torch.stack([torch.from_numpy(tokens[i + 1 : i + 1 + CONTEXT].astype(np.int64)) for i in places])
        return x, y

    began = time.process_time()
    for _ in range(steps):
        _, loss = network(*batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()  # train.py prints it at each step, as its README sets log_interval
    return steps * BATCH * CONTEXT / (time.process_time() - began)


def quality(text: Path) -> None:
    """The loss over the whole validation part after 2,000 steps, at the peer's learning rate and at a higher one."""
    for rate in (1e-3, 3e-3):
        run: Run = make_run(
            "lm", {**SETTING, "text": str(text), "steps": 2000, "evaluate_every": 2000, "learning_rate": rate}
        )
        with tempfile.TemporaryDirectory() as folder:
            ended = begin(run, Path(folder) / "run")
        print(f"learning rate {rate:g}: validation loss {ended.best_loss:.4f} (nanoGPT publishes 1.88)")


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1] == "quality":
        quality(Path(sys.argv[2]))
    else:
        given = [int(one) for one in sys.argv[3:]]
        main(Path(sys.argv[1]), Path(sys.argv[2]), *(given + [5, 60][len(given) :]))
