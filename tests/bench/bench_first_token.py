"""Whether a long chat reads its history again: the time to the first token, turn by turn, through a session.

    python tests/bench/bench_first_token.py [turns] [tokens]

Each turn asks a question of about thirty tokens and gets an answer of some length, so what a model without a prefix
cache would have to read grows by both each turn. At the end the whole prompt of the last turn is given to a model that
has just been loaded: what the last turn would have cost without the cache. Beside the wall clock stands the processor
time of the model's process, which does not count who else was busy.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from palaver import Chat, Example, GenerationConfig, ModelInfo, Request
from palaver.isolated import IsolatedModel
from palaver.plugins import Plugins
from palaver.pull import pull
from palaver.registry import Registry
from palaver.session import Ask, Session
from palaver.store import Store
from palaver_llamacpp.catalogue import SMOLLM2, located

QUESTION = "And what happened on day {} at the lighthouse, when the wind turned and the boats came home? One sentence."


def processor_seconds(pid: int | None) -> float:
    """Of a process so far; 0 of one that is not there yet."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_token(model: IsolatedModel, request: Request) -> float:
    """Seconds to the first text of an answer."""
    begun = time.perf_counter()
    cancel = threading.Event()
    for delta in model.stream([request], GenerationConfig(max_new_tokens=2), cancel):
        if delta.text:
            return time.perf_counter() - begun
    return 0.0


def cold(info: ModelInfo, request: Request) -> float:
    """The same of a model that has read nothing of it."""
    with IsolatedModel(info, module="palaver_llamacpp") as model:
        model.load()
        return first_token(model, request)


def main(turns: int = 12, tokens: int = 48) -> None:
    """Measure and print."""
    pull(SMOLLM2, on_progress=lambda progress: None, cancel=threading.Event())
    info = located(SMOLLM2)
    seconds: list[float] = []
    work: list[float] = []
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "history.db") as store:
        session = Session(Registry(Plugins()), store, model="smollm2")
        config = {"temperature": "0", "max_new_tokens": str(tokens)}
        for number in range(1, turns + 1):
            model = session.registry.model("smollm2")
            assert isinstance(model, IsolatedModel)
            before, at_first = processor_seconds(model.pid), list[float]()

            def heard(piece: str, model: IsolatedModel = model, at_first: list[float] = at_first) -> None:
                if not at_first:
                    at_first.append(processor_seconds(model.pid))

            asked = Ask(Chat(), Example({"text": QUESTION.format(number)}), config=config)
            outcome = session.ask(asked, on_text=heard)
            assert outcome.error is None, outcome.error
            work.append(at_first[0] - before)
            turn = outcome.turn
            seconds.append(turn.first_token_seconds or 0.0)
            took = f"first after {seconds[-1]:.3f} s, {work[-1]:.2f} s of work"
            print(f"turn {number:2}: {turn.prompt_tokens:5} prompt tokens, {took}", flush=True)
        session.close()
        whole = cold(info, Request(turn.prompt, "chat"))
    later, worked = statistics.median(seconds[-3:]), statistics.median(work[-3:])
    print(f"last three turns / turn 2: {later / seconds[1]:.2f}, by processor time {worked / work[1]:.2f}")
    print(f"the same prompt read anew: {whole:.3f} s, {whole / later:.1f} times as long")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
