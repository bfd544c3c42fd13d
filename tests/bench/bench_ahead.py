"""Whether keys stay fast while the model reads what was pasted into the chat, before it is sent.

    python tests/bench/bench_ahead.py [KEYS]

The real chat in a terminal of 120 by 36 with `smollm2`. Keys are typed at the end of a pasted page, ten a second: once
with the model idle, once while it reads the page ahead on all of its threads. Milliseconds from a key to the frame that
shows it. The page changes with each key at its beginning, so that there is always something to read.
"""

from __future__ import annotations

import asyncio
import functools
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from textual.events import Key

from palaver.ahead import read_ahead
from palaver.plugins import Plugins
from palaver.pull import pull
from palaver.registry import Registry
from palaver.session import Session
from palaver.store import Store
from palaver_llamacpp.catalogue import SMOLLM2
from palaver_tui.app import PalaverApp

PAGE = " ".join(f"On day {day} the boats came home late, and the keeper wrote it down." for day in range(1, 60))
print = functools.partial(print, flush=True)


async def key(app: PalaverApp, name: str) -> float:
    """Seconds from a key to the frame that shows it."""
    frames: list[float] = []
    display = app._display

    def counted(screen: object, renderable: object) -> None:
        display(screen, renderable)  # type: ignore[arg-type]
        if app.chat.prompt.text != before:
            frames.append(time.perf_counter())

    app._display = counted  # type: ignore[method-assign]
    before, began = app.chat.prompt.text, time.perf_counter()
    app.post_message(Key(name, name))
    while not frames:
        await asyncio.sleep(0.001)
    app._display = display  # type: ignore[method-assign]
    return frames[0] - began


class Reader:
    """Reads the page again and again, as a draft would be."""

    def __init__(self, session: Session) -> None:
        self._session, self._cancel = session, threading.Event()
        self.begun = 0
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._cancel.is_set():
            self.begun += 1
            read_ahead(self._session, f"{self.begun} {PAGE}", self._cancel)

    def close(self) -> None:
        """End it."""
        self._cancel.set()
        self._thread.join()


async def keys(app: PalaverApp, label: str, count: int) -> None:
    """Median and 95th percentile of so many keys."""
    found = []
    for _ in range(count):
        found.append(await key(app, "x"))
        await asyncio.sleep(0.1)
    found.sort()
    middle, late = 1000 * statistics.median(found), 1000 * found[int(count * 0.95)]
    print(f"{label:<24} {middle:6.1f} ms median   {late:6.1f} ms p95   {1000 * found[-1]:6.1f} ms worst")


async def main(count: int = 100) -> None:
    """Idle, reading, idle again."""
    pull(SMOLLM2, on_progress=lambda progress: None, cancel=threading.Event())
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Registry(Plugins()), Store.open(Path(folder) / "history.db"), model="llamacpp:smollm2")
        app = PalaverApp(lambda: session)
        async with app.run_test(size=(120, 36)) as pilot:
            while app.chat.conversation.session is None:
                await pilot.pause(0.01)
            session.registry.model("smollm2").load()  # type: ignore[attr-defined]
            app.chat.conversation.read_ahead = lambda draft: None  # type: ignore[method-assign]  # the pages are read
            app.chat.prompt.put(PAGE[:400])
            await asyncio.sleep(0.5)
            await keys(app, "a key, the model idle", count)
            reader = Reader(session)
            await asyncio.sleep(0.5)
            await keys(app, "a key while it reads", count)
            print(f"pages begun: {reader.begun}")
            await asyncio.to_thread(reader.close)
            await keys(app, "idle again", count)
        app.chat.conversation.close()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
