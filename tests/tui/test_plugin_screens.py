"""A plugin's screen is a place like any other, and what it raises closes it and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.tui.chat_app import shown
from textual.pilot import Pilot

from palaver.plugins import Found, Plugins, find
from palaver.registry import Registry
from palaver.session import Session
from palaver.store import Store
from palaver_tui.app import PalaverApp

SCREENS = """
class Kind:
    summary = "what [/] it shows"
    def __init__(self, name): self.name = name

    def open(self, desk):
        from textual.screen import Screen
        from textual.widget import Widget
        from textual.widgets import Static
        name = self.name

        class Turns(Widget):
            def render(self):
                if name == "Render": raise KeyError("in render")
                return f"turns: {[turn['output'] for turn in desk.turns('task:summarize')]}"

        class Mine(Screen):
            if name == "Style": DEFAULT_CSS = "Mine { colour }"
            seen = 0
            def compose(self):
                if name == "Compose": raise KeyError("in compose")
                yield Turns()
            def on_mount(self):
                if name == "Mount": raise KeyError("in mount")
                if name == "Timer": self.set_timer(0.01, self.fail)
                if name == "Worker": self.run_worker(self.fail, thread=True)
            def fail(self): raise KeyError("in " + name.lower())
            def on_key(self, event):
                if name == "Keys" and event.key == "x": raise KeyError("in a key")
                if event.key == "s": desk.say("/summarize One. Two. Three. Four.")
                if event.key == "n": self.seen += 1; self.query_one(Turns).styles.height = 5

        if name == "Open": raise KeyError("in open")
        return "no screen" if name == "Text" else Mine()

def palaver_screens(): return [Kind(one) for one in %r]
"""
BREAKS = ("Open", "Text", "Style", "Compose", "Mount", "Render", "Timer", "Worker", "Keys")
NAMES = ("Clock", *BREAKS)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Found]:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "fixture_screens.py").write_text(SCREENS % (NAMES,), "utf-8")
    yield Found("screens", "fixture_screens", "palaver-screens", "1")


@asynccontextmanager
async def opened(found: Found, folder: Path) -> AsyncIterator[tuple[PalaverApp, Pilot[None]]]:
    built_in = [one for one in find() if one.is_built_in]
    app = PalaverApp(
        lambda: Session(Registry(Plugins([*built_in, found])), Store.open(folder / "history.db"), model="lead-3")
    )
    async with app.run_test(size=(130, 40)) as pilot:
        while app.chat.conversation.session is None or app.chat.start is None:
            await pilot.pause(0.01)
        yield app, pilot
    app.chat.conversation.close()


async def test_it_is_reached_by_its_letter_and_the_palette_and_keeps_its_state(places: Found, tmp_path: Path) -> None:
    async with opened(places, tmp_path) as (app, pilot):
        await pilot.press("ctrl+g")
        assert "l Clock" in shown(app)  # c is the chat's
        await pilot.press("l")
        await pilot.pause()
        assert "turns: []" in shown(app)
        await pilot.press("n", "escape")
        assert app.screen is app.chat
        titles = {one.title: one for one in app.palette_commands()}
        titles["go: clock"].run()
        await pilot.pause()
        assert app.screen.seen == 1  # type: ignore[attr-defined]
        await pilot.press("s")
        while not app.chat.transcript.exchanges or app.chat.running is not None:
            await pilot.pause(0.01)
        assert app.screen is app.chat
        app.go("Clock")
        app.screen.refresh(recompose=True)
        await pilot.pause()
        assert "turns: ['One. Two. Three.']" in shown(app)


async def test_one_that_raises_is_closed_each_time_and_the_chat_goes_on(places: Found, tmp_path: Path) -> None:
    async with opened(places, tmp_path) as (app, pilot):
        for name in (*BREAKS, "Style", "Mount"):
            before = len(app._notifications)
            app.go(name)
            await pilot.press("x")
            while len(app._notifications) == before:
                await pilot.pause(0.01)
            await pilot.pause()
            (*_, last) = app._notifications
            assert last.message.startswith(f"the screen {name} broke and was closed: ")
            assert name in ("Text", "Style") or "KeyError: 'in" in last.message
            assert app.screen is app.chat
        await pilot.press(*"still here")
        assert app.chat.prompt.text.endswith("still here")
        for place, part in (("Clock", "turns: []"), ("History", "History")):
            app.go(place)
            await pilot.pause()
            assert part in shown(app)
