"""How much faster than rouge-score: both on the same pairs in turn, five times; the median of the paired ratios.

    python tests/bench/bench_rouge.py PAIRS.jsonl[.gz] [COUNT]

Each line of the file has `source` (a list of sentences) and `target` (a list of references), as SciTLDR has.
"""

from __future__ import annotations

import gzip
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer

from palaver.example import Example
from palaver_metrics.rouge import RougeL, RougeLsum, RougeN


def main(path: Path, count: int) -> None:
    """Print the ratio, and how many of the scores differ at all."""
    pairs = load(path, count)
    rouges = (RougeN(1), RougeN(2), RougeL(), RougeLsum())
    theirs = RougeScorer([rouge.name for rouge in rouges])

    def run_theirs() -> list[float]:
        return [score.fmeasure for output, refs in pairs for score in theirs.score_multi(refs, output).values()]

    def run_ours() -> list[float | None]:
        return [rouge.score(output, Example({}, refs)).value for output, refs in pairs for rouge in rouges]

    differ = sum(mine != other for mine, other in zip(run_ours(), run_theirs(), strict=True))
    rounds = [(seconds(run_theirs), seconds(run_ours)) for _ in range(5)]
    ratio = statistics.median(slow / quick for slow, quick in rounds)
    rate = len(pairs) / statistics.median(quick for _, quick in rounds)
    print(f"{len(pairs)} pairs, 4 metrics: {ratio:.1f} times rouge-score ({rate:,.0f} pairs/s), {differ} scores differ")


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def load(path: Path, count: int) -> list[tuple[str, tuple[str, ...]]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        rows = map(json.loads, itertools.islice(file, count))
        return [("\n".join(row["source"][:3]), tuple(row["target"])) for row in rows]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
