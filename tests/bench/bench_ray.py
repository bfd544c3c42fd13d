"""What a second Ray worker brings on this machine, beside what the machine can give.

    PALAVER_THREADS=1 python tests/bench/bench_ray.py [REQUESTS] [TOKENS] [ROUNDS] [MODEL]

REQUESTS stories of TOKENS tokens are answered on Ray by one worker and by two, each with a model of one thread. Beside
them the same model answers the same in one process and in two independent ones, half each, without Ray: cores that
share memory, caches and a hypervisor are not twice one core. Both ratios are of the clock, so the machine should have
nothing else to do. Loading is left out: each worker has answered a batch before the clock runs.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from palaver import Asked, GenerationConfig, Job, Message, Model, Request
from palaver.executor import answer_batch
from palaver.isolated import IsolatedModel
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver_ray.cluster import connected
from palaver_ray.executor import _Pool
from palaver_ray.place import Place

BATCH = 8
TOPICS = ("a lighthouse", "bread", "the moon", "a lost dog", "winter", "a train", "an old map", "the first ship")


def main(count: int, tokens: int, rounds: int, name: str) -> None:
    """Print the seconds of all four, and both ratios."""
    os.environ.setdefault("PALAVER_THREADS", "1")
    os.environ.setdefault("RAY_worker_niceness", "0")  # it is 15, and other work would come first on one side only
    registry = Registry(Plugins())
    info = registry.installed(name)
    module = next(
        str(plugin.found.module)
        for plugin, backends in registry.plugins.call("palaver_backends")
        if any(one.name == info.backend for one in backends)
    )
    job = Job(info, module, GenerationConfig(max_new_tokens=tokens), batch=BATCH)
    asked = [
        Asked(str(n), Request((Message("user", f"Tell me a story about {TOPICS[n % len(TOPICS)]}, number {n}."),)))
        for n in range(count)
    ]
    print(f"{count} stories of {tokens} tokens by {info.name}, one thread a worker, batches of {BATCH}", flush=True)
    found: list[tuple[float, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            models = [IsolatedModel(info, module=module, log=Path(folder) / f"{n}.log") for n in range(2)]
            found.append((*alone(models, job, asked), *(on_ray(job, asked, workers) for workers in (1, 2))))
            machine_one, machine_two, ray_one, ray_two = found[-1]
            print(
                f"  processes: one {machine_one:.1f} s, two {machine_two:.1f} s, {machine_one / machine_two:.2f}x"
                f"   Ray: one {ray_one:.1f} s, two {ray_two:.1f} s, {ray_one / ray_two:.2f}x",
                flush=True,
            )
    machine, ray = (statistics.median(one[at] / one[at + 1] for one in found) for at in (0, 2))
    print(f"two workers on Ray: {ray:.2f} times one; two processes: {machine:.2f} times one, which is all there is")


def alone(models: Sequence[Model], job: Job, asked: Sequence[Asked]) -> tuple[float, float]:
    """Seconds of one process for all, and of two with half each."""
    for model in models:
        answer(model, job, asked[:2])  # loaded, with its slots
    begun = time.perf_counter()
    answer(models[0], job, asked)
    one = time.perf_counter() - begun
    half = len(asked) // 2
    threads = [
        threading.Thread(target=answer, args=(model, job, part))
        for model, part in zip(models, (asked[:half], asked[half:]), strict=True)
    ]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    two = time.perf_counter() - begun
    for model in models:
        model.close()
    return one, two


def answer(model: Model, job: Job, asked: Sequence[Asked]) -> None:
    for at in range(0, len(asked), job.batch):
        told = list(answer_batch(model, asked[at : at + job.batch], job.config, threading.Event()))
        assert not any(one.code for one in told)


def on_ray(job: Job, asked: Sequence[Asked], workers: int) -> float:
    """Seconds of that many actors on a cluster of this machine, all of which have loaded and answered before."""
    place = Place(workers=workers)
    pool = _Pool(connected(place), place, job)
    try:
        while not all(actor.is_ready for actor in pool.actors):
            for ref in list(pool._news):
                pool._hear(ref)  # waits for it
        warming = [Asked(str(n), asked[0].request) for n in range(workers * job.batch)]
        assert len(list(pool.answers(iter(warming), threading.Event()))) == len(warming)
        begun = time.perf_counter()
        told = list(pool.answers(iter(asked), threading.Event()))
        seconds = time.perf_counter() - begun
    finally:
        pool.close()
    assert len(told) == len(asked)
    assert not any(one.code for one in told)
    return seconds


if __name__ == "__main__":
    given = sys.argv[1:]
    numbers = [int(one) for one in given[:3]]
    main(*numbers, *(32, 48, 1)[len(numbers) :], given[3] if len(given) > 3 else "smollm2")
