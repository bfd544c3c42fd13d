"""Take the pictures of docs/screens.md: every screen at three sizes, with the quick-start model and a small data set.

Run as `python -m tests.tui.pictures FOLDER` in the root of the repository. It needs `smollm2` where the tests keep it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
import threading
from pathlib import Path

from tests.core.installed import Site
from tests.tui.history_app import settled
from textual.pilot import Pilot

from palaver.command import parse_line
from palaver.config import read_settings
from palaver.evaluate import Evaluation
from palaver.plans import Wanted, make_plans
from palaver.runs import begin
from palaver.session import Session
from palaver_tui.app import PalaverApp
from palaver_tui.opening import open_session

SIZES = ((120, 36), (80, 24), (60, 20))
NEWS = (
    ("The old bridge reopened on Monday. It had been closed for two years. Traders lost money.", "Bridge open again."),
    ("A storm closed the harbour. The ferries stayed in port. Two boats were missing.", "Two boats missing in storm."),
    ("The library bought a press. It is from 1850. Visitors may print a card on it.", "Visitors print on old press."),
    ("Rain fell on the town for a week. The river rose. Nobody was hurt.", "River rose after a week of rain."),
    ("The school has a new roof. Parents paid for half of it.", "Parents paid half of the school's new roof."),
    ("Bees live on the roof of the museum. Their honey is sold in the shop.", "Museum sells honey of its own bees."),
    ("The last cinema closes in May. Its owner retires. A shop moves in.", "Last cinema becomes a shop."),
    ("A fox slept in the tram. The driver waited until it left.", "Tram waited for a sleeping fox."),
    ("The night train is back. It runs on Fridays. Tickets are sold out.", "Night train is back and sold out."),
    ("Two rivals opened one bakery. Their bread won a prize.", "Rivals win prize with a common bakery."),
)
STORM = (
    "A storm closed the harbour. The ferries stayed in port. Two boats were missing. They were found in the morning."
)
TURNS = ('/translate fr "Good morning." --ref Bonjour.', '/qa @storm.txt "How many boats were missing?" --ref two')
BEFORE = "/summarize -m lexrank --length 1 Bees live on the roof. Their honey is sold. --ref Honey of the bees is sold."
VIEWS = {
    "chat": ("Chat", ""),
    "compare": ("Compare", "{0} {1}"),
    "history": ("History", ""),
    "evaluate": ("Evaluate", "{0} {1} {2}"),
    "models": ("Models", ""),
    "plugins": ("Plugins", ""),
}


def prepare(home: Path) -> None:
    """A home with the model, and two plugins of others, one of them broken."""
    kept = Path(os.environ.get("PALAVER_TEST_MODELS") or Path(tempfile.gettempdir()) / "palaver-test-models")
    (home / "models").mkdir()
    (home / "models/smollm2").symlink_to(kept / "models/smollm2", target_is_directory=True)
    site = Site(home / "site", home)
    site.install("shout", Path("docs/examples/palaver-shout/palaver_shout.py").read_text("utf-8"), version="0.1.0")
    site.install("comet", "import comet\n", version="1.0.2")
    metadata = next((home / "site").glob("palaver_comet*")) / "METADATA"
    metadata.write_text(metadata.read_text("utf-8") + 'Requires-Dist: comet>=2; extra == "model"\n', "utf-8")
    sys.path.insert(0, str(home / "site"))
    os.environ.update(PALAVER_HOME=str(home), PALAVER_NO_DAEMON="1", PALAVER_THREADS="1", PYTHONPATH=str(home / "site"))


def evaluate(session: Session) -> list[int]:
    """Three models over the news."""
    rows = [{"id": f"n{at}", "text": text, "summary": summary} for at, (text, summary) in enumerate(NEWS, start=1)]
    Path("storm.txt").write_text(STORM, "utf-8")
    Path("news.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    wanted = Wanted(
        task="summarize", dataset="news.jsonl", models=("lead-3", "lexrank", "luhn"), options={"length": "1"}
    )
    dataset, plans = make_plans(session.registry, session.store, wanted)
    runs = [begin(session.store, plan) for plan in plans]
    for run in runs:
        Evaluation(session.registry, session.store, run, dataset).run(threading.Event())
    return runs


async def demo(pilot: Pilot[None], app: PalaverApp) -> None:
    """Three ready translations, one good, one fair, one poor."""
    before = len(app.chat.transcript.exchanges)
    app.chat.conversation.demo()
    while len(app.chat.transcript.exchanges) < before + 3:
        await pilot.pause(0.05)
    await settled(pilot)


async def ask(pilot: Pilot[None], app: PalaverApp, line: str) -> None:
    """Type a line into the chat and wait for the answer."""
    before = len(app.chat.transcript.exchanges)
    app.chat.prompt.put(line)
    await pilot.pause()
    await pilot.press("escape" if app.chat.prompt.menu_is_open else "end", "enter")
    while len(app.chat.transcript.exchanges) == before or app.chat.running is not None:
        await pilot.pause(0.05)
    await settled(pilot)


async def main(folder: Path) -> None:
    """Fill a history and take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        prepare(home)
        os.chdir(home)
        app = PalaverApp(lambda: open_session(read_settings()))
        async with app.run_test(size=SIZES[0]) as pilot:
            while (session := app.chat.conversation.session) is None:
                await pilot.pause(0.05)
            runs = await asyncio.to_thread(evaluate, session)
            session.ask(parse_line(BEFORE, session.registry))
            session.forget()
            app.chat.transcript.clear()
            for line in TURNS:
                await ask(pilot, app, line)
            await demo(pilot, app)
            for view, (place, words) in VIEWS.items():
                await pilot.resize_terminal(*SIZES[0])
                app.go(place, words.format(*runs))
                await settled(pilot)
                if view == "models":
                    await pilot.press("g")
                for size in SIZES:
                    await pilot.resize_terminal(*size)
                    await pilot.pause(0.5)
                    await settled(pilot)
                    take(app, folder / f"{view}-{size[0]}x{size[1]}.svg")
            app.go("Chat")
            app.theme = "ledger-light"
            await pilot.resize_terminal(*SIZES[1])
            await pilot.pause(0.5)
            take(app, folder / "chat-light-80x24.svg")
        app.chat.conversation.close()


def take(app: PalaverApp, path: Path) -> None:
    """The screen as SVG, without trailing white space and without a folder of this machine."""
    picture = app.export_screenshot(title="palaver")
    picture = re.sub(r"/tmp/tmp\w+", "~", picture)
    path.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n", "utf-8")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).resolve()))
