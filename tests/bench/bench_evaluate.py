"""What an evaluation costs beside generating and scoring: a model that takes no time, over N made-up examples.

    .venv/bin/python tests/bench/bench_evaluate.py [N]
    .venv/bin/python tests/bench/bench_evaluate.py N MODEL [TOKENS]     beside real generation

The budget is 1 ms an example. Alternates scoring alone and whole evaluations five times; prints medians of processor
time, that of the thread which writes history included.

With MODEL (`smollm2`) it answers N of the examples, with at most TOKENS tokens each, in a process of its own, as an
evaluation does, and is scored by chrF and four ROUGE. Printed is the share of the time that is not the model's: of the
clock, and of the processor seconds of both processes. The budget is 2 %.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from palaver.data import Dataset
from palaver.evaluate import Evaluation
from palaver.example import Example
from palaver.model import GenerationConfig, Message, Request
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.runs import Plan, begin
from palaver.store import Store

ROUNDS = 5


def main(count: int) -> None:
    dataset = made_up(count)
    examples = dataset.examples
    registry = Registry(Plugins())
    metric = registry.metric("chrf")
    plan = plan_for(dataset, model="copy", metrics=("chrf",))
    alone: list[float] = []
    whole: list[float] = []
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "history.db") as store:
        for _ in range(ROUNDS):
            start = time.process_time()
            scores = [metric.score(one["text"], one) for one in examples]
            alone.append((time.process_time() - start) / count)
            start = time.process_time()
            found = Evaluation(registry, store, begin(store, plan), dataset, is_cached=False).run(threading.Event())
            whole.append((time.process_time() - start) / count)
            assert found.ended == {"complete": count}
            stats = [sum(column) for column in zip(*(one.stats for one in scores), strict=True)]
            chrf = found.score("chrf")
            assert chrf and chrf.score.value == metric.corpus(stats, count, scores[0].corpus_signature).value
    a, b = statistics.median(alone) * 1000, statistics.median(whole) * 1000
    print(
        f"{count} examples: scoring alone {a:.2f} ms an example, whole evaluation {b:.2f} ms, overhead {b - a:.2f} ms"
    )


def beside(count: int, model: str, tokens: int) -> None:
    """What is not generation in an evaluation by a real model."""
    registry, dataset = Registry(Plugins()), made_up(count)
    loaded = registry.model(registry.choose("summarize", model).name)
    hello = Request((Message("user", "Hello"),))
    for requests in ([hello], [hello, hello]):  # loaded, and its slots too
        list(loaded.stream(requests, GenerationConfig(max_new_tokens=1), threading.Event()))
    plan = plan_for(dataset, model=model, config={"max_new_tokens": str(tokens)})
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "history.db") as store:
        theirs = processor_seconds(loaded.pid)
        clock, ours = time.perf_counter(), time.process_time()
        found = Evaluation(registry, store, begin(store, plan), dataset, is_cached=False).run(threading.Event())
        clock, ours = time.perf_counter() - clock, time.process_time() - ours
        theirs = processor_seconds(loaded.pid) - theirs
    registry.close()
    assert sum(found.ended.values()) == count
    rest = clock - found.seconds
    print(f"{count} examples, {found.output_tokens} tokens by {model}")
    print(f"clock: {rest:.2f} of {clock:.1f} s are not the model's, {rest / clock:.2%}")
    print(f"processor: {ours:.2f} s beside the model's {theirs:.1f} s, {ours / (ours + theirs):.2%}; "
          f"{1000 * ours / count:.2f} ms an example")  # fmt: skip


def processor_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def made_up(count: int) -> Dataset:
    """Examples of 25 words, with a reference of as many."""
    rng = random.Random(1)
    words = [f"word{n}" for n in range(2000)]
    texts = [" ".join(rng.choices(words, k=25)) for _ in range(2 * count)]
    pairs = zip(texts[:count], texts[count:], strict=True)
    examples = tuple(Example({"text": text}, (other,), str(n)) for n, (text, other) in enumerate(pairs))
    return Dataset("made up", "made up", examples)


def plan_for(dataset: Dataset, **more: Any) -> Plan:
    """A plan to summarize it in one sentence."""
    return Plan(
        task="summarize",
        options={"length": 1},
        dataset=dataset.source,
        name=dataset.name,
        digest=dataset.digest,
        n=len(dataset.examples),
        **more,
    )


if __name__ == "__main__":
    asked_for = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    if len(sys.argv) > 2:
        beside(asked_for, sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 48)
    else:
        main(asked_for)
