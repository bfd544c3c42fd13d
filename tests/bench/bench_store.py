"""How long history takes with 100,000 turns: `python tests/bench/bench_store.py [ROWS [FILE]]`. A table, not a test.

Medians and the slowest of seven calls, warm, through the public `Store`. The file is made in a temporary folder, or is
FILE: made where it is not there, and kept; each use of it adds 50,000 turns.
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
from palaver.store import Answered, Store, TurnStart, parse_filter, sqlite_version

TASKS = ("translate", "summarize", "qa", "chat")
GROUP = 500
MORE = 50_000
"""Turns that are written at the end, to a history that is full already."""
MODELS = ("opus-mt-en-de", "nllb-200-600M", "qwen2.5-0.5b", "smollm2", "lead-3")


def vocabulary(chance: random.Random) -> list[str]:
    """20,000 words of syllables, the common ones first."""
    syllables = [a + b for a in "bcdfghklmnprst" for b in "aeiou"]
    return ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(20_000)]


def fill(store: Store, rows: int) -> tuple[float, float, float]:
    """Rows a second that history takes, in commits of 500 answers with two scores each: over all of them, the median
    of the last 200 commits, and over all by processor time.

    Making the texts does not count; all that is ever done for the search and the filters does. One row in 50 is rated.
    """
    chance = random.Random(1)
    words = vocabulary(chance)
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))  # as in natural text: Zipf 1949
    run_id = store.begin_run("eval", "bench")

    def text(length: int) -> str:
        return " ".join(chance.choices(words, cum_weights=weights, k=length))

    def answer(number: int) -> Answered:
        model, given, output = chance.choice(MODELS), text(30), text(20)
        task = chance.choice(TASKS)
        start = TurnStart(run_id, task, model, f"b:{model}", {"text": given}, given, plugin="p", example_id=str(number))
        scores = tuple(
            Score(name, name, chance.uniform(0, 100), "sentence", 1, tuple(range(10)), "corpus")
            for name in ("bleu", "chrf")
        )
        return Answered(start, "complete", output, output, Generation(output, "stop", 80, 60, 0.1, 1.0), "", (), scores)

    took, used = [], 0.0
    for first in range(0, rows, GROUP):
        answers = [answer(number) for number in range(first, min(first + GROUP, rows))]
        began, processor = time.perf_counter(), time.process_time()
        ids = store.add_answers(answers).result()
        took.append(time.perf_counter() - began)
        used += time.process_time() - processor
        for turn_id in ids[::50]:
            store.rate(int(turn_id or 0), chance.randint(1, 5))
    return rows / sum(took), GROUP / statistics.median(took[-200:]), rows / used


def any_word(store: Store) -> None:
    """Words from the most common to the rarest, and some that are nowhere: the slowest of 300."""
    words = vocabulary(random.Random(1))
    chosen = [words[rank] for rank in range(100)] + words[100::100] + ["nowhere"]
    medians = []
    for word in chosen:
        parsed, took = parse_filter(word), []
        for _ in range(5):
            began = time.perf_counter()
            store.page(parsed)
            took.append((time.perf_counter() - began) * 1000)
        medians.append((statistics.median(took), word))
    slowest, word = max(medians)
    middle = statistics.median(one for one, _ in medians)
    print(f"page: any of {len(chosen)} words: median {middle:.2f} ms, slowest '{word}' {slowest:.2f} ms")


def timed(name: str, call: Callable[[], object], *, times: int = 7) -> None:
    took: list[float] = []
    result: object = None
    for _ in range(times):
        began = time.perf_counter()
        result = call()
        took.append((time.perf_counter() - began) * 1000)
    shown = f"{len(result)} rows" if isinstance(result, list) else result if isinstance(result, int) else ""
    print(f"{name:<52} {statistics.median(took):9.2f} ms {max(took):9.2f} ms   {shown}")


def main(rows: int, kept: Path | None) -> None:
    """Fill, then ask what the screens ask."""
    with tempfile.TemporaryDirectory() as folder:
        path = kept or Path(folder) / "history.db"
        if not path.exists():
            with Store.open(path) as store:
                speed, last, used = fill(store, rows)
            print(f"written at {speed:,.0f} turns/s, the last at {last:,.0f}; {used:,.0f} a second of processor time")
        size = path.stat().st_size / 1e6
        print(f"SQLite {sqlite_version}, {rows:,} turns, {size:.0f} MB, {size / rows * 1e3:.2f} kB a turn")
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
                "run:1 chrf<50",
                "run:2 chrf<50",
                "since:7d",
                "rating>3",
                "is:failed",
                common,
                f'"{rare}"',
                f"{common[:4]}*",
                f"{common[:2]}*",
                f"*{common[1:5]}*",
                f"{common} chrf<50",
                f"-{common}",
                "ba",
                "zz",
            ):
                parsed = parse_filter(query)
                timed(f"page: {query}", lambda parsed=parsed: store.page(parsed))  # type: ignore[misc]
                timed(f"count: {query}", lambda parsed=parsed: store.count(parsed))  # type: ignore[misc]
            timed("count up to 1,000: chrf<50", lambda: store.count(parse_filter("chrf<50"), limit=1000))
            any_word(store)
            for query in (f"model:smollm2 id<={rows // 2}", "chrf<10", f"id<={rows // 10}"):
                parsed = parse_filter(query)
                n = store.count(parsed)
                began = time.process_time()
                timed(f"corpus: {query} ({n:,} turns)", lambda parsed=parsed: store.corpus(parsed, "chrf"), times=5)  # type: ignore[misc]
                print(f"{'':<52} {(time.process_time() - began) * 200:9.2f} ms of processor time")
            speed, last, used = fill(store, MORE)
            print(f"{MORE:,} more: {speed:,.0f} turns/s, the last {last:,.0f}; {used:,.0f} a second of processor time")
            run_id = store.begin_run("chat")
            start = TurnStart(run_id, "chat", "m", "b:m", {"text": "hello there"}, "hello there")
            timed("begin a turn (one commit, with fsync)", lambda: bool(store.begin_turn(start)), times=30)
            turn_id = store.begin_turn(start)
            timed("draft handed over", lambda: bool(store.draft(turn_id, "word " * 400)), times=30)
            timed("draft on the disk", lambda: store.draft(turn_id, "word " * 400).result(), times=30)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
