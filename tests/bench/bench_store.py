"""How long history takes with 100,000 turns: `python tests/bench/bench_store.py [ROWS]`. A table, not a test.

Medians and the slowest of seven calls, warm, through the public `Store`. The file is made in a temporary folder.
"""

from __future__ import annotations

import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from palaver.metric import Score
from palaver.model import Generation
from palaver.store import Store, TurnStart, parse_filter, process, sqlite_version, writes
from palaver.store.sqlite import Connection

TASKS = ("translate", "summarize", "qa", "chat")
MODELS = ("opus-mt-en-de", "nllb-200-600M", "qwen2.5-0.5b", "smollm2", "lead-3")


def fill(store: Store, rows: int) -> float:
    """Rows a second, in commits of 500 with two scores each."""
    chance = random.Random(1)
    syllables = [a + b for a in "bcdfghklmnprst" for b in "aeiou"]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(20_000)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))  # as in natural text: Zipf 1949
    owner, run_id = process.this_process(), store.begin_run("eval", "bench")

    def text(length: int) -> str:
        return " ".join(chance.choices(words, cum_weights=weights, k=length))

    def some(db: Connection) -> None:
        for _ in range(500):
            model, given, output = chance.choice(MODELS), text(60), text(40)
            start = TurnStart(run_id, chance.choice(TASKS), model, f"b:{model}", {"text": given}, given, plugin="p")
            turn_id = writes.begin_turn(db, start, owner, "0")
            writes.finish_turn(
                db, turn_id, output, output, "complete", Generation(output, "stop", 80, 60, 0.1, 1.0), ""
            )
            scores = [
                Score(name, name, chance.uniform(0, 100), "sentence", 1, tuple(range(10)), "corpus")
                for name in ("bleu", "chrf")
            ]
            writes.add_scores(db, turn_id, scores)
            if chance.random() < 0.02:
                writes.rate(db, turn_id, chance.randint(1, 5))

    began = time.perf_counter()
    for _ in range(rows // 500):
        store._writer.submit(some).result()
    return rows / (time.perf_counter() - began)


def timed(name: str, call: Callable[[], object], *, times: int = 7) -> None:
    took: list[float] = []
    result: object = None
    for _ in range(times):
        began = time.perf_counter()
        result = call()
        took.append((time.perf_counter() - began) * 1000)
    shown = f"{len(result)} rows" if isinstance(result, list) else result if isinstance(result, int) else ""
    print(f"{name:<52} {statistics.median(took):9.2f} ms {max(took):9.2f} ms   {shown}")


def main(rows: int) -> None:
    """Fill, then ask what the screens ask."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.db"
        with Store.open(path) as store:
            speed = fill(store, rows)
        size = path.stat().st_size / 1e6
        print(f"SQLite {sqlite_version}, {rows:,} turns, {size:.0f} MB, written at {speed:,.0f} turns/s")
        print(f"{'':<52} {'median':>12} {'slowest':>12}")
        timed("open and close", lambda: Store.open(path).close())
        with Store.open(path) as store:
            timed("page: newest 50", store.page)
            timed("page: 50 before the middle", lambda: store.page(before=rows // 2))
            timed("page: 50 from offset 99 %", lambda: store.lines(store.ids_at(offset=rows * 99 // 100)))
            timed("ids: all, for a virtual table", store.ids)
            timed("count: all", store.count)
            timed("turn in full", lambda: bool(store.turn(rows // 2)))
            with_words = store.turn(rows).output.split()
            common, rare = max(with_words, key=len), " ".join(with_words[:3])
            for query in (
                "task:translate",
                "model:opus* task:translate",
                "chrf<50",
                "chrf<0.05",
                "task:translate model:opus* chrf<50 since:7d",
                "since:7d",
                "rating>3",
                "is:failed",
                common,
                f'"{rare}"',
                f"{common} chrf<50",
                f"-{common}",
                "ba",
                "zz",
            ):
                parsed = parse_filter(query)
                timed(f"page: {query}", lambda parsed=parsed: store.page(parsed))  # type: ignore[misc]
                timed(f"count: {query}", lambda parsed=parsed: store.count(parsed))  # type: ignore[misc]
            timed("count up to 1,000: chrf<50", lambda: store.count(parse_filter("chrf<50"), limit=1000))
            timed("corpus chrf of one model", lambda: store.corpus(parse_filter("model:smollm2"), "chrf"), times=3)
            run_id = store.begin_run("chat")
            start = TurnStart(run_id, "chat", "m", "b:m", {"text": "hello there"}, "hello there")
            timed("begin a turn (one commit, with fsync)", lambda: bool(store.begin_turn(start)), times=30)
            turn_id = store.begin_turn(start)
            timed("draft handed over", lambda: bool(store.draft(turn_id, "word " * 400)), times=30)
            timed("draft on the disk", lambda: store.draft(turn_id, "word " * 400).result(), times=30)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
