"""The Train screen over runs that are told by their files: losses, alarm, samples, checkpoints, orders, a new run."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.core.scripted import says
from tests.tui.chat_app import Chat, chat
from tests.tui.run_files import ALARM, BEGUN, ENDED, RISING, SAMPLED, write
from textual.widgets import Input

from palaver_tui import trainer, training
from palaver_tui.screens.train import TrainScreen
from palaver_tui.screens.train_form import TrainForm, arguments, wrong
from palaver_tui.screens.train_words import samples
from palaver_tui.training import RunReader, RunView, order
from palaver_tui.widgets.plot import BEST, MARK, Curves, draw


@asynccontextmanager
async def train(folder: Path, words: str = "", size: tuple[int, int] = (120, 36)) -> AsyncIterator[tuple[Chat, Any]]:
    """The screen in the folder of a test."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        async with chat(folder, says("ok"), size=size) as talk:
            talk.app.go("Train", words)
            await talk.until(lambda: isinstance(talk.app.screen, TrainScreen))
            yield talk, talk.app.screen
    finally:
        os.chdir(before)


async def test_a_run_shows_its_losses_its_alarm_and_what_its_samples_have_copied(tmp_path: Path) -> None:
    write(tmp_path / "run", BEGUN, *RISING, ALARM, SAMPLED)
    async with train(tmp_path, "./run") as (talk, _):
        await talk.until(lambda: "copied verbatim" in talk.shown())
        shown = talk.shown()
        assert "./run · transformer_lm.v1 · 0.11 million weights" in shown
        assert "● running · step 70 of 100" in shown
        assert "train 0.5000 · validation 2.6000 · epoch 7.00 · 12,345 tokens/s · rate 1.0e-03" in shown
        assert "! over-fits: validation turned up since epoch 4.00: best was 2.0000 at step 40" in shown
        assert "step      40  epoch   4.00  2.0000  best" in shown
        # "it had been closed for two years and the traders" is 48 of 60 characters
        assert "samples at step 70 · 80 % copied verbatim, underlined" in shown
        assert shown.count(MARK) >= 6 and BEST in shown


async def test_the_last_row_and_the_losses_stay_at_60_columns(tmp_path: Path) -> None:
    write(tmp_path / "run", BEGUN, *RISING, ALARM, SAMPLED)
    async with train(tmp_path, "./run", (60, 20)) as (talk, _):
        await talk.until(lambda: "copied verbatim" in talk.shown())
        rows = talk.shown().splitlines()
        assert "train 0.5000 · validation 2.6000" in rows[2]
        assert "! over-fits: validation turned up since epoch 4.00" in rows[3]
        assert "space pause" in rows[-1] and "$ palaver train tell ./run pause" in rows[-2]


async def test_keys_give_the_orders_that_a_run_reads(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", BEGUN, *RISING)
    async with train(tmp_path, "./run") as (talk, screen):
        await talk.until(lambda: screen._view is not None and screen._view.is_running)
        await talk.pilot.press("space", "l", "s")
        assert json.loads((folder / "control.json").read_text()) == {"orders": ["pause", "lower", "stop"]}
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"event": "controlled", "step": 71, "what": "learning rate times 0.5"}) + "\n")
            file.write(json.dumps({"event": "controlled", "step": 71, "what": "pause"}) + "\n")
        await talk.until(lambda: "○ paused" in talk.shown() and "(lowered, times 0.5)" in talk.shown())
        assert "space go on" in talk.shown()
        await talk.pilot.press("space")
        assert json.loads((folder / "control.json").read_text())["orders"][-1] == "go"


async def test_enter_chats_with_the_chosen_checkpoint_and_c_compares_the_marked_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "run", BEGUN, *RISING, ENDED)
    async with train(tmp_path, "./run") as (talk, _):
        await talk.until(lambda: "❯   step      40" in talk.shown())
        gone: list[tuple[str, str]] = []
        monkeypatch.setattr(talk.app, "go", lambda name, words="": gone.append((name, words)))
        await talk.pilot.press("enter", "k", "a", "x", "j", "j", "x", "c")
        await talk.pilot.pause()
    assert gone == [
        ("Chat", "/model ./run/step-00000040\n/generate "),
        ("Chat", "/model ./run/step-00000030\n/generate "),
        ("Compare", "./run/step-00000030 ./run/step-00000070"),
    ]


