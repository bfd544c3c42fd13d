"""How much faster an evaluation answers many requests than one at a time, paired, with a real model.

    python tests/bench/bench_batch.py TEXTS.jsonl[.gz] [REQUESTS] [ROUNDS] [MODEL]

Asked is what `palaver eval` asks: the engine that it takes for many examples by itself, in the batches that it makes
(`Inline.map`). Beside it stand the same engine with one request at a time, llama.cpp with one at a time, which answers
chats, and llama.cpp's parallel slots, which `palaver eval` uses where PyTorch is not installed.

The requests are a third each questions of a few words, summaries of abstracts and stories, so that prompts and answers
differ in length; TEXTS has a `source` (a list of sentences) a line, as SciTLDR has. Tokens of answers a second of the
processor are compared: other work on the machine changes them less than those of the clock. Use one thread
(PALAVER_THREADS=1) where other work shares the cores.
"""

from __future__ import annotations

import gzip
import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from palaver import Asked, GenerationConfig, Job, Message, Model, Request
from palaver.evaluate import BATCH
from palaver.executor import Inline
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver_llamacpp.backend import LlamaCpp

CONFIG = GenerationConfig(max_new_tokens=128)


def main(texts: Path, count: int, rounds: int, name: str) -> None:
    """Print tokens a second of all, and the medians of the paired ratios."""
    registry = Registry(Plugins())
    own = registry.installed(name)
    chosen = registry.for_batches(own)
    backends = {one.name: one for _, many in registry.plugins.call("palaver_backends") for one in many}
    requests = list(islice(mixed(texts), count))
    slots = LlamaCpp().load(own)
    engines: dict[str, tuple[Model, int]] = {"llama.cpp, one at a time": (slots, 1), "llama.cpp, slots": (slots, 0)}
    if chosen.backend != own.backend:
        model = backends[chosen.backend].load(chosen)
        engines |= {f"{chosen.name}, one at a time": (model, 1), f"{chosen.name}, eval": (model, 0)}
    else:
        print("PyTorch is not installed or has no room: an evaluation uses llama.cpp's slots")
    print(f"{count} requests, at most {CONFIG.max_new_tokens} tokens each, {rounds} rounds", flush=True)
    for model, _ in engines.values():
        rate(model, requests[:3], size=0)  # what is loaded at the first call is there
    found: dict[str, list[float]] = {title: [] for title in engines}
    for _ in range(rounds):
        for title, (model, size) in engines.items():
            found[title].append(rate(model, requests, size=size))
            print(f"  {title:32} {found[title][-1]:7.1f} tokens a second of the processor", flush=True)
    eval_, *others = reversed(engines)
    for other in others:
        ratios = [one / beside for one, beside in zip(found[eval_], found[other], strict=True)]
        print(f"{eval_} / {other}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def rate(model: Model, requests: Sequence[Request], *, size: int) -> float:
    """Tokens a second of the processor, in batches of `size`; 0 for those that an evaluation makes."""
    job = Job(model.info, "", CONFIG, batch=size or BATCH)
    asked = [Asked(str(number), one) for number, one in enumerate(requests)]
    begun = time.process_time()
    told = list(Inline(lambda info: model).map(job, asked, threading.Event()))
    seconds = time.process_time() - begun
    assert len(told) == len(requests)
    assert not any(one.code for one in told)
    return sum(one.generation.output_tokens or 0 for one in told) / seconds


def mixed(path: Path) -> Iterator[Request]:
    """Requests whose prompts have some 30 to 300 tokens, and whose answers are of any length."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        for at, line in enumerate(file):
            sentences = json.loads(line)["source"]
            asked = (
                f"Answer in three words: what is this about? {sentences[0]}",
                f"Summarize the text in one sentence.\n\n{' '.join(sentences[:6])}",
                f"Write a story that begins with: {sentences[0].split(',')[0]}",
            )[at % 3]
            yield Request((Message("user", asked),), task="generate")


if __name__ == "__main__":
    source, *numbers = sys.argv[1:]
    asked_for = dict(zip(("count", "rounds", "name"), numbers, strict=False))
    main(
        Path(source), int(asked_for.get("count", 64)), int(asked_for.get("rounds", 3)), asked_for.get("name", "smollm2")
    )
