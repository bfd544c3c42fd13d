"""How fast the History screen opens and answers to keys: `python tests/bench/bench_history_screen.py [TURNS...]`.

The budget over 100,000 turns is 0.1 s to the first rows and 20 ms a key on an idle machine, and at most twice that over
1,000,000. `--in=FOLDER` keeps the histories there and finds them again: a million turns take minutes to write.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.tui.history_app import HistoryApp, settled, table
from tests.tui.history_rows import fill
from textual.pilot import Pilot

from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.session import Session
from palaver.store import Store

KEYS = ("j", "k", "pagedown", "pageup", "G", "g")


async def timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Milliseconds of one piece of work: on the wall, and of processor in all threads."""
    wall, processor = time.perf_counter(), time.process_time()
    await work()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - processor)


def told(name: str, took: list[tuple[float, float]]) -> float:
    """Print a line; the median of processor milliseconds, which others on the machine change least."""
    wall, processor = ([one[place] for one in took] for place in (0, 1))
    print(f"{name:<30} wall {median(wall):7.1f} ms, worst {max(wall):7.1f}   processor {median(processor):7.1f} ms")
    return median(processor)


async def key(pilot: Pilot[None], name: str, times: int = 15) -> list[tuple[float, float]]:
    """From a key to the rows it leads to: no detail, no count, as they come after."""

    async def once() -> None:
        pilot.app.simulate_key(name)
        await pilot._wait_for_screen()
        while table(pilot)._is_loading:
            await asyncio.sleep(0.001)  # a loop that never rests would starve the reading thread

    return [await timed(once) for _ in range(times)]


async def measure(rows: int, kept: Path | None) -> dict[str, float]:
    """Open the screen over `rows` turns and press keys; milliseconds by what was done."""
    with tempfile.TemporaryDirectory() as folder:
        path = (kept or Path(folder)) / f"history-{rows}.db"
        if not path.exists():
            spent = time.perf_counter()
            fill(path, rows)
            print(f"{rows:,} turns written in {time.perf_counter() - spent:.1f} s")
        with Store.open(path) as store:
            session = Session(Registry(Plugins()), store)
            session.registry.tasks()  # the chat has loaded the plugins long before
            print(f"{rows:,} turns")
            return await screen(session)


async def screen(session: Session) -> dict[str, float]:
    """The numbers of one open screen."""
    found: dict[str, float] = {}
    opening: list[tuple[float, float]] = []
    from palaver_tui.screens.history import HistoryScreen
    from palaver_tui.widgets.filter_box import FilterBox

    app = HistoryApp(session)
    async with app.run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        for _ in range(3):
            await app.pop_screen()

            async def opened() -> None:
                await app.push_screen(HistoryScreen(session))
                while not app.screen.query("Table") or not table(pilot).rows:
                    await asyncio.sleep(0.001)  # a loop that never rests would starve the reading thread

            opening.append(await timed(opened))
            await settled(pilot)
        found["open to first rows"] = told("open to first rows", opening)
        for name in KEYS:
            found[f"key {name}"] = told(f"key {name}", await key(pilot, name))
            await settled(pilot)
        for text in ("model:model-1 chrf<50", "Nummer 777", "since:7d is:failed"):

            async def filtered(text: str = text) -> None:
                before = table(pilot).rows
                app.screen.query_one(FilterBox).value = text
                app.screen._apply()  # type: ignore[attr-defined]
                while table(pilot).rows is before:
                    await asyncio.sleep(0.001)  # a loop that never rests would starve the reading thread

            await settled(pilot)
            found[f"filter {text}"] = told(f"filter {text}", [await timed(filtered)])
            told("  and its count and trend", [await timed(lambda: settled(pilot))])
    return found


async def main(sizes: list[int], kept: Path | None) -> None:
    """One size after the other, then how much more processor time the largest took than the first."""
    found = [await measure(rows, kept) for rows in sizes]
    if len(found) > 1:
        print(f"{sizes[-1]:,} turns against {sizes[0]:,}")
        for name, milliseconds in found[0].items():
            print(f"  {name:<28} {found[-1][name] / milliseconds:5.2f} times the processor time")


if __name__ == "__main__":
    words = [one for one in sys.argv[1:] if not one.startswith("--in=")]
    folder = next((Path(one.removeprefix("--in=")) for one in sys.argv[1:] if one.startswith("--in=")), None)
    asyncio.run(main([int(one) for one in words] or [100_000], folder))
