"""How long a conversation of many turns takes to open, a key to be shown, earlier turns to appear.

Run as `python tests/bench/bench_chat.py [TURNS]`. The answers are three paragraphs of Markdown each. Wall time and
processor time in milliseconds, in a terminal of 120 by 36.
"""

from __future__ import annotations

import asyncio
import functools
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.core.scripted import says
from tests.tui.chat_app import Chat, chat
from textual.events import Key

from palaver.model import Generation
from palaver.store import Store, TurnStart

ANSWER = (
    "The **library** of Alexandria held scrolls from every ship that landed.\n\n"
    "- Scribes copied them by hand.\n- The copies went back to the ships.\n\n"
    "It did not burn in one night; it faded, as `papyrus` does."
)
KEYS = 60
print = functools.partial(print, flush=True)


def fill(store: Store, turns: int) -> None:
    """One conversation of so many turns."""
    run, parent = store.begin_run("chat"), None
    for number in range(turns):
        text = f"Question {number} about the library"
        parent = store.begin_turn(
            TurnStart(
                run, "chat", "scripted", "scripted", {"text": text}, text, parent_id=parent, backend="scripted",
                model_digest="sha256:scripted",
            )
        )  # fmt: skip
        output = f"{number}. {ANSWER}"
        store.finish_turn(parent, output=output, raw=output, status="complete", generation=Generation(output, "stop"))


async def key(talk: Chat, name: str) -> float:
    """Seconds from a key to the frame that shows it."""
    frames: list[float] = []
    display = talk.app._display

    def counted(screen: object, renderable: object) -> None:
        display(screen, renderable)  # type: ignore[arg-type]
        if talk.screen.prompt.text != before:
            frames.append(time.perf_counter())

    talk.app._display = counted  # type: ignore[method-assign]
    before, began = talk.screen.prompt.text, time.perf_counter()
    talk.app.post_message(Key(name, name))
    while not frames:
        await asyncio.sleep(0.001)
    talk.app._display = display  # type: ignore[method-assign]
    await asyncio.sleep(0.05)  # as fast as people type
    return frames[0] - began


def is_shown(talk: Chat, turn_id: int) -> bool:
    """The turn is laid out, and in view."""
    last = talk.screen.transcript.last
    return last is not None and last.turn_id == turn_id and last.region.height > 0


async def main() -> None:
    """Open, type, scroll up to the first turn, type again."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        with Store.open(Path(folder) / "history.db") as store:
            fill(store, turns)
        async with chat(Path(folder), says("ok"), size=(120, 36)) as talk:
            began, cpu = time.perf_counter(), time.process_time()
            talk.screen.resume()
            while not is_shown(talk, turns):
                await asyncio.sleep(0.002)
            opened, cpu = time.perf_counter() - began, time.process_time() - cpu
            print(f"open {turns:,} turns   {opened * 1000:6.0f} ms   {cpu * 1000:6.0f} ms of processor time")
            await asyncio.sleep(8.0)  # the turns above come to life one by one
            await keys(talk, "a key at the end")
            began, pages = time.perf_counter(), 0
            while talk.exchanges[0].turn_id != talk.screen.path[0] and pages < 2000:
                first = talk.exchanges[0].turn_id
                while talk.exchanges[0].turn_id == first:
                    talk.screen.transcript.scroll_home(animate=False)
                    await asyncio.sleep(0.01)
                pages += 1
            took = (time.perf_counter() - began) * 1000
            print(f"scroll to the first     {took:6.0f} ms   {pages} pages, {len(talk.exchanges)} turns kept")
            await asyncio.sleep(1.0)
            await keys(talk, "a key at the beginning")


async def keys(talk: Chat, label: str) -> None:
    """Median and worst of some keys."""
    found = sorted([await key(talk, "x") for _ in range(KEYS)])
    middle, late = statistics.median(found) * 1000, found[int(KEYS * 0.95)] * 1000
    print(f"{label:<23} {middle:6.1f} ms median   {late:6.1f} ms p95   {len(talk.screen.query('*')):,} widgets")


if __name__ == "__main__":
    asyncio.run(main())
