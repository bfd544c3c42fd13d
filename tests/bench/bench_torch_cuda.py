"""How fast a graphics card writes: one text and thousands, beside transformers' generate() and what the card can do.

    python tests/bench/bench_torch_cuda.py limits
    python tests/bench/bench_torch_cuda.py stream FOLDER [ROUNDS] [TOKENS]
    python tests/bench/bench_torch_cuda.py batch FOLDER TEXTS.jsonl.gz [REQUESTS] [ROUNDS] [BATCH ...]
    python tests/bench/bench_torch_cuda.py same FOLDER TEXTS.jsonl.gz [REQUESTS] [ALONE] [OF_GENERATE]

FOLDER is a transformers model of Llama's kind with safetensors. The requests are those of `bench_torch.py causal`: a
third each short questions about a sentence, summaries of abstracts and stories, answers of at most 128 tokens. Seconds
are those of the clock, from the requests' texts to the answers' texts. generate() gets its requests sorted by length,
in that of the batch sizes named which does best with every other request; one text it writes with its own cache and
with its static one, which it compiles. Name sizes up to what the card's memory takes: larger ones are often faster.
Shares are of what the card did when asked for nothing else: bytes of a copy, operations of a large product. `same`
counts equal texts: all at once beside one at a time beside generate(), in $PALAVER_TORCH_DTYPE.
"""

from __future__ import annotations

import gzip
import itertools
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch
import transformers

from palaver.model import GenerationConfig, Message, Model, Request
from palaver_torch.backend import Torch
from palaver_torch.device import choose_place

CONFIG = GenerationConfig(max_new_tokens=128)
DEVICE = choose_place().device
STORY = Request((Message("user", "Tell me a long story about a lighthouse keeper who finds a letter in a bottle."),))


def limits() -> tuple[float, float]:
    """Bytes and operations a second of the card at its best, printed."""
    card = torch.cuda.get_device_properties(0)
    source = torch.empty(2**32, dtype=torch.uint8, device=DEVICE).random_()
    target = torch.empty_like(source)
    copied = 2 * source.numel() / timed(lambda: target.copy_(source), 10)
    square = torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16)
    computed = 2 * 8192**3 / timed(lambda: square @ square, 10)
    print(f"{card.name}, {card.total_memory / 2**30:.0f} GiB; PyTorch {torch.__version__}", end="; ")
    print(f"a copy {copied / 1e12:.2f} TB/s, a product of bfloat16 {computed / 1e12:.0f} TFLOP/s", flush=True)
    return copied, computed


def timed(run: Callable[[], object], times: int) -> float:
    """Median seconds."""
    found = []
    for _ in range(times + 2):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        run()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - begun)
    return statistics.median(found[2:])


def loaded(folder: str) -> Model:
    info = Torch().resolve(folder)
    assert info is not None, f"{folder} has no config.json"
    return Torch().load(info)


class Peer:
    """transformers' own generate() on the same weights, in the same precision."""

    def __init__(self, folder: str) -> None:
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        network: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=choose_place().dtype)
        self.network = network.to(DEVICE).eval()
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
        self._tokenizer.pad_token = self._tokenizer.pad_token or self._tokenizer.eos_token
        named = network.generation_config.eos_token_id
        self._ends = torch.tensor(named if isinstance(named, list) else [named], device=DEVICE)

    def answers(self, requests: Sequence[Request], batch: int, config: GenerationConfig) -> tuple[list[str], int]:
        """The texts and their tokens, batch after batch of like length."""
        told = [[{"role": one.role, "content": one.content} for one in request.messages] for request in requests]
        texts = self._tokenizer.apply_chat_template(told, add_generation_prompt=True, tokenize=False)
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        found, total = [""] * len(texts), 0
        for at in range(0, len(order), batch):
            places = order[at : at + batch]
            inputs = self._tokenizer([texts[one] for one in places], return_tensors="pt", padding=True).to(DEVICE)
            out = self.run(inputs, config)[:, inputs["input_ids"].shape[1] :]
            total += int((torch.isin(out, self._ends).cumsum(dim=1) == 0).sum())
            for place, text in zip(places, self._tokenizer.batch_decode(out, skip_special_tokens=True), strict=True):
                found[place] = text
        return found, total

    def run(self, inputs: Any, config: GenerationConfig, **how: Any) -> torch.Tensor:
        given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            found = self.network.generate(**given, max_new_tokens=config.max_new_tokens, do_sample=False, **how)
        return cast(torch.Tensor, found)

    def one(self, request: Request, config: GenerationConfig, **how: Any) -> float:
        """Tokens a second after the first."""
        messages = [{"role": one.role, "content": one.content} for one in request.messages]
        inputs = self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(DEVICE)
        times: list[float] = []
        watch = type("Watch", (), {"put": lambda self, _: times.append(time.perf_counter()), "end": lambda self: None})
        self.run(inputs, config, streamer=watch(), **how)  # the prompt is put first
        return (len(times) - 2) / (times[-1] - times[1])


