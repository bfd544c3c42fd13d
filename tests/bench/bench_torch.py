"""How much faster than transformers' generate(): mixed requests in one call, both on the same model in turn.

    python tests/bench/bench_torch.py causal FOLDER TEXTS.jsonl[.gz] [REQUESTS] [ROUNDS]
    python tests/bench/bench_torch.py seq2seq FOLDER TEXTS.gz [REQUESTS] [ROUNDS]

FOLDER is a transformers model with safetensors, or a GGUF file: then llama.cpp's parallel slots answer the same too.
The requests of `causal` are a third each questions about a sentence,
summaries of abstracts and stories, so that prompts and answers differ in length; TEXTS has a `source` (a list of
sentences) a line, as SciTLDR has. `seq2seq` takes a sentence a line. generate() gets its requests sorted by length, and
the best of several batch sizes. Counted are the tokens before the end of each answer, not the padding, and seconds of
the processor: use one thread (PALAVER_THREADS=1) where other work shares the cores. On a graphics card seconds of the
clock are counted.
"""

from __future__ import annotations

import gzip
import itertools
import json
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from palaver.example import Example
from palaver.model import GenerationConfig, Message, Model, Request
from palaver_llamacpp.backend import LlamaCpp
from palaver_torch.backend import Torch
from palaver_torch.device import choose_place

BATCHES = (32, 64, 128)
clock = time.perf_counter if torch.cuda.is_available() else time.process_time
CONFIG = GenerationConfig(max_new_tokens=128)


def main(kind: str, folder: str, texts: Path, count: int, rounds: int) -> None:
    """Print tokens a second of both, and the median of the paired ratios."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    is_gguf = folder.endswith(".gguf")
    info = Torch().resolve(f"{folder}@{choose_place().dtype_name}" if is_gguf else folder)
    assert info is not None, f"{folder} has no config.json"
    model = Torch().load(info)
    slots = LlamaCpp().load(named) if is_gguf and (named := LlamaCpp().resolve(folder)) else None
    requests = list(itertools.islice(_causal(texts) if kind == "causal" else _sentences(texts), count))
    peer = Peer(kind, folder)
    print(f"{count} requests, {model.info.dtype} on {model.info.device}, {torch.get_num_threads()} threads")
    _ours(model, requests[:4])
    best = max(BATCHES, key=lambda size: peer.rate(requests[: max(BATCHES)], size))
    found, others = [], []
    for _ in range(rounds):
        theirs, ours = peer.rate(requests, best), _ours(model, requests)
        found.append(ours / theirs)
        said = f"  generate (batch {best}) {theirs:7.0f} tok/s   palaver {ours:7.0f} tok/s   {ours / theirs:.2f}x"
        if slots is not None:
            other = _ours(slots, requests)
            others.append(ours / other)
            said += f"   llama.cpp {other:7.0f} tok/s   {ours / other:.2f}x"
        print(said, flush=True)
    print(f"{statistics.median(found):.2f} times generate() at its best batch size, median of {rounds}")
    if others:
        print(f"{statistics.median(others):.2f} times llama.cpp's parallel slots")


def _ours(model: Model, requests: Sequence[Request]) -> float:
    """Tokens a second through `Model.stream`."""
    begun = clock()
    told = list(model.stream(requests, CONFIG, threading.Event()))
    return sum(one.output_tokens or 0 for one in told) / (clock() - begun)


class Peer:
    """transformers' own generate() on the same weights, in the same precision."""

    def __init__(self, kind: str, folder: str) -> None:
        place = choose_place()
        classes = {"causal": transformers.AutoModelForCausalLM, "seq2seq": transformers.AutoModelForSeq2SeqLM}
        given: dict[str, Any] = {"trust_remote_code": False}
        if folder.endswith(".gguf"):
            given["gguf_file"], folder = Path(folder).name, str(Path(folder).parent)
        network: Any = classes[kind].from_pretrained(folder, dtype=place.dtype, **given)
        self._network = network.to(place.device).eval()
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left", **given)
        self._is_causal = kind == "causal"
        if self._is_causal:
            self._tokenizer.pad_token = self._tokenizer.pad_token or self._tokenizer.eos_token
        else:
            self._tokenizer.padding_side = "right"

    def rate(self, requests: Sequence[Request], batch: int) -> float:
        """Tokens a second, batch after batch of like length."""
        begun, total = clock(), 0
        texts = sorted((self._text(one) for one in requests), key=len)
        for at in range(0, len(texts), batch):
            inputs = self._tokenizer(texts[at : at + batch], return_tensors="pt", padding=True)
            inputs = {name: inputs[name].to(self._network.device) for name in ("input_ids", "attention_mask")}
            with torch.inference_mode():
                out = self._network.generate(**inputs, max_new_tokens=CONFIG.max_new_tokens, do_sample=False)
            total += self._written(out[:, inputs["input_ids"].shape[1] if self._is_causal else 1 :])
        return total / (clock() - begun)

    def _text(self, request: Request) -> str:
        if not self._is_causal:
            return request.example["text"]
        messages = [{"role": one.role, "content": one.content} for one in request.messages]
        return str(self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))

    def _written(self, out: torch.Tensor) -> int:
        ends = self._network.generation_config.eos_token_id
        ends = torch.tensor(ends if isinstance(ends, list) else [ends], device=out.device)
        before = torch.isin(out, ends).cumsum(dim=1) == 0
        return int(before.sum())


def _causal(path: Path) -> Iterator[Request]:
    for at, line in enumerate(_lines(path)):
        sentences = json.loads(line)["source"]
        asked = (
            f"Answer in three words: what is this about? {sentences[0]}",
            f"Summarize the text in one sentence.\n\n{' '.join(sentences[:6])}",
            f"Write a story that begins with: {sentences[0].split(',')[0]}",
        )[at % 3]
        yield Request((Message("user", asked),))


def _sentences(path: Path) -> Iterator[Request]:
    for line in _lines(path):
        yield Request((), "translate", Example(inputs={"text": line.strip()}))


def _lines(path: Path) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        yield from file


if __name__ == "__main__":
    kind, folder, texts, *numbers = sys.argv[1:]
    count, rounds = (*(int(one) for one in numbers), 256, 5)[:2] if len(numbers) != 1 else (int(numbers[0]), 5)
    main(kind, folder, Path(texts), count, rounds)
