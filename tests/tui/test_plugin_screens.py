"""A plugin's screen is a place like any other, and what it does ends it and nothing else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.tui.chat_app import PATIENCE, shown
from textual.pilot import Pilot

from palaver.plugins import Found, Plugins, find
from palaver.plugins.failures import clear_failures
from palaver.registry import Registry
from palaver.session import Session
from palaver.store import Store
from palaver_tui.app import PalaverApp
from palaver_tui.screens.hosted import HostedScreen

SCREENS = """
import ctypes, os, re, sys, time
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
            BINDINGS = [("b", "app.bell", "ring")]
            if name == "Style": DEFAULT_CSS = "Mine { colour }"
            seen = 0
            def compose(self):
                if name == "Compose": raise KeyError("in compose")
                yield Turns()
            def on_mount(self):
                if name == "Mount": raise KeyError("in mount")
                if name == "Vanish": os._exit(7)
                if name == "Crash": ctypes.string_at(0)
                if name == "Leave": sys.exit(3)
                if name == "Sleep": time.sleep(600)
                if name == "Noise":
                    while True: print("NOISE" * 1000)
                if name == "Timer": self.set_timer(0.01, self.fail)
                if name == "Worker": self.run_worker(self.fail, thread=True)
            def fail(self): raise KeyError("in " + name.lower())
            def on_key(self, event):
                if name == "Keys" and event.key == "x": raise KeyError("in a key")
                if name == "Stuck" and event.key == "x": re.match("(a+)+$", "a" * 60 + "b")  # holds the interpreter
                if event.key == "c": self.app.copy_to_clipboard("copied")
                if event.key == "q": self.dismiss()
                if event.key == "s": desk.say("/summarize One. Two. Three. Four.")
                if event.key == "n": self.seen += 1; self.query_one(Turns).styles.height = 5

        if name == "Open": raise KeyError("in open")
        return "no screen" if name == "Text" else Mine()

def palaver_screens(): return [Kind(one) for one in %r]
"""
BREAKS = ("Open", "Text", "Style", "Compose", "Mount", "Render", "Timer", "Worker", "Keys")
ENDS = {
    "Vanish": "its process ended with exit code 7",
    "Crash": "its process was killed by SIGSEGV",
    "Leave": "SystemExit: 3",
    "Sleep": "it did not answer for 1 s",
    "Noise": "it did not answer for 1 s",
    "Stuck": "it did not answer for 1 s",
}
"""What no `except` catches, and how it is told."""
NAMES = ("Clock", *BREAKS, *ENDS)


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


@pytest.fixture
def here(palaver_home: Path) -> None:
    """The plugin is kept in this process, as its user wished."""
    (palaver_home / "config.toml").write_text('[isolation]\nscreens = "inproc"\n', "utf-8")


async def until(pilot: Pilot[None], holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, what
        await pilot.pause(0.02)


async def test_it_is_drawn_by_a_process_of_its_own_and_used_like_any_other(places: Found, tmp_path: Path) -> None:
    async with opened(places, tmp_path) as (app, pilot):
        await pilot.press("ctrl+g", "l")
        assert "opening Clock" in shown(app)  # the app draws meanwhile
        await until(pilot, lambda: "turns: []" in shown(app), "it never drew")
        assert "fixture_screens" not in sys.modules
        hosted = app.screen
        assert isinstance(hosted, HostedScreen)
        assert hosted.link
        process = hosted.link.pid
        await pilot.press("f1")
        await until(pilot, lambda: "b             ring" in shown(app), "F1 does not list its keys")
        await pilot.press("escape", "c")
        await until(pilot, lambda: app.clipboard == "copied", "nothing was copied")
        await pilot.resize_terminal(90, 30)
        await until(pilot, lambda: "turns: []" in shown(app), "it was not drawn in the new size")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.chat, "esc did not lead back")
        app.go("Clock")
        await pilot.pause()
        assert "turns: []" in shown(app)  # as it was left
        assert hosted.link.pid == process
        await pilot.press("ctrl+g", "h")
        await until(pilot, lambda: "History" in shown(app), "ctrl+g did not lead on")
        app.go("Clock")
        await pilot.press("s")
        await until(pilot, lambda: app.chat.transcript.exchanges and app.chat.running is None, "nothing was asked")
        assert app.screen is app.chat
        app.go("Clock")
        await pilot.press("q")
        await until(pilot, lambda: app.screen is app.chat, "it did not close itself")
        assert not app._notifications
        app.go("Clock")
        await until(pilot, lambda: "['One. Two. Three.']" in shown(app), "it does not see the history")
    assert not _is_there(process)


async def test_whatever_one_does_the_window_lives_and_the_next_turn_works(
    places: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALAVER_SCREEN_SECONDS", "1")
    async with opened(places, tmp_path) as (app, pilot):
        app.chat.prompt.put("a draft")
        for name, reason in (*dict.fromkeys(("Style", "Mount", "Keys"), "").items(), *ENDS.items()):
            app.go(name)
            if name in ("Keys", "Stuck"):
                await until(pilot, lambda: "turns:" in shown(app), f"{name} never drew")
                await pilot.press("x")
            said = f"the screen {name} broke and was closed: "
            await until(pilot, lambda said=said: told(app, said), f"{name} was not told of")
            (last,) = told(app, said)
            assert last.startswith(said + reason)
            assert name in ("Style", *ENDS) or "KeyError: 'in" in last
            await until(pilot, lambda: app.screen is app.chat, "the chat did not come back")
            assert app.chat.prompt.text == "a draft"
            clear_failures("screens")
        app.chat.prompt.put("/summarize One. Two. Three. Four.")
        await pilot.press("end", "enter")
        await until(pilot, lambda: app.chat.transcript.exchanges and app.chat.running is None, "nothing was answered")


@pytest.mark.parametrize("key", ["escape", "ctrl+c", "ctrl+g"])
async def test_a_hanging_screen_is_left_at_once(places: Found, tmp_path: Path, key: str) -> None:
    async with opened(places, tmp_path) as (app, pilot):
        app.go("Stuck")
        await until(pilot, lambda: "turns:" in shown(app), "it never drew")
        await pilot.press("x")
        hosted = app.screen
        assert isinstance(hosted, HostedScreen)
        await until(pilot, lambda: "it does not answer" in shown(app), "nobody says that it hangs")
        await pilot.press(key)
        if key == "ctrl+g":
            await pilot.press("h")
        await pilot.pause()
        assert app.screen is not hosted
        if key == "ctrl+c":
            (last,) = app._notifications
            assert "you ended it while it did not answer" in last.message


async def test_three_failures_set_its_plugin_aside(places: Found, tmp_path: Path) -> None:
    async with opened(places, tmp_path) as (app, pilot):
        for count in range(1, 5):
            app.go("Vanish")
            await until(pilot, lambda count=count: len(app._notifications) == count, "it was not told of")
        told = [one.message for one in app._notifications]
        assert "go there again to try anew, or switch it off: palaver plugins disable screens" in told[1]
        assert "failed 3 times in a row" in told[2]
        assert "again with: palaver plugins enable screens" in told[3]
        assert app.screen is app.chat


def told(app: PalaverApp, said: str) -> list[str]:
    """The notifications that begin so."""
    return [one.message for one in app._notifications if one.message.startswith(said)]


def _is_there(process: int) -> bool:
    """Whether a process has not ended within some seconds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        os.sched_yield()
    return True


@pytest.mark.usefixtures("here")
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


@pytest.mark.usefixtures("here")
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
