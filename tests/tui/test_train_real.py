"""A real run, begun by the Train screen as a process of its own, stopped by a key, its checkpoint loadable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("tokenizers")

import click
from tests.core.scripted import says
from tests.plugins.train_runs import text_file
from tests.tui.chat_app import chat

from palaver import UsageError
from palaver_train.commands import add_to
from palaver_train.events import Controlled, Ended, read_events
from palaver_train.places import find
from palaver_train.watch import words
from palaver_tui.screens.train import TrainScreen


async def test_a_run_is_begun_lowered_stopped_and_kept(tmp_path: Path, palaver_home: Path) -> None:
    text = text_file(tmp_path)
    small = "--steps 100000 --evaluate-every 20 --width 32 --layers 1 --heads 2 --context 32 --batch 8"
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
            talk.app.go("Train", f"lm {text} --out ./run {small}")
            await talk.until(lambda: isinstance(talk.app.screen, TrainScreen))
            await talk.until(lambda: "❯   step" in talk.shown() and "copied verbatim" in talk.shown())
            await talk.pilot.press("l")
            await talk.until(lambda: "(lowered, times 0.5)" in talk.shown())
            await talk.pilot.press("s")
            await talk.until(lambda: "○ stopped" in talk.shown())
            children = talk.app.screen._children  # type: ignore[attr-defined]
            await talk.until(lambda: all(one.process.poll() == 0 for one in children.values()))
            await talk.pilot.press("enter")
            await talk.until(lambda: talk.screen.prompt.text == "/generate ")
    finally:
        os.chdir(before)
    events = list(read_events(tmp_path / "run"))
    assert [one.what for one in events if isinstance(one, Controlled)] == ["learning rate times 0.5"]
    assert isinstance(events[-1], Ended) and events[-1].reason == "stopped"
    assert find(tmp_path / "run") is not None


def test_the_run_that_is_watched_is_the_one_that_was_typed() -> None:
    flags = {"steps": 5, "lowercase": True, "text": None, "learning_rate": 0.01}
    assert words("lm", "a b.txt", "out", flags) == [
        "lm", "a b.txt", "--out", "out", "--steps", "5", "--lowercase", "--learning-rate", "0.01",
    ]  # fmt: skip
    assert words("lm", None, "out", {"lowercase": False}) == ["lm", "--out", "out", "--no-lowercase"]


def test_watching_needs_a_terminal_and_says_so_before_anything_is_begun(tmp_path: Path) -> None:
    group = click.Group("palaver")
    add_to(group)
    with pytest.raises(UsageError, match="--tui needs a terminal"):
        group.main(
            ["train", "lm", str(text_file(tmp_path)), "--out", str(tmp_path / "run"), "--tui"], standalone_mode=False
        )
    assert not (tmp_path / "run").exists()
