"""Does the paired test keep its promises: false positives, coverage of its intervals, and speed beside sacrebleu.

    python tests/bench/bench_compare.py CAPTIONS[.gz] --nulls 1000      systems that do not differ: called different?
    python tests/bench/bench_compare.py CAPTIONS[.gz] --coverage 1000   do intervals hold the true difference?
    python tests/bench/bench_compare.py CAPTIONS[.gz] --speed           2,000 segments, 10,000 trials, BLEU and chrF

CAPTIONS has one text a line, at least 4,000 (Multi30k's training set in German, for one). A `system` is a text with
some of its words left out at random. For a null, a fresh sample of texts is drawn, and each of two systems of different
quality gets one output or the other by a coin: whatever they differ by is chance.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import math
import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # sacrebleu uses one thread too

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import Result, _paired_ar_test, _paired_bs_test

from palaver.aligned import Answer
from palaver.compare import compare
from palaver.comparison import Pair, Settings
from palaver.example import Example
from palaver.metric import Metric
from palaver_metrics.bleu import Bleu, ChrF
from palaver_metrics.rouge import RougeL

METRICS: list[Metric] = [Bleu(), ChrF(), RougeL()]
THEIRS = {"bleu": (BLEU, 10), "chrf": (CHRF, 18)}
"""sacrebleu's class, and how many of our statistics are its own."""
System = list[Answer]


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--nulls", type=int, default=0, metavar="N")
    parser.add_argument("--coverage", type=int, default=0, metavar="N")
    parser.add_argument("--segments", type=int, default=200, metavar="N", help="examples of each simulated test set")
    parser.add_argument("--trials", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=3, metavar="N", help="of the simulation")
    parser.add_argument("--peer", action="store_true", help="with --nulls: sacrebleu's --paired-bs on the same sets")
    parser.add_argument("--speed", action="store_true")
    asked = parser.parse_args()
    if asked.nulls:
        settings = Settings(trials=asked.trials)
        nulls(asked.captions, asked.nulls, asked.segments, settings, random.Random(asked.seed), peer=asked.peer)
    if asked.coverage:
        coverage(asked.captions, asked.coverage, asked.segments, random.Random(asked.seed))
    if asked.speed:
        speed(asked.captions)


def nulls(captions: Path, count: int, segments: int, settings: Settings, chance: random.Random, *, peer: bool) -> None:
    """The share of nulls with p at most 0.05, and the share that is called different."""
    lines = load(captions, 4000)
    one, other = noisy(lines, 0.15, 1), noisy(lines, 0.25, 2)
    rare, different, theirs = ({metric.name: 0 for metric in METRICS} for _ in range(3))
    for _ in range(count):
        chosen = [(one[at], other[at])[:: chance.choice((1, -1))] for at in chance.sample(range(len(lines)), segments)]
        first, second = ([pair[side] for pair in chosen] for side in (0, 1))
        for pair in pairs(first, second, METRICS, Settings(trials=settings.trials, seed=chance.getrandbits(32))):
            rare[pair.metric] += pair.p <= settings.alpha
            different[pair.metric] += bool(pair.better)
        for name in THEIRS if peer else ():
            theirs[name] += sacrebleu_p(name, first, second, "bs") <= settings.alpha
    print(f"{count} nulls of {segments} segments, {settings.trials:,} trials, nominal {settings.alpha:.0%}")
    for metric in METRICS:
        beside = f"   sacrebleu --paired-bs {theirs[metric.name] / count:.1%}" if peer and metric.name in THEIRS else ""
        print(f"{metric.title:5} p at most 0.05: {rate(rare[metric.name], count)}   "
              f"called different: {rate(different[metric.name], count)}{beside}")  # fmt: skip


