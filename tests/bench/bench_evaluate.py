"""What an evaluation costs beside generating and scoring: a model that takes no time, over N made-up examples.

    .venv/bin/python tests/bench/bench_evaluate.py [N]

The budget is 1 ms an example. Alternates scoring alone and whole evaluations five times; prints medians of processor
time, that of the thread which writes history included.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from palaver.data import Dataset
from palaver.evaluate import Evaluation
from palaver.example import Example
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.runs import Plan, begin
from palaver.store import Store

ROUNDS = 5


def main(count: int) -> None:
    rng = random.Random(1)
    words = [f"word{n}" for n in range(2000)]
    texts = [" ".join(rng.choices(words, k=25)) for _ in range(2 * count)]
    pairs = zip(texts[:count], texts[count:], strict=True)
    examples = tuple(Example({"text": text}, (other,), str(n)) for n, (text, other) in enumerate(pairs))
    dataset = Dataset("made up", "made up", examples)
    registry = Registry(Plugins())
    metric = registry.metric("chrf")
    plan = Plan(
        task="summarize",
        options={"length": 1},
        model="copy",
        dataset="made up",
        name="made up",
        digest=dataset.digest,
        metrics=("chrf",),
        n=count,
    )
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


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
