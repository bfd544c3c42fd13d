"""What helps to fill in a line: the form, the menu of flags and values, earlier prompts, an editor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.scripted import says
from tests.tui.chat_app import Chat, chat
from tests.tui.test_escapes import MARKUP, OBEYED, SEQUENCES, without_guard

from palaver_tui import editor
from palaver_tui.screens.form import FormScreen
from palaver_tui.theme import ANSI_THEMES
from palaver_tui.widgets.form import Box, Form


async def opened(talk: Chat, line: str) -> Form:
    """The form that a line opens."""
    talk.screen.prompt.put(line)
    await talk.pilot.pause()
    await talk.pilot.press("enter")
    await talk.until(lambda: isinstance(talk.app.screen, FormScreen))
    await talk.pilot.pause()
    return talk.app.screen.query_one(Form)


async def test_a_task_without_its_text_opens_a_form_that_runs_it(tmp_path: Path) -> None:
    async with chat(tmp_path, says("Short."), size=(120, 36)) as talk:
        await opened(talk, "/summarize ")
        assert "summarize needs text" in talk.shown()
        assert isinstance(talk.app.focused, Box)
        await talk.pilot.press("enter")  # nothing is run that cannot be
        assert isinstance(talk.app.screen, FormScreen)
        await talk.pilot.press(*"One. Two.", "tab", "2")
        await talk.until(lambda: "$ palaver summarize -o length=2 'One. Two.'" in talk.shown())
        assert "needs text" not in talk.shown()
        await talk.pilot.press("enter")
        await talk.until(lambda: talk.app.screen is talk.app.chat and talk.store.page() and not talk.screen.running)
        turn = talk.store.turn(1)
        assert (turn.task, turn.inputs, turn.options["length"]) == ("summarize", {"text": "One. Two."}, 2)
        assert talk.screen.prompt.text == ""


async def test_escape_turns_the_form_back_into_a_line(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        await opened(talk, "/translate Hello there")
        assert "no language known" in talk.shown()
        form = talk.app.screen.query_one(Form)
        form._boxes[1].put("de")
        await talk.pilot.press("escape")
        await talk.until(lambda: talk.app.screen is talk.app.chat)
        assert talk.screen.prompt.text == "/translate -o target=de there"


async def test_more_fields_are_one_key_away_and_choices_turn(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(120, 40)) as talk:
        await opened(talk, "/summarize ")
        assert "top k" not in [str(one) for one in talk.shown().split("  ")]
        await talk.pilot.press("shift+tab", "enter")
        await talk.until(lambda: "likeliest tokens of this share" in talk.shown())
        model = next(one for one in talk.app.screen.query(Box) if one.field.name == "model")
        model.focus()
        await talk.pilot.press("down")
        assert model.text in model.field.choices


async def test_a_text_over_the_window_is_said_before_it_is_run(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        form = await opened(talk, "/summarize ")
        form._boxes[0].put("word " * 2000)
        await talk.until(lambda: "over the 2,048 token window of scripted; it will be read in parts" in talk.shown())


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 20)])
async def test_the_form_shows_its_command_and_keys_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    async with chat(tmp_path, says("ok"), size=size) as talk:
        form = await opened(talk, "/translate ")
        form._boxes[0].put("A long text that goes on. " * 40)
        await talk.pilot.pause()
        for part in ("$ palaver translate", "enter run", "esc back to text", "target", "translate needs target"):
            assert part in talk.shown()


@pytest.mark.parametrize(
    ("typed", "offered", "completed"),
    [
        ("/translate --so", "Language of the text", "/translate --source "),
        ("/summarize -m lead", "the first sentences of the text", "/summarize -m lead-3 "),
        ("/model lea", "no weights", "/model lead-3 "),
        ("/translate --re", "a reference, which scores the answer", "/translate --ref "),
    ],
)
async def test_flags_and_models_are_completed(tmp_path: Path, typed: str, offered: str, completed: str) -> None:
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        talk.screen.prompt.put(typed)
        await talk.until(lambda: offered in talk.shown())
        await talk.pilot.press("tab")
        assert talk.screen.prompt.text == completed


async def test_a_file_far_down_a_large_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        (tmp_path / f"a{number}").touch()
    (tmp_path / "zebra.txt").write_text("One.")
    monkeypatch.chdir(tmp_path)
    async with chat(tmp_path / "h", says("ok")) as talk:
        await talk.pilot.press(*"look @bra", "tab")
        assert talk.screen.prompt.text == "look @zebra.txt"


async def test_ctrl_r_finds_an_earlier_prompt_and_escape_brings_back_what_was_there(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        for line in ("first about frogs", "second about birds", "third about frogs"):
            await talk.ask(line)
        await talk.pilot.press("f", "r", "ctrl+r")
        assert talk.screen.menu.entry is not None
        assert talk.screen.menu.entry.text == "third about frogs"
        await talk.pilot.press("ctrl+r", "enter")
        assert talk.screen.prompt.text == "first about frogs"
        assert len(talk.store.page()) == 3  # it is taken, not sent
        await talk.pilot.press("ctrl+r", *"zzz", "escape")
        assert talk.screen.prompt.text == "first about frogs"


async def test_prompts_of_earlier_conversations_come_back_too(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.ask("of yesterday")
    async with chat(tmp_path, says("ok")) as talk:
        await talk.until(lambda: talk.screen.prompt.earlier)
        await talk.pilot.press("up")
        assert talk.screen.prompt.text == "of yesterday"


async def test_the_text_is_edited_in_the_users_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "editor.sh"
    script.write_text('#!/bin/sh\nprintf "%s and more\\n" "$(cat "$1")" > "$1"\n')
    script.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(script))
    monkeypatch.setattr(editor, "TERMINAL", Path("/dev/null"))

    @contextlib.contextmanager
    def suspended() -> Iterator[None]:
        yield

    async with chat(tmp_path, says("ok")) as talk:
        monkeypatch.setattr(talk.app, "suspend", suspended)
        await talk.pilot.press(*"text", "ctrl+o")
        assert talk.screen.prompt.text == "text and more"
        monkeypatch.setenv("VISUAL", "no-such-editor")
        await talk.pilot.press("ctrl+o")
        assert talk.screen.prompt.text == "text and more"
        assert "There is no program no-such-editor." in talk.will_do


async def test_ctrl_t_copies_the_command_of_what_would_run(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        talk.screen.prompt.put("/translate de Good day")
        await talk.pilot.press("ctrl+t")
        assert talk.app.clipboard == "palaver translate -m scripted -o target=de 'Good day'"
        await talk.pilot.press("ctrl+u")
        await talk.ask("Hi there")
        await talk.pilot.press("alt+up", "ctrl+t")
        assert talk.app.clipboard == "palaver run chat -m scripted 'Hi there'"


async def test_two_exclamation_marks_send_the_last_line_again(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.ask("Hi")
        await talk.ask("!!")
        assert [one.input_text for one in map(talk.store.turn, (1, 2))] == ["Hi", "Hi"]


async def test_a_model_leaves_the_memory(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.ask("Hi")
        await talk.send("/unload scripted")
        await talk.until(lambda: "scripted is no longer in memory." in talk.shown())
        await talk.send("/unload")
        await talk.until(lambda: "no model is loaded." in talk.shown())


async def test_a_mistake_in_a_plugin_shows_its_traceback_with_the_details(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(110, 40)) as talk:
        await talk.ask("Hi")

        def broken(*_: object) -> None:
            raise ZeroDivisionError("in the history")

        talk.screen.conversation.do(broken)  # type: ignore[arg-type]
        await talk.until(lambda: "ZeroDivisionError: in the history" in talk.shown())
        await talk.send("/details")
        await talk.until(lambda: "Traceback (most recent call last)" in talk.shown())
        assert "raise ZeroDivisionError" in talk.shown()


@pytest.mark.parametrize("where", ["form", "search", "note", "still", "details"])
async def test_what_a_terminal_would_obey_is_only_shown(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\n\n".join((*SEQUENCES, *MARKUP))
    async with chat(tmp_path, says(evil), size=(120, 160)) as talk:
        without_guard(monkeypatch)
        if where == "form":
            form = await opened(talk, "/summarize ")
            form._boxes[0].put(evil)
            form._boxes[1].put(evil)
        elif where == "search":
            talk.screen.prompt.recall([*MARKUP, evil, "arr[i][j]"])
            await talk.pilot.press("ctrl+r")
        else:
            await talk.ask("Go")
            await talk.send(f"/note #1 {' '.join(evil.split())}")
            await talk.send(f"/tag #1 {' '.join(MARKUP)}")
            await talk.until(lambda: talk.store.turn(1).tags and talk.store.turn(1).note)
            if where == "still":
                talk.screen.prompt.focus()
                talk.exchanges[0].freeze()
            elif where == "details":
                await talk.pilot.press("alt+up", "p")
        await talk.pilot.pause()
        assert not OBEYED.search(talk.shown().replace("\n", ""))
        assert "arr[i][j]" in talk.shown()
        assert talk.app.is_running


async def test_the_palette_opens_forms_and_acts_on_answers(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(120, 36)) as talk:
        await talk.ask("Hi")
        await talk.pilot.press("ctrl+p", *"answer: details")
        await talk.until(lambda: "where it came from" in talk.shown())
        await talk.pilot.press("enter", "enter")
        await talk.until(lambda: "sha256:scripted" in talk.shown())
        await talk.pilot.press("ctrl+p", *"task: summ")
        await talk.until(lambda: "task: summarize" in talk.shown())
        await talk.pilot.press("enter", "enter")
        await talk.until(lambda: isinstance(talk.app.screen, FormScreen))


@pytest.mark.parametrize("theme", [one.name for one in ANSI_THEMES])
async def test_the_chat_is_drawn_in_the_terminals_own_colours(tmp_path: Path, theme: str) -> None:
    async with chat(tmp_path, says("Guten Tag"), size=(100, 30), theme=theme) as talk:
        await talk.ask('/translate de Hello --ref "Guten Tag"')
        assert "BLEU 100.0" in talk.shown()
        inks = {
            segment.style.color.name
            for strip in talk.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None and segment.style.color is not None
        }
        assert not any(name.startswith("#") for name in inks), inks