def coverage(captions: Path, count: int, segments: int, chance: random.Random) -> None:
    """How often intervals of samples hold the difference that the two systems have on all texts."""
    lines = load(captions, 6000)
    one, other = noisy(lines, 0.25, 1), noisy(lines, 0.22, 2)
    truth = {pair.metric: pair.difference for pair in pairs(one, other, METRICS, Settings(trials=1, resamples=1))}
    held, at_most, at_least = ({metric.name: 0 for metric in METRICS} for _ in range(3))
    for turn in range(count):
        places = chance.choices(range(len(lines)), k=segments)
        first, second = ([system[at] for at in places] for system in (one, other))
        for pair in pairs(first, second, METRICS, Settings(trials=1, seed=turn)):
            true = truth[pair.metric]
            assert pair.interval is not None and pair.one_sided is not None
            held[pair.metric] += true in pair.interval
            at_least[pair.metric] += pair.one_sided.low <= true
            at_most[pair.metric] += pair.one_sided.high >= true
    print(f"{count} samples of {segments} segments")
    for metric in METRICS:
        name = metric.name
        print(f"{metric.title:5} 95 % interval: {rate(held[name], count)}   one-sided 95 % bounds: "
              f"lower {rate(at_least[name], count)}, upper {rate(at_most[name], count)}")  # fmt: skip


def speed(captions: Path) -> None:
    """The median of five paired ratios; both start from statistics that are there. Ours also makes the intervals."""
    lines = load(captions, 2000)
    first, second = noisy(lines, 0.1, 1), noisy(lines, 0.11, 2)
    ours = pairs(first, second, METRICS[:2], Settings())
    for pair in ours:
        theirs = sacrebleu_p(pair.metric, first, second, "ar")
        print(f"{pair.title}: p {pair.p:.4f}, sacrebleu's {theirs:.4f}")
        assert abs(pair.p - theirs) < 5 * math.sqrt(2 * max(theirs, 1e-4) / 10_000)
    rounds = [
        (
            seconds(lambda: [sacrebleu_p(name, first, second, "ar") for name in THEIRS]),
            seconds(lambda: pairs(first, second, METRICS[:2], Settings())),
        )
        for _ in range(5)
    ]
    ratio = statistics.median(slow / quick for slow, quick in rounds)
    slow, quick = (statistics.median(one[side] for one in rounds) for side in (0, 1))
    print(f"2,000 segments, 10,000 trials, BLEU and chrF: {ratio:.1f} times sacrebleu ({slow:.2f} s, {quick:.2f} s)")


def pairs(first: System, second: System, metrics: list[Metric], settings: Settings) -> list[Pair]:
    """Ours, through the door that everybody uses."""
    systems = {
        name: {f"{at:06}": answer for at, answer in enumerate(system)} for name, system in (("A", first), ("B", second))
    }
    return [metric.pairs[0] for metric in compare(systems, metrics, settings).metrics]


def sacrebleu_p(name: str, first: System, second: System, test: str) -> float:
    """The p-value that sacrebleu's paired test gives, without the time that it takes to read the texts."""
    kind, width = THEIRS[name]
    scorer = kind()
    scorer._extract_corpus_statistics = lambda stats, references: stats  # what it would extract
    one, other = ([[int(x) for x in answer.scores[name].stats[:width]] for answer in side] for side in (first, second))
    baseline = {name: (one, Result(scorer._aggregate_and_compute(one).score))}
    run, samples = (_paired_ar_test, 10_000) if test == "ar" else (_paired_bs_test, 1_000)
    _, found = run(baseline, "B", other, None, {name: scorer}, samples, seed=12345)
    return found[name].p_value


def noisy(lines: list[str], dropped: float, seed: int) -> System:
    """A system that leaves out this share of the words."""
    chance = random.Random(seed)
    answers: System = []
    for line in lines:
        output = " ".join(word for word in line.split() if chance.random() > dropped)
        example = Example({}, (line,), language="de")
        answers.append(Answer({metric.name: metric.score(output, example) for metric in METRICS}, line))
    return answers


def load(path: Path, count: int) -> list[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return [line.strip() for line in itertools.islice(file, count)]


def rate(hits: int, count: int) -> str:
    """A share with its standard error."""
    share = hits / count
    return f"{share:.1%} ± {math.sqrt(share * (1 - share) / count):.1%}"


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
