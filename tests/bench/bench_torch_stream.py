"""One text at a time from a GGUF file: PyTorch in four bits beside llama.cpp and transformers' generate() in bfloat16.

    python tests/bench/bench_torch_stream.py speed FILE.gguf [ROUNDS] [TOKENS]
    python tests/bench/bench_torch_stream.py copy FILE.gguf SUMMARIES.jsonl.gz SQUAD.json.gz [EXAMPLES] [ROUNDS]

`speed` writes one story with each engine in turn and prints tokens a second of decoding, the prompt not counted, and
the median of the paired ratios. `copy` summarizes abstracts (`source`: sentences, as SciTLDR has) and answers questions
(SQuAD's layout) with and without guessing, in turn, and says how many texts were equal to the letter.

Seconds are those of the clock, or with one thread (PALAVER_THREADS=1) of the processor, which other work disturbs less.
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

from palaver import Example, GenerationConfig, Message, Request
from palaver.machine import threads
from palaver_llamacpp.answer import body
from palaver_llamacpp.server import Server, serve
from palaver_qa import AnswerQuestion
from palaver_summarize import Summarize
from palaver_torch.backend import Torch
from palaver_torch.causal import CausalModel
from palaver_torch.stream import Streamer

clock: Callable[[], float] = time.process_time if threads() == 1 else time.perf_counter
STORY = "Tell me a long story about a lighthouse keeper who finds a letter in a bottle."


def ours(path: str) -> CausalModel:
    """The file in PyTorch, in four bits."""
    info = Torch().resolve(f"{path}@4bit")
    assert info is not None, f"{path} is no GGUF file"
    return cast(CausalModel, Torch().load(info))


def streamed(model: CausalModel, request: Request, config: GenerationConfig) -> tuple[str, int, float]:
    """The text, its tokens and the seconds after the first piece."""
    pieces: list[str] = []
    first, count = 0.0, 0
    for delta in model.stream([request], config, threading.Event()):
        first = first or clock()
        pieces.append(delta.text)
        count = delta.output_tokens or count
    return "".join(pieces), count, clock() - first


def of_llamacpp(server: Server, request: Request, config: GenerationConfig) -> tuple[int, float]:
    """Tokens and seconds after the first piece."""
    first, count = 0.0, 0

    def hear(chunk: Any) -> bool:
        nonlocal first, count
        if any((one.get("delta") or {}).get("content") for one in chunk.get("choices") or ()):
            first = first or clock()
        count = (chunk.get("usage") or {}).get("completion_tokens", count)
        return False

    server.handle_chat_completions(body(request, config), hear)
    return count, clock() - first


class Generate:
    """transformers' own generate() on the same weights in bfloat16."""

    def __init__(self, path: str) -> None:
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        given: dict[str, Any] = {"gguf_file": Path(path).name, "trust_remote_code": False}
        folder = str(Path(path).parent)
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, **given)
        network: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, **given)
        self._network = network.eval()

    def run(self, request: Request, config: GenerationConfig) -> tuple[int, float]:
        """Tokens and seconds after the first token."""
        messages = [{"role": one.role, "content": one.content} for one in request.messages]
        inputs = self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        watch = _First()
        with torch.inference_mode():
            self._network.generate(**inputs, max_new_tokens=config.max_new_tokens, do_sample=False, streamer=watch)
        return watch.count, clock() - watch.first


class _First:
    """Notes when the first token came, and counts."""

    def __init__(self) -> None:
        self.first, self.count = 0.0, -1

    def put(self, tokens: torch.Tensor) -> None:
        """The prompt comes first, then token by token."""
        self.count += 1
        if self.count == 1:
            self.first = clock()

    def end(self) -> None:
        """Nothing is left to say."""


def speed(path: str, rounds: int = 5, tokens: int = 128) -> None:
    """Print tokens a second of all three, and the medians of the paired ratios."""
    model, server, peer = ours(path), serve(Path(path), 2048), Generate(path)
    request, config = Request((Message("user", STORY),), "generate"), GenerationConfig(max_new_tokens=tokens)
    short = GenerationConfig(max_new_tokens=8)
    streamed(model, request, short), of_llamacpp(server, request, short), peer.run(request, short)
    unit = "processor" if clock is time.process_time else "clock"
    print(f"{Path(path).name}, {torch.get_num_threads()} threads, seconds of the {unit}, {tokens} tokens")
    ratios: list[tuple[float, float]] = []
    for _ in range(rounds):
        _, count, seconds = streamed(model, request, config)
        rate, other, third = (
            (count - 1) / seconds,
            *(
                (count - 1) / seconds
                for count, seconds in (of_llamacpp(server, request, config), peer.run(request, config))
            ),
        )
        ratios.append((rate / other, rate / third))
        print(f"  palaver {rate:6.1f}   llama.cpp {other:6.1f}   generate {third:6.1f} tok/s", flush=True)
    for name, found in zip(("llama.cpp", "generate() in bfloat16"), zip(*ratios, strict=True), strict=True):
        print(f"{statistics.median(found):.2f} times {name}, median of {rounds}; {min(found):.2f} to {max(found):.2f}")


def copying(path: str, summaries: str, squad: str, examples: int = 8, rounds: int = 1) -> None:
    """Print for both tasks what guessing brings and whether the texts are equal."""
    model = ours(path)
    writer = cast(Streamer, cast(Any, model)._writer)
    for task, asked in requests(Path(summaries), Path(squad), examples).items():
        ratios, plain_sum, guess_sum, same, total, passes = [], 0.0, 0.0, 0, 0, 0
        for _ in range(rounds):
            plain_round = guess_round = 0.0
            for request, config in asked:
                writer._guesses = False
                plain, _, seconds = streamed(model, request, config)
                plain_round += seconds
                writer._guesses, writer.passes = True, 0
                guessed, count, seconds = streamed(model, request, config)
                guess_round += seconds
                same, total, passes = same + (plain == guessed), total + count, passes + writer.passes
            plain_sum, guess_sum = plain_sum + plain_round, guess_sum + guess_round
            ratios.append(plain_round / guess_round)
            print(f"  {task}: {ratios[-1]:.2f}", flush=True)
        print(
            f"{task}: {statistics.median(ratios):.2f} times plain, median of {rounds} over {len(asked)} texts; "
            f"{same} of {len(asked) * rounds} equal; {total / passes:.2f} tokens a pass"
        )


def requests(summaries: Path, squad: Path, count: int) -> dict[str, list[tuple[Request, GenerationConfig]]]:
    """The first examples of both tasks, as Palaver asks them."""
    with gzip.open(summaries, "rt", encoding="utf-8") as file:
        texts = [" ".join(json.loads(line)["source"]) for line in itertools.islice(file, count)]
    data = json.loads(gzip.decompress(squad.read_bytes()))["data"]
    passages = [(one["context"], one["qas"][0]["question"]) for page in data for one in page["paragraphs"]][:count]
    summarize, answer = Summarize(), AnswerQuestion()
    return {
        "summarize": [(summarize.request(Example({"text": text})), summarize.defaults) for text in texts],
        "qa": [
            (answer.request(Example({"context": text, "question": question})), answer.defaults)
            for text, question in passages
        ],
    }


def main(kind: str, *given: str) -> None:
    """Measure and print."""
    paths: Sequence[str] = given[:1] if kind == "speed" else given[:3]
    numbers = [int(one) for one in given[len(paths) :]]
    {"speed": speed, "copy": copying}[kind](*paths, *numbers)  # type: ignore[operator]


if __name__ == "__main__":
    main(*sys.argv[1:])
