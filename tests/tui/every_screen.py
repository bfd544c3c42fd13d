"""Every screen there is, with something on it, seen at three sizes in both themes: what the promises are checked on."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.segment import Segment
from tests.core.scripted import Script, Scripted, ScriptedRegistry
from tests.tui.history_app import settled
from tests.tui.run_files import ALARM, BEGUN, ENDED, RISING, SAMPLED, write
from textual.pilot import Pilot
from textual.strip import Strip

from palaver.command import parse_line
from palaver.evaluate import Evaluation
from palaver.plans import Wanted, make_plans
from palaver.plugins import find, look
from palaver.runs import begin
from palaver.session import Session
from palaver.store import Store
from palaver_tui.app import PalaverApp
from palaver_tui.places import PLACES
from palaver_tui.screens import models, plugins
from palaver_tui.theme import THEMES
from palaver_tui.widgets.footer import Footer, Hint

SIZES = ((120, 36), (80, 24), (60, 20))
VISITS: Mapping[str, tuple[str, str]] = {
    **{place.command: (place.name, "") for place in PLACES},
    "compare-turns": ("Compare", "#1 #2"),
    "compare-runs": ("Compare", "{run} {next}"),
    "evaluate-runs": ("Evaluate", "{run} {next}"),
    "train-run": ("Train", "./run"),
}
"""A name for each view, the screen, and why the user comes: every place of the app is here by itself."""
KEYS = {"help": "f1", "goto": "ctrl+g"}
"""Pages that a key opens above the chat."""

TEXT = "The old bridge reopened on Monday. It had been closed for two years. Traders lost money."


@dataclass(frozen=True, slots=True)
class Frame:
    """What one screen shows."""

    lines: tuple[tuple[Segment, ...], ...]
    """As the terminal would get them."""
    hints: tuple[Hint, ...]
    command: str
    """The command line that the screen gives for itself."""

    @property
    def rows(self) -> tuple[str, ...]:
        return tuple("".join(segment.text for segment in line).rstrip() for line in self.lines)


Key = tuple[str, tuple[int, int], str]
"""View, size, theme."""


def written(session: Session, folder: Path, texts: Iterable[str]) -> tuple[int, int]:
    """Answered and scored turns, and two evaluations of one data set."""
    for text in texts:
        session.ask(parse_line(text, session.registry))
    rows = [
        {"id": f"e{n}", "text": f"Ship {n} left. Rain fell on {n} towns. All slept.", "summary": f"Ship {n} left."}
        for n in range(6)
    ]
    (folder / "ships.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    wanted = Wanted(task="summarize", dataset="ships.jsonl", models=("lead-3", "lexrank"), options={"length": "1"})
    dataset, plans = make_plans(session.registry, session.store, wanted)
    runs = [begin(session.store, plan) for plan in plans]
    for run in runs:
        Evaluation(session.registry, session.store, run, dataset).run(threading.Event())
    write(folder / "run", BEGUN, *RISING, ALARM, SAMPLED, ENDED)
    session.forget()
    return runs[0], runs[1]


@contextmanager
def world(folder: Path, script: Script) -> Iterator[tuple[PalaverApp, Session]]:
    """The app over a history of its own, the same on every machine. Changes the working folder."""
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"PALAVER_HOME": str(folder), "PALAVER_NO_DAEMON": "1"}.items():
            patch.setenv(name, value)
        built_in = [one for one in find() if one.is_built_in]
        patch.setattr(plugins, "look", lambda off: look(built_in, off=off))
        patch.setattr(models, "installed_memory", lambda: 8_000_000_000)
        os.chdir(folder)
        session = Session(
            ScriptedRegistry(Scripted(script), built_in), Store.open(folder / "history.db"), model="scripted"
        )
        app = PalaverApp(lambda: session)
        try:
            yield app, session
        finally:
            app.chat.conversation.close()
            os.chdir(before)


async def opened(pilot: Pilot[None]) -> PalaverApp:
    """The app when its session is open."""
    app = pilot.app
    assert isinstance(app, PalaverApp)
    while app.chat.conversation.session is None:
        await pilot.pause(0.01)
    await settled(pilot)
    return app


async def visit(pilot: Pilot[None], view: str, runs: tuple[int, int]) -> None:
    """Go to a view."""
    app = pilot.app
    assert isinstance(app, PalaverApp)
    place, words = VISITS.get(view, ("Chat", ""))
    app.go(place, words.format(run=runs[0], next=runs[1]))
    await settled(pilot)
    if view in KEYS:
        await pilot.press(KEYS[view])
    await pilot.pause(0.1)  # what a screen waits for before it reads: a rest of the cursor
    await settled(pilot)


def seen(app: PalaverApp) -> Frame:
    """What is shown now."""
    lines = []
    for strip in app.screen._compositor.render_strips():
        for line_filter in app.get_line_filters():
            strip = strip.apply_filter(line_filter, app.screen.background_colors[1])
        lines.append(tuple(_whole(strip)))
    footers = app.screen.query(Footer)
    command = getattr(app.screen, "command", "")
    return Frame(tuple(lines), tuple(footers.first().hints) if footers else (), str(command))


def _whole(strip: Strip) -> Iterator[Segment]:
    yield from (segment for segment in strip if not segment.control)


async def all_frames(folder: Path, script: Script) -> dict[Key, Frame]:
    """Every view at every size in every theme, from one run of the app."""
    found: dict[Key, Frame] = {}
    with world(folder, script) as (app, session):
        runs = written(session, folder, (f"/summarize -m lead-3 --length 1 {TEXT} --ref The old bridge reopened.",))
        async with app.run_test(size=SIZES[0]) as pilot:
            await opened(pilot)
            app.chat.prompt.put(f'/summarize "{TEXT}" --ref The old bridge reopened.')
            await pilot.press("escape", "enter")
            while app.chat.running is not None or not app.chat.transcript.exchanges:
                await pilot.pause(0.01)
            for view in (*VISITS, *KEYS):
                app.theme = THEMES[0].name
                await pilot.resize_terminal(*SIZES[0])
                await visit(pilot, view, runs)
                for size in SIZES:
                    await pilot.resize_terminal(*size)
                    await settled(pilot)
                    found[view, size, THEMES[0].name] = seen(app)
                for theme in THEMES[1:]:  # what is where does not depend on the colours: the last size is enough
                    app.theme = theme.name
                    await settled(pilot)
                    found[view, SIZES[-1], theme.name] = seen(app)
                if view in KEYS:
                    await pilot.press("escape")
    return found
