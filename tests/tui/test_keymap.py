"""keys.toml: the user's own keys hold, and what is wrong with the file is said in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.core.scripted import says
from tests.tui.chat_app import chat

from palaver_tui.keymap import NOT_SENT, OF_EDITING, bindings, keys_file, read_keys


def written(text: str) -> Path:
    keys_file().parent.mkdir(parents=True, exist_ok=True)
    keys_file().write_text(text, "utf-8")
    return keys_file()


async def test_a_key_of_the_users_works_and_stands_in_the_last_row(tmp_path: Path, palaver_home: Path) -> None:
    written('"answer.again" = "z"\n[prompt]\nnewline = ["ctrl+n", "f6"]\n')
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        await talk.until(lambda: talk.app.own_keys)
        await talk.pilot.press("a", "ctrl+n", "b")
        assert talk.screen.prompt.text == "a\nb"
        assert "ctrl+n newline" in talk.shown()
        await talk.pilot.press("ctrl+u", "ctrl+u", "backspace", "ctrl+u")
        await talk.ask("Hi")
        await talk.pilot.press("alt+up", "z")
        await talk.until(lambda: "[2/2]" in talk.shown())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("answer = ", "cannot be read, so the keys are the usual ones"),
        ('"answer.cpy" = "y"', "there is nothing called 'answer.cpy'. Did you mean 'answer.copy'?"),
        ('"answer.copy" = 3', "the key of answer.copy is a text"),
        ('"answer.copy" = "hyper+q"', "'hyper+q' is no key, so answer.copy keeps its own"),
        ('"answer.copy" = "alt+enter"', "alt+enter does not arrive in most terminals"),
        ('"answer.copy" = "ctrl+a"', "ctrl+a edits the text of the prompt"),
        ('"answer.copy" = "r"', "answer.reference and answer.copy both have r"),
    ],
)
def test_what_is_wrong_is_said(palaver_home: Path, text: str, said: str) -> None:
    found = read_keys(written(text))
    assert len(found.problems) == 1
    assert said in found.problems[0]


async def test_a_bad_file_is_said_in_the_chat_and_the_good_lines_hold(tmp_path: Path, palaver_home: Path) -> None:
    written('"answer.cpy" = "y"\n"chat.turn_above" = "f5"\n')
    async with chat(tmp_path, says("ok"), size=(100, 30)) as talk:
        await talk.until(lambda: "Did you mean 'answer.copy'?" in talk.shown())
        await talk.ask("Hi")
        await talk.pilot.press("f5")
        assert talk.app.focused is talk.exchanges[0]


def test_no_binding_of_any_screen_is_one_that_terminals_do_not_send() -> None:
    assert len(bindings()) > 60
    for name, (_, one) in bindings().items():
        keys = set(one.key.split(","))
        assert keys.isdisjoint(NOT_SENT), name
        assert keys.isdisjoint(OF_EDITING), name
