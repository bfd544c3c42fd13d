"""Nothing that a model, a file or a plugin says is obeyed by the terminal or read as markup."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.core.scripted import says
from tests.tui.chat_app import chat

import palaver_tui
from palaver import Delta, GenerationConfig, ModelFailed, Request
from palaver_tui.widgets.guard import TerminalGuard

DOORS = tuple(
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(palaver_tui.__path__, "palaver_tui.")
    if not found.name.startswith(("palaver_tui.plain", "palaver_tui.serve", "palaver_tui.widgets.guard"))
)
"""Where foreign text enters: every module of the screens and widgets, so that a new one is among them."""

SEQUENCES = (
    "\x1b]52;c;ZXZpbA==\x07",  # the clipboard
    "\x1b]0;title\x07",
    "\x1b]2;title\x1b\\",
    "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[2J",
    "\x1b[31mred",
    "\x1b[?1049l",
    "\x1b[6n",
    "\x1b[10;10H",
    "\x1bPq#0;2;0;0;0\x1b\\",  # sixel
    "\x1b_Gf=24;AAAA\x1b\\",  # kitty graphics
    "\x1b^private\x1b\\",
    "\x1bXstring\x1b\\",
    "\x1bc",
    "\x9b31m",
    "\x9d52;c;ZXZpbA==\x9c",
    "\x90q\x9c",
    "\u202egnp.exe",
    "\u2066hidden\u2069",
    "\u200binvisible\u2060",
    "\U000e0041\U000e0042",
    "bell\x07back\x08form\x0cnul\x00del\x7f",
)
MARKUP = (
    "[/]", "[/", "[red]", "[/red]", "[red][/x]", "[bold", "[@click=app.quit]quit[/]", "arr[i][j]", "[link=x]y[/link]",
    "z [b + c]", "[$muted]", "[not-a-style]", "[[", "]]", "\\[", "[b][i][/b][/i]", "[on red]", "[#fff]", "[0]", "[]",
    "[ ]", "[type=value_error, input_value={'a': 1}]", "[/bold] before [bold]", "[@click=", "{0}", "%s %d", "[日本]",
)  # fmt: skip
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\u2060\U000e0000-\U000e007f]")


@pytest.fixture(scope="module")
def both() -> str:
    """All of them in one text, a paragraph each."""
    return "\n\n".join((*SEQUENCES, *MARKUP))


def without_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TerminalGuard, "apply", lambda self, segments, background: segments)


def without_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in DOORS:
        for name in ("safe_text", "safe_line"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda text, width=None: text)


@pytest.mark.parametrize("missing", [without_guard, without_doors])
@pytest.mark.parametrize("where", ["answer", "code", "error", "model", "reference", "prompt", "file"])
async def test_none_of_22_sequences_and_27_markups_gets_through(
    tmp_path: Path,
    both: str,
    where: str,
    missing: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Texts are made safe where they enter a widget, and again in every rendered line: either alone is enough."""
    missing(monkeypatch)
    evil = f"```\n{both}\n```" if where == "code" else both

    def breaks(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        raise ModelFailed(evil, fix=evil)
        yield

    async with chat(tmp_path, breaks if where == "error" else says(evil), size=(120, 160)) as talk:
        if where == "file":
            monkeypatch.chdir(tmp_path)
            for index, one in enumerate((*SEQUENCES, *MARKUP)):
                name = re.sub(r"[/\x00]", "", one) or "x"
                (tmp_path / f"{index} {name}").write_text("x")
            talk.screen.prompt.put("@")
            await talk.pilot.pause()
            assert talk.screen.prompt.menu_is_open
        elif where == "prompt":
            talk.screen.prompt.put(evil)
            await talk.pilot.pause()
        elif where == "model":
            await talk.send(f"/model {evil}")
        elif where == "reference":
            await talk.ask(f"/generate x --ref {MARKUP[2]}")
            talk.screen.conversation.refer(1, evil)
            await talk.until(lambda: len(talk.store.turn(1).references) == 2)
            await talk.pilot.press("alt+up", "enter")
        else:
            await talk.ask("Go")
        await talk.pilot.pause()
        assert not OBEYED.search(talk.shown().replace("\n", ""))
        if where in ("answer", "error", "code"):
            for one in ("[@click=app.quit]quit[/]", "arr[i][j]", "[type=value_error, input_value={'a': 1}]"):
                assert one in talk.shown()
        assert talk.app.is_running


async def test_the_palette_shows_names_and_descriptions_of_plugins_as_they_are(tmp_path: Path) -> None:
    evil = ("[/red]", "[@click=app.quit]quit[/]", "[bold", "arr[i][j]", "$x [$muted]", "\x1b]0;title\x07", "two\nlines")
    async with chat(tmp_path, says("ok"), size=(120, 60)) as talk:
        registry = talk.screen.conversation.session.registry  # type: ignore[union-attr]
        for one in evil:
            registry._models[one] = dataclasses.replace(talk.model.info, name=one, description=f"does {one}")
        await talk.pilot.press("ctrl+p")
        await talk.until(lambda: "model: arr[i][j]" in talk.shown())  # before anything is typed
        await talk.pilot.press(*"model")
        for one in ("[/red]", "[@click=app.quit]quit[/]", "[bold", "$x [$muted]", "two lines"):
            await talk.until(lambda one=one: f"model: {one}" in talk.shown() and f"does {one}" in talk.shown(), one)
        assert not OBEYED.search(talk.shown().replace("\n", ""))
        await talk.pilot.press(*": arr")
        await talk.until(lambda: "[bold" not in talk.shown())
        await talk.pilot.press("enter", "enter")
        await talk.until(lambda: "arr[i][j] answers from now on" in talk.shown())


async def test_links_of_an_answer_open_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    async with chat(tmp_path, says("[here](https://example.org) and ![image](http://169.254.169.254/x)")) as talk:
        monkeypatch.setattr(talk.app, "open_url", lambda url, **_: opened.append(url))
        await talk.ask("Go")
        for x in range(8, 40):
            await talk.pilot.click(offset=(x, 5))
        assert opened == []


async def test_a_notification_with_markup_is_shown_as_it_is(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        talk.app.notify("[/x] [red]", markup=False)
        await talk.pilot.pause()
        assert "[/x] [red]" in talk.shown()