def stream(folder: str, rounds: int = 5, tokens: int = 256) -> None:
    """Print tokens a second of one text, after its first piece."""
    copied, _ = limits()
    model, peer, config = loaded(folder), Peer(folder), GenerationConfig(max_new_tokens=tokens)
    weights = _weights(peer) * 2
    streamed(model, STORY, config)
    peer.one(STORY, config)
    found: list[tuple[float, float]] = []
    for _ in range(rounds):
        found.append((streamed(model, STORY, config), peer.one(STORY, config)))
        print(f"  palaver {found[-1][0]:6.0f}   generate() {found[-1][1]:6.0f} tok/s", flush=True)
    rate = statistics.median(one for one, _ in found)
    print(f"{statistics.median(one / two for one, two in found):.1f} times generate(), median of {rounds}", end="; ")
    print(f"{rate:.0f} tok/s reads the weights at {rate * weights / copied:.1%} of the copy", flush=True)
    static: list[float] = []
    for round_ in range(rounds + 2):  # compiles at first
        rate = peer.one(STORY, config, cache_implementation="static")
        if round_ > 1:
            ours = streamed(model, STORY, config)
            static.append(ours / rate)
            print(f"  palaver {ours:6.0f}   generate(), static and compiled {rate:6.0f} tok/s", flush=True)
    print(f"{statistics.median(static):.1f} times generate() with its static cache, compiled")


def streamed(model: Model, request: Request, config: GenerationConfig) -> float:
    """Tokens a second after the first piece."""
    first, count = 0.0, 0
    for delta in model.stream([request], config, threading.Event()):
        first = first or time.perf_counter()
        count = delta.output_tokens or count
    return (count - 1) / (time.perf_counter() - first)


def _weights(peer: Peer) -> int:
    """Numbers that a step reads: the layers and the head, which is the embedding too."""
    return sum(one.numel() for one in peer.network.parameters())


def batch(folder: str, texts: str, count: int = 4096, rounds: int = 3, *batches: int) -> None:
    """Print tokens a second of many texts, and where the time goes."""
    copied, computed = limits()
    model, peer = loaded(folder), Peer(folder)
    asked = requests(Path(texts), count)
    begun = time.perf_counter()
    answered(model, asked)
    print(f"  the first time, steps captured and kernels compiled: {time.perf_counter() - begun:.1f} s", flush=True)
    _where(model, asked, _weights(peer), copied, computed)
    for _ in range(rounds):
        print(f"  palaver {answered(model, asked)[1]:8.0f} tok/s", flush=True)
    cast(Any, model)._writer.forget()
    peer.answers(asked[:64], 64, GenerationConfig(max_new_tokens=8))
    tried: dict[int, float] = {}
    for size in batches or (512, 1024, 2048):
        try:
            tried[size] = _rate(lambda size=size: peer.answers(asked[::2], size, CONFIG)[1])  # type: ignore[misc]
            print(f"  generate(), every other request in batches of {size}: {tried[size]:8.0f} tok/s", flush=True)
        except torch.cuda.OutOfMemoryError:
            print(f"  generate(), batches of {size}: out of memory", flush=True)
        torch.cuda.empty_cache()
    best = max(tried, key=lambda size: tried[size])
    ratios = []
    for _ in range(max(1, rounds - 1)):
        theirs = _rate(lambda: peer.answers(asked, best, CONFIG)[1])
        torch.cuda.empty_cache()
        ours = answered(model, asked)[1]
        cast(Any, model)._writer.forget()
        ratios.append(ours / theirs)
        print(f"  palaver {ours:8.0f}   generate(), batches of {best} {theirs:8.0f} tok/s", flush=True)
    print(f"{statistics.median(ratios):.1f} times generate() in batches of {best}, median of {len(ratios)}", flush=True)


def answered(model: Model, asked: Sequence[Request]) -> tuple[list[str], float]:
    """The texts, and tokens a second."""
    found, total, begun = [""] * len(asked), 0, time.perf_counter()
    for one in model.stream(asked, CONFIG, threading.Event()):
        found[one.request] += one.text
        total += one.output_tokens or 0
    return found, total / (time.perf_counter() - begun)


