"""The prompt of the chat: keys, pastes, earlier lines, and what the menu and tab complete."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.core.scripted import says
from tests.tui.chat_app import Held, chat
from textual.events import Key

from palaver_tui.screens import live
from palaver_tui.screens.chat import ChatScreen


async def test_ctrl_j_breaks_the_line_and_enter_sends(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.pilot.press("a", "ctrl+j", "b", "enter")
        await talk.until(lambda: talk.model.asked)
        assert talk.model.asked[0].messages[-1].content == "a\nb"


async def test_a_backslash_at_the_end_goes_on(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.pilot.press("a", "backslash", "enter", "b")
        assert talk.screen.prompt.text == "a\nb"


@pytest.mark.parametrize(
    ("keys", "asked", "left"),
    [
        (("a", "b", "c", "backspace", "backspace", "X", "Y"), "", "aXY"),
        (("a", "b", "c", "ctrl+u", "X"), "", "X"),
        (("a", "b", "left", "delete", "X"), "", "aX"),
        (("a", "b", "home", "X", "end", "Y"), "", "XabY"),
        (("a", "ctrl+j", "b"), "", "a\nb"),
        (("a", "b", "enter", "X", "Y"), "ab", "XY"),
        (("a", "b", "enter", "X", "backspace", "backspace", "Y"), "ab", "Y"),
        (("a", "enter", "X", "enter", "Y"), "a", "XY"),  # the first is still being answered
        (("/", "s", "u", "m", "m", "tab", "X"), "", "/summarize X"),
    ],
)
async def test_keys_that_come_faster_than_the_screen_keep_their_order(
    tmp_path: Path, keys: tuple[str, ...], asked: str, left: str
) -> None:
    async with chat(tmp_path, Held()) as talk:
        for key in keys:  # all of them before the app can look at the first
            talk.app.post_message(Key(key, key if len(key) == 1 else None))
        await talk.until(lambda: talk.screen.prompt.text == left, f"{talk.screen.prompt.text!r}")
        await talk.until(lambda: [one.messages[-1].content for one in talk.model.asked] == [asked] * bool(asked))
        await talk.pilot.pause()
        assert talk.screen.prompt.text == left


async def test_a_paste_never_submits(tmp_path: Path) -> None:
    from textual.events import Paste

    async with chat(tmp_path, says("ok")) as talk:
        talk.screen.prompt.post_message(Paste("one\r\ntwo\rthree\x1b[201~\n"))
        await talk.pilot.pause()
        assert talk.screen.prompt.text == "one\ntwo\nthree␛[201~\n"
        assert talk.exchanges == []


async def test_a_very_long_paste_becomes_a_file(tmp_path: Path, palaver_home: Path) -> None:
    from textual.events import Paste

    async with chat(tmp_path, says("ok")) as talk:
        talk.screen.prompt.post_message(Paste("word " * 50_000))
        await talk.until(lambda: talk.screen.prompt.text.startswith("@"))
        kept = Path(talk.screen.prompt.text[1:].strip())
        assert kept.read_text() == "word " * 50_000
        assert kept.stat().st_mode & 0o077 == 0


async def test_arrows_bring_earlier_prompts_back(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.ask("first")
        await talk.ask("second")
        await talk.pilot.press("d", "up")
        assert talk.screen.prompt.text == "second"
        await talk.pilot.press("up")
        assert talk.screen.prompt.text == "first"
        await talk.pilot.press("down", "down")
        assert talk.screen.prompt.text == "d"


async def test_the_menu_offers_tasks_of_plugins_and_tab_completes(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(110, 30)) as talk:
        await talk.pilot.press("slash", "s", "m", "z")
        await talk.pilot.pause()
        assert "/summarize" in talk.shown()  # fuzzy
        assert "from plugin summarize" in talk.shown()
        await talk.pilot.press("tab")
        assert talk.screen.prompt.text == "/summarize "
        await talk.pilot.press("escape", "escape")
        assert talk.screen.prompt.text == "/summarize "


async def test_at_completes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.md").write_text("One. Two.")
    monkeypatch.chdir(tmp_path)
    async with chat(tmp_path, says("ok")) as talk:
        await talk.pilot.press(*"/summarize", "space", "at", "n", "o", "tab")
        assert talk.screen.prompt.text == "/summarize @notes.md"


@pytest.mark.parametrize("typed", ["/summarize -m lead-3 @notes.md", "/summarize -m lead-3 @notes"])
async def test_enter_sends_a_line_that_ends_in_a_whole_file_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    (tmp_path / "notes.md").write_text("One. Two.")
    (tmp_path / "notes").write_text("Three. Four.")  # a whole name, and the beginning of another
    monkeypatch.chdir(tmp_path)
    async with chat(tmp_path, says("ok")) as talk:
        talk.screen.prompt.put(typed)
        await talk.pilot.pause()
        await talk.pilot.press("enter")
        await talk.until(lambda: talk.exchanges and talk.screen.running is None)
        assert talk.store.turn(1).status == "complete"


async def test_menu_and_footer_agree_about_what_enter_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.md").write_text("One. Two.")
    (tmp_path / "notes").write_text("Three. Four.")
    monkeypatch.chdir(tmp_path)
    async with chat(tmp_path, says("ok")) as talk:
        for typed, does in (("/summ", "complete"), ("/ne", "run"), ("say @no", "complete"), ("say @notes", "send")):
            talk.screen.prompt.put(typed)
            await talk.pilot.pause()
            assert f"tab completes · enter {does}s" in talk.shown(), typed
            assert f"   enter {does}   " in talk.shown(), typed
        await talk.pilot.press("down")  # from the file `notes`, which is typed in full, to `notes.md`
        await talk.pilot.pause()
        assert "tab completes · enter completes" in talk.shown()


async def test_a_refused_line_opens_no_menu_until_it_is_changed(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.send("/pull s")
        await talk.until(lambda: "There is no model named 's'" in talk.shown())
        await talk.pilot.pause()
        assert (talk.screen.prompt.text, talk.screen.prompt.menu_is_open) == ("/pull s", False)
        await talk.pilot.press("m")
        await talk.pilot.pause()
        assert talk.screen.prompt.menu_is_open


async def test_a_key_lays_nothing_out_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out: list[bool] = []
    async with chat(tmp_path, says("ok")) as talk:
        await talk.ask("Hi")
        await talk.pilot.press("a")  # the first one changes what enter does, and so the hints
        await talk.pilot.pause()
        refresh = ChatScreen._refresh_layout
        monkeypatch.setattr(
            ChatScreen, "_refresh_layout", lambda *given, **named: (laid_out.append(True), refresh(*given, **named))
        )
        await talk.pilot.press(*"bcdef ghij")
        await talk.until(lambda: "abcdef ghij" in talk.shown())
        assert laid_out == []
        await talk.pilot.press("ctrl+j")  # a second line takes a row from the transcript
        await talk.until(lambda: bool(laid_out))


async def test_garbage_is_collected_once_what_was_resumed_is_drawn_and_nobody_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected = threading.Event()
    async with chat(tmp_path, says("ok")) as talk:
        for question in ("One?", "Two?"):
            await talk.ask(question)
        monkeypatch.setattr(live, "collect_now", collected.set)
        collected.clear()
        talk.screen.resume()
        await talk.until(collected.is_set)
        talk.screen.rest_soon()
        waiting = talk.screen._resting
        assert waiting is not None
        starts: list[bool] = []
        monkeypatch.setattr(waiting, "reset", lambda: starts.append(True))
        await talk.pilot.press("a")
        await talk.until(lambda: starts == [True])
