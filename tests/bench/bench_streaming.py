"""Whether the screen answers while 2,000 tokens come at 200 a second, in five shapes of document.

Prints, for each shape, when the answer was whole (10.0 s is ideal), processor time a token, and how late the event loop
was (p99 and worst). Run as `python tests/bench/bench_streaming.py [TOKENS] [PER_SECOND]`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.tui.chat_app import chat

from palaver import Delta, GenerationConfig, Request

WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "runs", "away")


def mixed(index: int) -> str:
    """Headings, paragraphs, lists and code by turns."""
    place = index % 200
    if place == 0:
        return "\n\n## Part\n\n"
    if 80 <= place < 120:
        return f"\n- {word(index)}" if place % 8 == 0 else f" {word(index)}"
    if place == 120:
        return "\n\n```python\n"
    if 120 < place < 160:
        return "x = 1\n" if place % 6 == 0 else f"{word(index)} "
    if place == 160:
        return "\n```\n\n"
    return f"{word(index)} " if place % 40 else "\n\n"


def word(index: int) -> str:
    """Any word."""
    return WORDS[index % len(WORDS)]


SHAPES = {
    "mixed": mixed,
    "paragraph": lambda index: f"{word(index)} ",
    "code": lambda index: "```python\n" if index == 0 else ("\n    " if index % 10 == 0 else f"{word(index)} "),
    "list": lambda index: f"\n- {word(index)}" if index % 6 == 0 else f" {word(index)}",
    "table": lambda index: "| a | b |\n|---|---|\n" if index == 0 else f"| {word(index)} | {index} |\n",
}


async def measure(shape: str, tokens: int, rate: float) -> str:
    """One answer of this shape, and how late each tick of a 10 ms clock was meanwhile."""
    piece = SHAPES[shape]

    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        began = time.perf_counter()
        for index in range(tokens):
            time.sleep(max(0.0, began + index / rate - time.perf_counter()))
            yield Delta(piece(index))
        yield Delta(finish_reason="stop", output_tokens=tokens)

    late: list[float] = []

    async def clock() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            late.append(time.perf_counter() - before - 0.01)

    with tempfile.TemporaryDirectory() as folder:
        async with chat(Path(folder), script, size=(120, 36)) as talk:
            await asyncio.sleep(1.0)  # a person has read the first screen by now
            ticking = asyncio.create_task(clock())
            began, cpu = time.perf_counter(), time.process_time()
            await talk.send("Go")
            while talk.screen.running is not None:
                await asyncio.sleep(0.02)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            await asyncio.sleep(0.5)
            ticking.cancel()
    late.sort()
    p99, worst = late[int(len(late) * 0.99)], late[-1]
    return f"{seconds:6.1f} s   {cpu / tokens * 1000:5.1f} ms   {p99 * 1000:5.0f} ms   {worst * 1000:5.0f} ms"


async def main() -> None:
    """All five shapes, one after the other."""
    tokens = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 200.0
    print(f"{tokens} tokens at {rate:.0f}/s   finished   cpu/token   lag p99   lag max")
    for shape in SHAPES:
        print(f"{shape:<22}{await measure(shape, tokens, rate)}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
