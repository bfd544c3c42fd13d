"""What a command costs beside the generation itself, while the shared engine is warm.

    python tests/bench/bench_warm.py [alternations] [tokens]

The same question is asked twice, one after the other: by `palaver generate` in a process of its own, and straight from
the engine's socket by this one. The difference is Python's start, the imports, the history and the printing. Medians
over the alternations; processor time beside wall-clock time, because the latter counts who else was busy.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from palaver import GenerationConfig, Message, Request
from palaver.pull import pull
from palaver.warm import WarmModel, stop_engine
from palaver_llamacpp.catalogue import SMOLLM2, located

TEXT = "Write one sentence about the sea."


def seconds_of_command(tokens: int) -> tuple[float, float]:
    """Wall-clock and processor seconds of one command."""
    command = [sys.executable, "-m", "palaver", "generate", "--temperature", "0", "--quiet", "--no-cache"]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    said = subprocess.run(
        [*command, "--max-new-tokens", str(tokens), TEXT], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    spent, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert said.stdout.strip()
    return spent, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds_of_generation(model: WarmModel, tokens: int) -> float:
    """The same answer from the engine."""
    request = Request((Message("user", TEXT),), "generate")
    begun = time.perf_counter()
    last = list(model.stream([request], GenerationConfig(max_new_tokens=tokens), threading.Event()))[-1]
    assert last.finish_reason in ("length", "stop")
    return time.perf_counter() - begun


def bare_seconds() -> float:
    """A Python that does nothing."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - begun


def main(alternations: int = 15, tokens: int = 24) -> None:
    """Measure and print."""
    pull(SMOLLM2, on_progress=lambda progress: None, cancel=threading.Event())
    info = located(SMOLLM2)
    with tempfile.TemporaryDirectory(prefix="pv") as runtime:
        os.environ["XDG_RUNTIME_DIR"] = runtime
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # users have the compiled files that pip wrote
        os.environ["PALAVER_HISTORY"] = str(Path(runtime) / "history.db")
        try:
            model = WarmModel(info, module="palaver_llamacpp")
            seconds_of_generation(model, tokens), seconds_of_command(tokens)
            rows = [
                (*seconds_of_command(tokens), seconds_of_generation(model, tokens), bare_seconds())
                for _ in range(alternations)
            ]
        finally:
            stop_engine()
    beside = statistics.median(whole - generation for whole, _, generation, _ in rows)
    whole, processor, generation, bare = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"command {whole:.3f} s, generation {generation:.3f} s, beside it {beside:.3f} s")
    print(f"processor time of the command {processor:.3f} s; an empty Python takes {bare:.3f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
