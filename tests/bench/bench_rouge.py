"""How much faster than rouge-score: both on the same pairs in turn, five times; the median of the paired ratios.

    python tests/bench/bench_rouge.py SCITLDR_FOLDER [PAIRS]

Realistic pairs are made of the abstracts of SciTLDR: a reference of three to five sentences and an output of as many of
the same abstract, a line each, so that they share some and not all. Short pairs are its one-sentence summaries. All are
scored with the stemmer and without, each time by a new scorer that knows no text; then ROUGE-L of two long texts.
"""

from __future__ import annotations

import gzip
import json
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer

from palaver.example import Example
from palaver_metrics.rouge import Rouge, Rouge1, Rouge2, RougeL, RougeLsum
from palaver_metrics.rougetext import Texts

KINDS = (Rouge1, Rouge2, RougeL, RougeLsum)
NAMES = ("rouge1", "rouge2", "rougeL", "rougeLsum")

Pair = tuple[str, str]
"""Output and reference."""


def main(folder: Path, count: int) -> None:
    """Print each ratio, and how many of the scores differ at all."""
    papers = list(read(folder))
    for title, pairs in (("realistic", realistic(papers, count)), ("short", short(papers, count))):
        for is_stemmed in (False, True):
            compare(title, pairs, is_stemmed=is_stemmed)
    long_texts()


def compare(title: str, pairs: Sequence[Pair], *, is_stemmed: bool) -> None:
    """Both packages on the same pairs."""
    theirs = RougeScorer(list(NAMES), use_stemmer=is_stemmed)

    def run_theirs() -> list[float]:
        return [one.fmeasure for output, gold in pairs for one in theirs.score(gold, output).values()]

    def run_ours() -> list[float | None]:
        texts = Texts(is_stemmed=is_stemmed)
        rouges: list[Rouge] = [kind(texts) for kind in KINDS]
        examples = [(output, Example({}, (gold,))) for output, gold in pairs]
        return [rouge.score(output, example).value for output, example in examples for rouge in rouges]

    differ = sum(mine != other for mine, other in zip(run_ours(), run_theirs(), strict=True))
    rounds = [(seconds(run_theirs), seconds(run_ours)) for _ in range(5)]
    ratios = [slow / quick for slow, quick in rounds]
    rate = len(pairs) / statistics.median(quick for _, quick in rounds)
    words = sum(len(text.split()) for pair in pairs for text in pair) / len(pairs) / 2
    print(
        f"{title}{', stemmed' if is_stemmed else ''}: {len(pairs):,} pairs of {words:.0f} words, 4 metrics: "
        f"{statistics.median(ratios):.1f} times rouge-score ({min(ratios):.1f} to {max(ratios):.1f}), "
        f"{rate:,.0f} pairs/s, {differ} scores differ",
        flush=True,
    )


def long_texts() -> None:
    """Two texts of 10,000 words of a Zipf-like vocabulary."""
    rng = random.Random(7)
    words = [f"w{rank}" for rank in range(5_000)]
    weights = [1 / (rank + 1) for rank in range(5_000)]
    gold, output = (" ".join(rng.choices(words, weights, k=10_000)) for _ in range(2))
    theirs = RougeScorer(["rougeL"])
    ours: list[float | None] = []
    quick = statistics.median(
        seconds(lambda: ours.append(RougeL().score(output, Example({}, (gold,))).value)) for _ in range(5)
    )
    tracemalloc.start()
    RougeL().score(output, Example({}, (gold,)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    found: list[float] = []
    slow = seconds(lambda: found.append(theirs.score(gold, output)["rougeL"].fmeasure))
    same = "equal" if found[0] == ours[0] else "DIFFERENT"
    print(f"ROUGE-L of 10,000 words each: {slow / quick:.0f} times rouge-score, {peak / 1e6:.0f} MB, values {same}")


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def read(folder: Path) -> list[tuple[list[str], str]]:
    """Sentences and summary of each paper."""
    found = []
    for part in ("train", "dev", "test"):
        with gzip.open(folder / f"{part}.jsonl.gz", "rt", encoding="utf-8") as file:
            found += [(row["source"], row["target"][0]) for row in map(json.loads, file)]
    return found


def realistic(papers: Sequence[tuple[list[str], str]], count: int) -> list[Pair]:
    rng = random.Random(1)
    pairs: list[Pair] = []
    for sentences, summary in (paper for _ in range(1 + count // len(papers)) for paper in papers):
        if len(sentences) > 3:
            gold = [summary, *pick(rng, sentences, rng.randint(2, 4))]
            pairs.append(("\n".join(pick(rng, sentences, rng.randint(3, 5))), "\n".join(gold)))
    return rng.sample(pairs, count) if len(pairs) > count else pairs


def pick(rng: random.Random, sentences: Sequence[str], count: int) -> list[str]:
    chosen = sorted(rng.sample(range(len(sentences)), min(count, len(sentences))))
    return [sentences[index] for index in chosen]


def short(papers: Sequence[tuple[list[str], str]], count: int) -> list[Pair]:
    """The first sentence as a summary of the paper, as often as it takes."""
    return [(sentences[0], summary) for sentences, summary in papers][:count]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10_000)