def _rate(run: Callable[[], int]) -> float:
    begun = time.perf_counter()
    return run() / (time.perf_counter() - begun)


def _where(model: Model, asked: Sequence[Request], weights: int, copied: float, computed: float) -> None:
    """One run with a wait after each part: what prompts and steps take, and what shares of the card those are."""
    writer: Any = cast(Any, model)._writer
    read, burst = writer._read, writer._burst
    prompts, steps = [0.0, 0.0], [0.0, 0.0, 0.0, 0.0]

    def reading(arriving: Any, *given: Any) -> Any:
        begun = time.perf_counter()
        found = read(arriving, *given)
        torch.cuda.synchronize()
        prompts[0] += time.perf_counter() - begun
        prompts[1] += sum(len(one.tokens) for one in arriving)
        return found

    def stepping(*given: Any) -> Any:
        rows = len(writer._rows)
        columns = int(writer._state.positions[:rows].sum())
        begun = time.perf_counter()
        found = burst(*given)
        torch.cuda.synchronize()
        steps[0] += time.perf_counter() - begun
        steps[1] += len(found)
        steps[2] += len(found) * rows
        steps[3] += len(found) * (columns + rows * len(found) / 2)
        return found

    writer._read, writer._burst = reading, stepping
    begun = time.perf_counter()
    _, rate = answered(model, asked)
    whole = time.perf_counter() - begun
    writer._read, writer._burst = read, burst
    moved = steps[1] * weights * 2 + steps[3] * writer._kept.token_bytes
    print(
        f"  {len(asked)} requests, {prompts[1] / len(asked):.0f} tokens each, {rate * whole / len(asked):.0f} written"
    )
    print(
        f"  {whole:.2f} s of which prompts {prompts[0]:.2f} s ({2 * weights * prompts[1] / prompts[0] / computed:.0%} "
        f"of the card's operations), steps {steps[0]:.2f} s: {steps[2] / steps[0]:.0f} tok/s over {steps[1]:.0f} steps "
        f"of {steps[2] / steps[1]:.0f} rows, {moved / steps[0] / copied:.0%} of the copy, "
        f"{2 * weights * steps[2] / steps[0] / computed:.0%} of the operations",
        flush=True,
    )


def same(folder: str, texts: str, count: int = 4096, alone: int = 256, of_generate: int = 16) -> None:
    """Print how many texts are equal to the letter."""
    model, asked = loaded(folder), requests(Path(texts), count)
    together, rate = answered(model, asked)
    print(f"{choose_place().dtype_name}: {count} requests at once, {rate:.0f} tok/s; ", end="", flush=True)
    step = max(1, count // alone)
    single = {at: answered(model, [asked[at]])[0][0] for at in range(0, count, step)}
    equal = sum(text == together[at] for at, text in single.items())
    print(f"{equal} of {len(single)} are the text of the request alone; ", end="", flush=True)
    peer = Peer(folder)
    places = list(single)[: 4 * of_generate : 4]
    theirs = [peer.answers([asked[at]], 1, CONFIG)[0][0] for at in places]
    equal = sum(text.strip() == single[at].strip() for at, text in zip(places, theirs, strict=True))
    print(f"{equal} of {len(places)} alone are generate()'s")


def requests(path: Path, count: int) -> list[Request]:
    """Different ones: the texts come again with another question each."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [cast("list[str]", json.loads(line)["source"]) for line in file]
    found = []
    for round_, (at, sentences) in itertools.product(range(3), enumerate(lines)):
        asked = (
            f"Answer in three words: what is this about? {sentences[0]}",
            f"Summarize the text in one sentence.\n\n{' '.join(sentences[:6])}",
            f"Write a story that begins with: {sentences[0].split(',')[0]}",
        )[(at + round_) % 3]
        found.append(Request((Message("user", asked),)))
    assert len(found) >= count, f"{path} has only {len(found)} different requests"
    return found[:count]


def main(kind: str, *given: str) -> None:
    """Measure and print."""
    paths = given[: {"limits": 0, "stream": 1}.get(kind, 2)]
    numbers = [int(one) for one in given[len(paths) :]]
    parts: dict[str, Callable[..., object]] = {"limits": limits, "stream": stream, "batch": batch, "same": same}
    parts[kind](*paths, *numbers)


if __name__ == "__main__":
    main(*sys.argv[1:])