async def test_an_open_run_has_its_keys_when_one_comes_back_to_it(tmp_path: Path) -> None:
    write(tmp_path / "other", BEGUN)
    write(tmp_path / "run", BEGUN, *RISING, ENDED)
    async with train(tmp_path, "./run") as (talk, screen):
        await talk.until(lambda: "❯   step      40" in talk.shown())
        talk.app.go("Chat")
        await talk.pilot.pause()
        talk.app.go("Train")
        await talk.until(lambda: talk.app.screen is screen)
        await talk.pilot.press("x", "enter")
        await talk.until(lambda: talk.app.screen is talk.screen)
        assert screen._folder == tmp_path / "run"


async def test_the_list_has_the_runs_of_the_working_folder_and_those_looked_at(tmp_path: Path) -> None:
    write(tmp_path / "one", BEGUN, *RISING, ALARM, ENDED)
    far = tmp_path / "far/away/from"
    far.mkdir(parents=True)
    training.remember(write(far / "here", BEGUN))
    async with train(tmp_path) as (talk, screen):
        await talk.until(lambda: "./one" in talk.shown())
        row = next(one for one in talk.shown().splitlines() if "./one" in one)
        assert "stopped" in row and "2.0000" in row and "! over-fits" in row
        assert "./far/away/from/here" in talk.shown()
        await talk.pilot.press("enter")
        await talk.until(lambda: screen._folder == far / "here")
        await talk.pilot.press("escape")
        await talk.until(lambda: "2 runs · 1 running" in talk.shown())
        await talk.pilot.press("escape")
        await talk.until(lambda: talk.app.screen is talk.screen)


async def test_a_new_run_that_cannot_begin_says_why_and_keeps_what_was_typed(tmp_path: Path) -> None:
    pytest.importorskip("torch")  # else that is the reason
    (tmp_path / "empty.txt").write_text("", "utf-8")
    async with train(tmp_path) as (talk, _):
        await talk.pilot.press("n")
        await talk.until(lambda: isinstance(talk.app.screen, TrainForm))
        await talk.pilot.press("enter")
        assert "! a text to learn from is needed" in talk.shown()
        await talk.pilot.press(*"empty.txt")
        assert "$ palaver train lm empty.txt --out checkpoint --keep 10" in talk.shown()
        await talk.pilot.press("escape", "n")
        await talk.until(lambda: "--out checkpoint --keep 10" in talk.shown())
        await talk.pilot.press("enter")
        await talk.until(lambda: "○ failed" in talk.shown())
        assert "! empty.txt is empty: there is nothing to learn from." in talk.shown()


def test_the_words_of_the_form_are_the_command_line() -> None:
    given = {"kind": "seq2seq", "text": "a.txt", "target": "b.txt", "out": "o", "settings": "--steps 5"}
    assert arguments(given) == [
        "seq2seq", "--source", "a.txt", "--target", "b.txt", "--out", "o", "--steps", "5",
    ]  # fmt: skip
    assert "kind" in wrong(given | {"kind": "gan"})
    assert trainer.folder_of(["finetune", "m", "--turns", "rating>3"]) == Path.cwd() / "tuned"
    assert trainer.folder_of(["lm", "x", "--out=here"]) == Path.cwd() / "here"
    assert trainer.folder_of(["resume", "there", "--steps", "9"]) == Path.cwd() / "there"


