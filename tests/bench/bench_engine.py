"""What isolation costs: SmolLM2 through IsolatedModel against xllamacpp in this process, paired.

    python tests/bench/bench_engine.py [alternations] [tokens]

Ratios are medians over alternations, first the one, then the other, in the same run. Above 1 the isolated model takes
longer. By processor time the isolated model is measured beside two calls: a bare one, as ours is, and one that asks for
log-probabilities, which ours asks for where a metric needs them. Absolute times say something about this machine on
this day only.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from palaver import GenerationConfig, Message, ModelInfo, Request
from palaver.isolated import IsolatedModel
from palaver.pull import pull
from palaver_llamacpp.backend import LlamaCpp, LlamaCppModel
from palaver_llamacpp.catalogue import SMOLLM2, located

STORY = Request((Message("user", "Tell me a long story about a lighthouse."),))
# The server stays bound: llama.cpp can hang when it is destroyed before its loop has begun.
BARE = """
import os, pathlib, sys
from palaver_llamacpp.server import serve
server = serve(pathlib.Path(sys.argv[1]), 8192)
os._exit(0)
"""


def seconds_to_load_isolated(info: ModelInfo) -> float:
    """From nothing to ready, the new process included."""
    begun = time.perf_counter()
    with IsolatedModel(info, module="palaver_llamacpp") as model:
        model.load()
        return time.perf_counter() - begun


def seconds_to_load_bare(info: ModelInfo) -> float:
    """A Python that imports xllamacpp, loads the same weights and ends."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE, info.path], check=True)
    return time.perf_counter() - begun


def processor_seconds(pid: int | None = None) -> float:
    """Of this process and, where it is given, of another one."""
    if pid is None:
        return time.process_time()
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processor_times(isolated: IsolatedModel, direct: LlamaCppModel, tokens: int) -> tuple[float, float, float]:
    """Processor seconds of one answer: isolated, direct, direct with log-probabilities.

    They are everybody's who takes part; what other programs do is not in them.
    """
    before = processor_seconds(isolated.pid)
    seconds_isolated(isolated, tokens)
    spent = [processor_seconds(isolated.pid) - before]
    for asked in ({}, {"logprobs": True, "top_logprobs": 1}):
        here = processor_seconds()
        seconds_direct(direct, tokens, **asked)
        spent.append(processor_seconds() - here)
    return spent[0], spent[1], spent[2]


def seconds_isolated(model: IsolatedModel | LlamaCppModel, tokens: int) -> float:
    """One greedy answer through the protocol."""
    begun = time.perf_counter()
    last = list(model.stream([STORY], GenerationConfig(max_new_tokens=tokens), threading.Event()))[-1]
    spent = time.perf_counter() - begun
    assert last.output_tokens == tokens
    return spent


def seconds_direct(model: LlamaCppModel, tokens: int, **asked: object) -> float:
    """The same answer from xllamacpp itself, with a callback that only counts."""
    server = model._server
    assert server is not None
    heard = 0

    def hear(chunk: Mapping[str, object]) -> bool:
        nonlocal heard
        heard += 1
        return False

    body: dict[str, object] = {
        "messages": [{"role": "user", "content": STORY.messages[0].content}],
        "stream": True,
        "temperature": 0,
        "max_tokens": tokens,
        "cache_prompt": False,
        **asked,
    }
    begun = time.perf_counter()
    server.handle_chat_completions(body, hear)
    spent = time.perf_counter() - begun
    assert heard >= tokens // 2
    return spent


def main(alternations: int = 5, tokens: int = 128) -> None:
    """Measure and print."""
    pull(SMOLLM2, on_progress=lambda progress: None, cancel=threading.Event())
    info = located(SMOLLM2)
    assert Path(info.path).is_file()
    seconds_to_load_isolated(info)  # the file into the page cache, the digest noted
    loads = [(seconds_to_load_isolated(info), seconds_to_load_bare(info)) for _ in range(alternations)]
    direct = LlamaCpp().load(info)
    with IsolatedModel(info, module="palaver_llamacpp") as isolated:
        seconds_isolated(isolated, tokens), seconds_direct(direct, tokens)
        work = [processor_times(isolated, direct, tokens) for _ in range(alternations)]
        answers = [(seconds_isolated(isolated, tokens), seconds_direct(direct, tokens)) for _ in range(alternations)]
    for what, pairs in (("load", loads), (f"answer of {tokens} tokens", answers)):
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"{what}: isolated / direct {ratio:.2f} (medians {ours:.2f} s, {theirs:.2f} s)")
    bare = statistics.median(bare / ours for ours, bare, _ in work)
    same = statistics.median(same / ours for ours, _, same in work)
    print(f"speed by processor time: isolated {bare:.3f} times direct, {same:.3f} times direct with log-probabilities")
    best = max(tokens / ours for ours, _ in answers), max(tokens / theirs for _, theirs in answers)
    print(f"best tokens/s, prompt included: isolated {best[0]:.0f}, direct {best[1]:.0f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
