"""The real app with a real session: the built-in plugins, a history in a folder of the test, a scripted model."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.core.scripted import Script, Scripted, ScriptedRegistry
from textual.pilot import Pilot

from palaver import Delta, GenerationConfig, Request
from palaver.session import Session
from palaver.store import Store
from palaver_tui.app import PalaverApp
from palaver_tui.screens.chat import ChatScreen
from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.text import Text

PATIENCE = 20.0
"""Seconds after which a test gives up on something that should happen."""


class Held:
    """A script that says its pieces, then waits until it is let go or stopped: for tests that act meanwhile."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces
        self.is_waiting = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        for piece in self.pieces:
            yield Delta(piece)
        self.is_waiting.set()
        while not cancel.is_set() and not self.go_on.wait(0.01):
            pass
        yield Delta(finish_reason="cancelled" if cancel.is_set() else "stop")


class Weights(threading.Event):
    """Set when they are loaded, as a test says; or when loading has failed."""

    fails = False


class WithWeights(Scripted):
    """A scripted model that has to load before it answers, as one in a process of its own does."""

    def __init__(self, script: Script, weights: Weights) -> None:
        super().__init__(script)
        self.weights = weights

    @property
    def is_ready(self) -> bool:
        return self.weights.is_set() and not self.weights.fails

    def load(self) -> None:
        assert self.weights.wait(PATIENCE)

    def stream(self, requests: Sequence[Request], config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        while not self.weights.wait(0.01):
            if cancel.is_set():
                yield Delta(finish_reason="cancelled")
                return
        yield from super().stream(requests, config, cancel)


class Chat:
    """A running app, as a test needs it."""

    def __init__(self, app: PalaverApp, pilot: Pilot[None], store: Store, model: Scripted) -> None:
        self.app, self.pilot, self.store, self.model = app, pilot, store, model

    @property
    def screen(self) -> ChatScreen:
        return self.app.chat

    @property
    def exchanges(self) -> list[Exchange]:
        return self.screen.transcript.exchanges

    @property
    def will_do(self) -> str:
        """The row above the prompt."""
        return str(self.screen.query_one("#will-do", Text).content)

    def loads_slowly(self) -> Weights:
        """From now on the model has weights, which are loaded when the test says so."""
        weights = Weights()
        registry = self.screen.conversation.session.registry  # type: ignore[union-attr]
        registry.scripted = WithWeights(self.model.script, weights)  # type: ignore[attr-defined]
        registry._backends["scripted"][0].model = registry.scripted  # type: ignore[attr-defined]
        return weights

    async def until(self, holds: Callable[[], object], what: str = "") -> None:
        """Let the app run until something holds."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, what or "it never happened"
            await self.pilot.pause(0.01)

    async def send(self, text: str) -> None:
        """Put a text into the prompt and press enter."""
        self.screen.prompt.put(text)
        await self.pilot.pause()
        await self.pilot.press("escape" if self.screen.prompt.menu_is_open else "end")
        await self.pilot.press("enter")
        await self.pilot.pause()

    async def ask(self, text: str) -> Exchange:
        """The same, until the answer is over."""
        before = len(self.exchanges)
        await self.send(text)
        await self.until(lambda: len(self.exchanges) > before and self.screen.running is None, f"no answer to {text}")
        await self.pilot.pause()
        return self.exchanges[-1]

    def shown(self) -> str:
        """What is on the terminal, as text."""
        return shown(self.app)


def shown(app: PalaverApp) -> str:
    """All rows of the screen after the guard, as the terminal would get them."""
    lines = []
    for strip in app.screen._compositor.render_strips():
        for line_filter in app.get_line_filters():
            strip = strip.apply_filter(line_filter, app.screen.background_colors[1])
        lines.append(strip.text.rstrip())
    return "\n".join(lines)


@asynccontextmanager
async def chat(
    folder: Path,
    script: Script,
    *,
    size: tuple[int, int] = (100, 30),
    theme: str = "",
    model: str = "scripted",
    resume: int | None = None,
    kind: type[Scripted] = Scripted,
) -> AsyncIterator[Chat]:
    """The app, started and ready."""
    scripted = kind(script)
    store = Store.open(folder / "history.db")
    session = Session(ScriptedRegistry(scripted), store, model=model)
    app = PalaverApp(lambda: session, theme=theme)
    app.chat.resume_first = resume
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            found = Chat(app, pilot, store, scripted)
            await found.until(lambda: app.chat.conversation.session is not None, "it never opened")
            await pilot.pause()
            yield found
    finally:
        app.chat.conversation.close()