def test_the_form_begins_a_fine_tuning_from_pairs_or_from_ones_own_turns(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("{}", "utf-8")
    given = {"kind": "finetune", "model": "m", "text": str(pairs), "target": "", "out": "o", "settings": "--keep 10"}
    # --keep stands there for the other kinds, and finetune does not know it
    assert arguments(given) == ["finetune", "m", "--source", str(pairs), "--out", "o"]
    assert wrong(given) == ""
    mine = given | {"text": "turns: task:summarize rating>3", "settings": "--rank 4"}
    assert arguments(mine) == ["finetune", "m", "--turns", "task:summarize rating>3", "--out", "o", "--rank", "4"]
    assert wrong(mine) == ""
    assert wrong(given | {"model": " "}) == "a model to fine-tune is needed"
    (tmp_path / "config.json").write_text("{}", "utf-8")
    assert "holds a model already" in wrong(given | {"out": str(tmp_path)})


async def test_a_model_is_fine_tuned_from_the_form_and_chatted_with(tmp_path: Path) -> None:
    for module in ("torch", "transformers", "peft"):
        pytest.importorskip(module)
    from tests.plugins.torch_models import llama

    llama(tmp_path / "base")
    for name, word in (("in.txt", "cat"), ("out.txt", "mat")):
        (tmp_path / name).write_text("".join(f"the {word} {n}\n" for n in range(40)), "utf-8")
    typed = {
        "kind": "finetune", "model": "./base", "text": "in.txt", "target": "out.txt", "out": "mine",
        "settings": "--steps 2 --batch 8 --learning-rate 0.01 --keep-worse",
    }  # fmt: skip
    async with train(tmp_path) as (talk, screen):
        await talk.pilot.press("n")
        await talk.until(lambda: isinstance(talk.app.screen, TrainForm))
        for name, value in typed.items():
            talk.app.screen.query_one(f"#{name}", Input).value = value
        await talk.until(lambda: "$ palaver train finetune ./base --source in.txt --target out.txt" in talk.shown())
        await talk.pilot.press("enter")
        await talk.until(lambda: screen._view is not None and bool(screen._view.ended))
        await talk.until(lambda: "$ palaver chat -m ./mine" in talk.shown())
        await talk.until(lambda: all(one.process.poll() == 0 for one in screen._children.values()))
        await talk.pilot.press("enter")
        await talk.until(lambda: talk.app.screen is talk.screen)
        conversation = talk.screen.conversation
        await talk.until(lambda: conversation is not None and conversation.session.model == "mine")


def test_a_run_that_was_resumed_is_read_anew(tmp_path: Path) -> None:
    reader = RunReader(write(tmp_path / "run", BEGUN, *RISING, ENDED))
    assert reader.read().ended and len(reader.read().train) == 7
    write(tmp_path / "run", BEGUN, *RISING[:4], BEGUN | {"step": 40}, *RISING[4:], SAMPLED, SAMPLED)
    view = reader.read()
    assert view.is_running and [step for step, _ in view.train] == [10, 20, 30, 40, 50, 60, 70]


def test_half_a_line_and_a_line_of_another_version_are_waited_for_and_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", BEGUN, RISING[0], {"event": "interval", "step": "x"}, {"event": "new", "step": 1})
    reader = RunReader(folder)
    line = json.dumps(RISING[1]) + "\n"
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line[:30])
        file.flush()
        assert len(reader.read().train) == 1
        file.write(line[30:])
    assert len(reader.read().train) == 2


def test_a_run_that_says_nothing_for_long_is_silent_unless_it_is_paused(tmp_path: Path) -> None:
    folder = write(tmp_path / "run", BEGUN, *RISING)
    os.utime(folder / "metrics.jsonl", (0, 0))
    assert RunReader(folder).read().is_silent
    write(folder, BEGUN, *RISING, {"event": "controlled", "step": 70, "what": "pause"})
    os.utime(folder / "metrics.jsonl", (0, 0))
    assert not RunReader(folder).read().is_silent


def test_the_plot_tells_its_curves_apart_by_shape_and_fits_its_room() -> None:
    curves = Curves([(at, 1 / at) for at in range(1, 50)], [(10, 0.5), (20, 0.3), (40, 0.4)], (20, 0.3), 50)
    for width, height in ((24, 4), (60, 8), (118, 30)):
        rows = draw(curves, width, height).plain.split("\n")
        assert len(rows) == height and all(len(one) <= width for one in rows)
    plot = "\n".join(rows[1:])
    assert (plot.count(MARK), plot.count(BEST)) == (2, 1)
    top = next(at for at, one in enumerate(rows) if at and MARK in one)
    assert top < next(at for at, one in enumerate(rows) if at and BEST in one)  # a higher loss stands higher


def test_what_is_copied_is_underlined(tmp_path: Path) -> None:
    view = RunView(tmp_path, samples={"step": 1, "samples": [["", "abcdef"]]})
    shown = samples(view, {"abcdef": [(2, 4)]}, 80, 5)
    assert "33 % copied verbatim" in shown.plain  # 2 of 6
    at = shown.plain.index("abcdef")
    assert [(span.start - at, span.end - at) for span in shown.spans if span.style == "underline"] == [(2, 4)]


def test_an_order_does_not_lose_those_before_it(tmp_path: Path) -> None:
    (tmp_path / "control.json").write_text('{"orders": ["lower"]}', "utf-8")
    order(tmp_path, "stop")
    assert json.loads((tmp_path / "control.json").read_text()) == {"orders": ["lower", "stop"]}
