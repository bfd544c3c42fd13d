"""The Plugins screen: what is installed, how it is doing and the exact fix; it acts through the command line."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.core.installed import Site
from tests.core.scripted import says
from tests.tui.chat_app import Chat, chat
from tests.tui.test_escapes import OBEYED

from palaver.config import read_settings
from palaver.plugins import Found, Plugin, remedy
from palaver_tui.screens.plugins import PluginsScreen


@pytest.fixture
def site(tmp_path: Path, palaver_home: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A folder of packages that this process and those it starts can import."""
    found = Site(tmp_path / "site", palaver_home)
    found.folder.mkdir()
    monkeypatch.syspath_prepend(str(found.folder))
    monkeypatch.setenv("PYTHONPATH", str(found.folder))
    return found


@asynccontextmanager
async def plugins(
    folder: Path, at: str, size: tuple[int, int] = (120, 36)
) -> AsyncIterator[tuple[Chat, PluginsScreen]]:
    """The screen with the cursor on a plugin."""
    async with chat(folder, says("ok"), size=size) as talk:
        talk.app.go("Plugins")
        await talk.until(lambda: isinstance(talk.app.screen, PluginsScreen))
        screen = talk.app.screen
        assert isinstance(screen, PluginsScreen)
        await talk.until(lambda: at in talk.shown())
        while screen.current is None or screen.current.name != at:
            await talk.pilot.press("j")
            await talk.pilot.pause()
        yield talk, screen


async def test_a_broken_plugin_comes_first_with_its_reason_and_is_shown_as_data(tmp_path: Path, site: Site) -> None:
    site.install("evil", 'raise ValueError("[/red] \\x1b]0;title\\x07 [@click=app.quit]x[/]")')
    async with plugins(tmp_path, "evil") as (talk, _):
        await talk.until(lambda: "problem   ValueError: [/red]" in talk.shown())
        assert "[@click=app.quit]x[/]" in talk.shown()
        assert "! evil" in talk.shown().splitlines()[3]
        assert "fix       palaver plugins remove evil" in talk.shown()
        assert "1 with a problem" in talk.shown()
        assert "The rest of Palaver is not affected." in talk.shown()
        assert not OBEYED.search(talk.shown().replace("\n", ""))


async def test_space_switches_a_plugin_off_and_on_as_the_command_does(tmp_path: Path) -> None:
    async with plugins(tmp_path, "openai") as (talk, _):
        await talk.pilot.press("space")
        await talk.until(lambda: "openai is off." in talk.shown())
        assert read_settings().plugins_off == ("openai",)
        await talk.until(lambda: "○ openai" in talk.shown())
        await talk.until(lambda: "fix       palaver plugins enable openai" in talk.shown())
        await talk.pilot.press("space")
        await talk.until(lambda: "● openai" in talk.shown())
        assert read_settings().plugins_off == ()


async def test_a_self_test_says_how_many_checks_passed(tmp_path: Path) -> None:
    async with plugins(tmp_path, "generate") as (talk, _):
        await talk.pilot.press("t")

        def row() -> str:
            return next(line for line in talk.shown().splitlines() if " generate  " in line)

        await talk.until(lambda: row().endswith(" checks"))
        passed, of, all_of = row().split()[-4:-1]
        assert (of, passed) == ("of", all_of)
        assert int(passed) > 10


async def test_what_came_with_palaver_is_not_removed(tmp_path: Path) -> None:
    async with plugins(tmp_path, "qa") as (talk, _):
        await talk.pilot.press("d")
        await talk.until(lambda: "d again uninstalls palaver" in talk.shown())
        await talk.pilot.press("d")
        await talk.until(lambda: "! qa came with Palaver. Fix: palaver plugins disable qa" in talk.shown())


async def test_install_and_update_run_the_commands_of_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []

    def command(self: PluginsScreen, *arguments: str) -> subprocess.CompletedProcess[str]:
        ran.append(arguments)
        if arguments[0] == "update":
            return subprocess.CompletedProcess([], 1, "", "palaver: pip cannot install: no [/x].\nfix: check it\n")
        return subprocess.CompletedProcess([], 0, "+ palaver-shout 0.1.0\n", "shout works: task shout\n")

    monkeypatch.setattr(PluginsScreen, "_command", command)
    async with plugins(tmp_path, "qa") as (talk, _):
        await talk.pilot.press("i")
        await talk.pilot.pause()
        await talk.pilot.press(*"./shout", "enter")
        await talk.until(lambda: "+ palaver-shout 0.1.0 · shout works: task shout" in talk.shown())
        await talk.pilot.press("p")
        await talk.until(lambda: "! pip cannot install: no [/x]. Fix: check it" in talk.shown())
    assert ran == [("install", "--", "./shout"), ("update", "qa")]


async def test_enter_shows_one_plugin_on_the_whole_screen_and_escape_the_list(tmp_path: Path) -> None:
    async with plugins(tmp_path, "metrics", size=(60, 20)) as (talk, screen):
        await talk.pilot.press("enter")
        await talk.until(lambda: "metric bleu" in talk.shown())
        assert "● qa" not in talk.shown()
        await talk.pilot.press("escape")
        await talk.until(lambda: "● qa" in talk.shown())
        assert screen.command == "palaver plugins info metrics"


def test_the_remedy_names_only_packages_that_the_metadata_names(site: Site) -> None:
    site.install("comet", "")
    metadata = next(site.folder.glob("*.dist-info")) / "METADATA"
    metadata.write_text(metadata.read_text() + 'Requires-Dist: Heavy_Lib>=1; extra == "gpu"\nRequires-Dist: light\n')
    found = Found("comet", "fixture_comet", "palaver-comet", "1.0")

    def fix(module: str) -> str:
        return remedy(Plugin(found, "broken", f"ModuleNotFoundError: No module named '{module}' (x.py line 3)"))

    assert fix("heavy_lib") == "palaver plugins install 'palaver-comet[gpu]'"
    assert fix("light.inner") == "palaver plugins install 'palaver-comet'"
    assert fix("anybodys_package") == "palaver plugins remove comet"
    assert remedy(Plugin(found, "off")) == "palaver plugins enable comet"
    assert remedy(Plugin(found, "ok")) == ""
