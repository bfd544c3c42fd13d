"""Whether llama.cpp's n-gram speculation pays, and whether it keeps the text: summaries and answers, paired.

    python tests/bench/bench_speculation.py SUMMARIES.jsonl.gz SQUAD.json.gz [smollm2|qwen2.5-1.5b] [examples]

The first file is SciTLDR's (`source`: sentences), the second in SQuAD's layout. Each prompt goes to plain greedy
decoding and to each way of drafting in turn. Above 1 drafting is faster; the clock of llama.cpp counts, for decoding.
"""

from __future__ import annotations

import gzip
import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from palaver import Example, GenerationConfig, Request
from palaver_llamacpp.answer import body
from palaver_llamacpp.catalogue import CATALOGUE, located
from palaver_llamacpp.server import Server, serve
from palaver_qa import AnswerQuestion
from palaver_summarize import Summarize

WAYS = {"plain": ("", 0, 0), "simple 3+8": ("ngram_simple", 3, 8), "map 3+8": ("ngram_map_k", 3, 8)}
"""Name of the way: llama.cpp's type, tokens that must have been there before, tokens to draft."""


def drafting(way: str) -> Callable[[object], None]:
    """What sets llama.cpp's parameters for it."""

    def adjust(given: object) -> None:
        from xllamacpp.xllamacpp import common_speculative_type as types

        kind, found, drafted = WAYS[way]
        if kind:
            speculative = cast(Any, given).speculative
            speculative.types = [getattr(types, f"COMMON_SPECULATIVE_TYPE_{kind.upper()}")]
            getattr(speculative, kind).size_n, getattr(speculative, kind).size_m = found, drafted

    return adjust


def requests(summaries: Path, squad: Path, count: int) -> dict[str, list[tuple[Request, GenerationConfig]]]:
    """The first examples of both tasks, as Palaver asks them."""
    with gzip.open(summaries, "rt", encoding="utf-8") as file:
        texts = [" ".join(json.loads(line)["source"]) for line in itertools.islice(file, count)]
    data = json.loads(gzip.decompress(squad.read_bytes()))["data"]
    passages = [(one["context"], one["qas"][0]["question"]) for page in data for one in page["paragraphs"]][:count]
    summarize, answer = Summarize(), AnswerQuestion()
    return {
        "summarize": [
            (summarize.request(Example({"text": text})), GenerationConfig(max_new_tokens=160)) for text in texts
        ],
        "qa": [
            (answer.request(Example({"context": text, "question": question})), answer.defaults)
            for text, question in passages
        ],
    }


def answered(server: Server, request: Request, config: GenerationConfig) -> tuple[str, float]:
    """The text, and llama.cpp's milliseconds of decoding."""
    pieces: list[str] = []
    spent = 0.0

    def hear(chunk: Any) -> bool:
        nonlocal spent
        pieces.extend(choice.get("delta", {}).get("content") or "" for choice in chunk.get("choices") or ())
        spent = (chunk.get("timings") or {}).get("predicted_ms", spent)
        return False

    server.handle_chat_completions(body(request, config), hear)
    return "".join(pieces), spent


def main(summaries: str, squad: str, name: str = "smollm2", examples: str = "8") -> None:
    """Measure and print."""
    path = Path(located(next(info for info in CATALOGUE if info.name == name)).path)
    assert path.is_file(), f"palaver models pull {name}"
    servers = {way: serve(path, 4096, adjust=drafting(way)) for way in WAYS}
    for task, asked in requests(Path(summaries), Path(squad), int(examples)).items():
        rows = [{way: answered(server, *one) for way, server in servers.items()} for one in asked]
        plain = sum(row["plain"][1] for row in rows)
        for way in WAYS:
            same = sum(row[way][0] == row["plain"][0] for row in rows)
            ratio = plain / sum(row[way][1] for row in rows)
            print(f"{name} {task} {way}: {ratio:.2f} of plain, {same} of {len(rows)} texts equal", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
