"""What parallel slots bring: several requests in one call against one after the other, paired.

    python tests/bench/bench_slots.py [alternations] [requests] [tokens]

Processor seconds are compared, which other work on the machine changes less than the clock. Above 1 the slots are
faster. The texts are compared too; where they differ, the two likeliest next tokens lay closer than rounding.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import threading
import time

from palaver import GenerationConfig, Message, Model, Request
from palaver.pull import pull
from palaver_llamacpp.backend import LlamaCpp
from palaver_llamacpp.catalogue import SMOLLM2, located

TOPICS = ("a lighthouse", "bread", "the moon", "a lost dog", "winter", "a train", "an old map", "the first ship")


def answers(model: Model, calls: list[list[Request]], config: GenerationConfig) -> tuple[float, list[str]]:
    """Processor seconds and texts, one call after the other."""
    begun, texts = time.process_time(), list[str]()
    for requests in calls:
        pieces = [""] * len(requests)
        for delta in model.stream(requests, config, threading.Event()):
            pieces[delta.request] += delta.text
        texts += pieces
    return time.process_time() - begun, texts


def main(alternations: int = 5, requests: int = 8, tokens: int = 96) -> None:
    """Measure and print."""
    pull(SMOLLM2, on_progress=lambda progress: None, cancel=threading.Event())
    model = LlamaCpp().load(dataclasses.replace(located(SMOLLM2), digest=SMOLLM2.files[0].sha256))
    config = GenerationConfig(max_new_tokens=tokens)
    asked = [
        Request((Message("user", f"Tell me a story about {TOPICS[n % len(TOPICS)]}, number {n}."),), task="generate")
        for n in range(requests)
    ]
    answers(model, [asked], GenerationConfig(max_new_tokens=1))  # the slots are loaded
    ratios = []
    for _ in range(alternations):
        alone, one_by_one = answers(model, [[one] for one in asked], config)
        together, side_by_side = answers(model, [asked], config)
        ratios.append(alone / together)
        same = sum(one == other for one, other in zip(one_by_one, side_by_side, strict=True))
        print(f"alone {alone:.1f} s, together {together:.1f} s, {same} of {requests} texts equal", flush=True)
    print(f"{requests} requests of {tokens} tokens: alone / together {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
