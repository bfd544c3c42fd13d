"""The app around the chat: how it starts, how it ends, and what it never brings along."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.core.scripted import Scripted, ScriptedRegistry, says
from tests.tui.chat_app import chat, shown

from palaver.config import read_settings
from palaver.errors import StoreError, UsageError
from palaver.paths import config_file
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.session import Session
from palaver.store import Store
from palaver_tui.app import PalaverApp

HEAVY = {"torch", "transformers", "numpy", "sacrebleu", "rouge_score", "sqlite_utils", "xllamacpp", "httpx", "pip"}


def test_the_first_frame_needs_no_library_of_models_metrics_or_storage() -> None:
    script = "import json, sys, palaver_tui.app; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    modules = set(json.loads(done.stdout))
    assert {name.partition(".")[0] for name in modules}.isdisjoint(HEAVY)
    assert modules.isdisjoint({"palaver.store", "palaver.registry", "palaver.session", "sqlite3", "pysqlite3"})


async def test_an_empty_machine_is_offered_four_things_that_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("One dog. Two cows. Three hens. Four cats.")
    app = PalaverApp(lambda: Session(Registry(Plugins()), Store.open(tmp_path / "history.db")))
    async with app.run_test(size=(120, 40)) as pilot:
        while app.chat.start is None:
            await pilot.pause(0.01)
        await pilot.pause()
        for part in ("1  /demo", "2  /summarize @README.md", "3  /pull smollm2", "4  /pull qwen", "93 MB", " free and"):
            assert part in shown(app)
        await pilot.press("2", "enter")
        while not app.chat.transcript.exchanges or app.chat.running is not None:
            await pilot.pause(0.01)
        await pilot.pause()
        assert "One dog. Two cows. Three hens." in shown(app)
        assert "lead-3" in shown(app)
        app.chat.prompt.put("Hello?")
        await pilot.press("enter")
        while "tab: /pull smollm2" not in shown(app):
            await pilot.pause(0.01)
        assert app.chat.prompt.text == "Hello?"
        await pilot.press("tab")
        assert app.chat.prompt.text == "/pull smollm2"
        assert "Apache-2.0" in shown(app)  # size, licence and place before enter
    app.chat.conversation.close()


async def test_a_history_that_cannot_be_opened_is_said_on_the_screen(tmp_path: Path) -> None:
    def fails() -> Session:
        raise StoreError("history.db is damaged.", fix="palaver doctor --recover")

    app = PalaverApp(fails)
    async with app.run_test(size=(100, 30)) as pilot:
        while "! history.db is damaged." not in shown(app):
            await pilot.pause(0.01)
        assert "palaver doctor --recover" in shown(app)
        await pilot.press("x")
        assert app.chat.prompt.text == "x"


async def test_a_history_of_a_newer_palaver_is_named_at_every_question_and_the_text_is_kept(tmp_path: Path) -> None:
    history = tmp_path / "history.db"
    Store.open(history).close()
    with closing(sqlite3.connect(history)) as connection:
        connection.execute("PRAGMA user_version = 99")
    app = PalaverApp(lambda: Session(Registry(Plugins()), Store.open(history)))
    async with app.run_test(size=(100, 50)) as pilot:
        while "! The history file" not in shown(app):
            await pilot.pause(0.01)
        for number in (2, 3):
            await pilot.press(*([] if app.chat.prompt.text else "Hello"), "enter")
            while shown(app).count("! The history file") < number:
                await pilot.pause(0.01)
            assert app.chat.prompt.text == "Hello"
        assert "still starting" not in shown(app)


@pytest.mark.parametrize("line", ["Hello", "/demo"])
async def test_what_is_sent_before_the_history_is_open_is_answered_when_it_is(tmp_path: Path, line: str) -> None:
    may_open = threading.Event()
    model = Scripted(says("Good morning."))

    def opens_late() -> Session:
        assert may_open.wait(20)
        return Session(ScriptedRegistry(model), Store.open(tmp_path / "history.db"), model="scripted")

    app = PalaverApp(opens_late)
    async with app.run_test(size=(100, 60)) as pilot:
        app.chat.prompt.put(line)
        await pilot.press("escape", "enter")
        await pilot.pause()
        assert f"starting… {line} is sent then" in shown(app)
        assert app.chat.transcript.exchanges == []
        await pilot.press(*"next", "enter")
        assert app.chat.prompt.text == "next"
        may_open.set()
        expected = "Good morning." if line == "Hello" else "BLEU 100.0"
        while expected not in shown(app):
            await pilot.pause(0.01)
        assert app.chat.prompt.text == "next"
    app.chat.conversation.close()


async def test_what_was_sent_comes_back_where_the_history_cannot_be_opened(tmp_path: Path) -> None:
    may_open = threading.Event()

    def fails_late() -> Session:
        assert may_open.wait(20)
        raise StoreError("history.db is damaged.", fix="palaver doctor --recover")

    app = PalaverApp(fails_late)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press(*"Hello", "enter")
        assert app.chat.prompt.text == ""
        may_open.set()
        while "! history.db is damaged." not in shown(app):
            await pilot.pause(0.01)
        assert app.chat.prompt.text == "Hello"


async def test_the_palette_names_commands_by_group_and_changes_the_theme(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(100, 40)) as talk:
        titles = {command.title for command in talk.app.palette_commands()}
        assert {"chat: new conversation", "go: history", "model: copy", "app: theme"} <= titles
        for name in ("ledger-light", "textual-light", "nord"):
            talk.app.theme = name
            await talk.pilot.pause()
        assert talk.app.is_running


async def test_a_command_of_the_palette_leaves_the_draft_where_it_was(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(100, 40)) as talk:
        await talk.pilot.press(*"half a thought")
        next(one for one in talk.app.palette_commands() if one.title == "chat: demo").run()
        await talk.until(lambda: "BLEU" in shown(talk.app))
        assert talk.app.chat.prompt.text == "half a thought"


async def test_the_chosen_theme_is_kept_in_the_settings(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), theme="ledger-light") as talk:
        await talk.pilot.pause()
        assert not config_file().exists()  # the theme it begins with is nobody's choice
        talk.app.theme = "nord"
        await talk.until(lambda: read_settings().theme == "nord")


async def test_a_crash_leaves_a_private_report_without_local_variables(tmp_path: Path, palaver_home: Path) -> None:
    class Broken(RuntimeError):
        """What a bug would raise."""

    def breaks() -> None:
        api_key = "sk-" + "secret"
        raise Broken(f"mistake of {len(api_key)}")

    app = PalaverApp(lambda: Session(Registry(Plugins([])), Store.open(tmp_path / "history.db")))
    with pytest.raises(Broken):
        async with app.run_test() as pilot:
            app.call_later(breaks)
            await pilot.pause()
    assert app.crash_report is not None
    report = app.crash_report.read_text()
    assert "Broken: mistake of 9" in report
    assert "sk-secret" not in report
    assert app.crash_report.stat().st_mode & 0o077 == 0
    app.chat.conversation.close()


def test_without_a_terminal_the_chat_says_so() -> None:
    import click

    from palaver_tui import palaver_commands

    group = click.Group()
    palaver_commands(group)
    done = CliRunner().invoke(group, ["chat"])
    assert isinstance(done.exception, UsageError)
