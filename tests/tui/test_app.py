"""The app around the chat: how it starts, how it ends, and what it never brings along."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.core.scripted import says
from tests.tui.chat_app import chat, shown

from palaver.errors import StoreError
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


async def test_the_palette_names_commands_by_group_and_changes_the_theme(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(100, 40)) as talk:
        titles = {command.title for command in talk.app.palette_commands()}
        assert {"chat: new conversation", "go: history", "model: copy", "app: theme"} <= titles
        for name in ("ledger-light", "textual-light", "nord"):
            talk.app.theme = name
            await talk.pilot.pause()
        assert talk.app.is_running


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

    from palaver.errors import UsageError
    from palaver_tui import palaver_commands

    group = click.Group()
    palaver_commands(group)
    done = CliRunner().invoke(group, ["chat"])
    assert isinstance(done.exception, UsageError)
