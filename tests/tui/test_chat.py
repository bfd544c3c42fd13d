"""A conversation in the terminal: sending, streaming, stopping, failing, and what stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.scripted import says
from tests.tui.chat_app import Chat, Held, chat

from palaver import Delta, GenerationConfig, ModelFailed, Request
from palaver_tui.widgets.exchange import Exchange
from palaver_tui.widgets.header import Header


async def test_an_answer_over_several_turns_streams_and_is_kept(tmp_path: Path) -> None:
    async with chat(tmp_path, says("Hello **there**.")) as talk:
        await talk.ask("Hi")
        await talk.ask("And you?")
        assert [m.content for m in talk.model.asked[1].messages] == ["Hi", "Hello **there**.", "And you?"]
        assert "Hello there." in talk.shown()  # Markdown: the stars are gone
        assert [line.status for line in talk.store.page()] == ["complete", "complete"]


async def test_the_text_appears_while_the_model_still_writes(tmp_path: Path) -> None:
    script = Held("First paragraph.\n\n", "Second one is still o")
    async with chat(tmp_path, script) as talk:
        await talk.send("Go")
        await talk.until(lambda: "still o▍" in talk.shown())
        assert "First paragraph." in talk.shown()
        script.go_on.set()
        await talk.until(lambda: talk.screen.running is None)
        assert "▍" not in talk.shown()


async def test_escape_stops_while_the_model_still_hangs_and_keeps_the_text(tmp_path: Path) -> None:
    script = Held("Half an answer")
    async with chat(tmp_path, script) as talk:
        await talk.send("Go on for ever")
        await talk.until(lambda: "Half an answer" in talk.shown())
        await talk.pilot.press("escape")
        await talk.until(lambda: talk.screen.running is None)
        assert not script.go_on.is_set(), "nobody waited for the model"
        turn = talk.store.turn(1)
        assert (turn.status, turn.output, turn.scores) == ("cancelled", "Half an answer", ())
        assert "stopped" in talk.shown()
        script.go_on.set()
        assert (await talk.ask("Next")).turn_id == 2


async def test_keys_are_answered_while_a_model_reads_or_writes(tmp_path: Path) -> None:
    script = Held()
    async with chat(tmp_path, script) as talk:
        await talk.send("Slow one")
        await talk.until(script.is_waiting.is_set)
        await talk.pilot.press("h", "e", "y")
        assert talk.screen.prompt.text == "hey"
        await talk.until(lambda: "reading…" in talk.shown())  # it is in memory: nothing loads
        assert "● scripted" in state(talk)
        script.go_on.set()


async def test_the_header_says_loading_only_while_weights_are_loaded(tmp_path: Path) -> None:
    script = Held()
    async with chat(tmp_path, script) as talk:
        weights = talk.loads_slowly()
        await talk.send("Slow one")
        await talk.until(lambda: "loading scripted…" in talk.shown())
        assert "◐ scripted · loading" in state(talk)
        weights.set()
        await talk.until(lambda: "reading…" in talk.shown())
        assert "● scripted" in state(talk)
        script.go_on.set()


async def test_an_instant_answer_leaves_no_loading_behind(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        weights = talk.loads_slowly()
        weights.set()
        await talk.ask("Go")
        assert "● scripted" in state(talk)


async def test_escape_while_weights_are_loaded_says_when_they_are(tmp_path: Path) -> None:
    async with chat(tmp_path, Held()) as talk:
        weights = talk.loads_slowly()
        await talk.send("Slow one")
        await talk.until(lambda: "loading scripted…" in talk.shown())
        await talk.pilot.press("escape")
        await talk.until(lambda: talk.screen.running is None)
        assert "◐ scripted · loading" in state(talk)
        weights.set()
        await talk.until(lambda: "● scripted" in state(talk), state(talk))


async def test_a_model_that_dies_while_it_loads_is_not_said_to_load(tmp_path: Path) -> None:
    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        raise ModelFailed("scripted died (while it loaded).")
        yield

    async with chat(tmp_path, script) as talk:
        weights = talk.loads_slowly()
        await talk.send("Go")
        await talk.until(lambda: "loading" in state(talk))
        weights.fails = True
        weights.set()
        await talk.until(lambda: "no model loaded" in state(talk))


async def test_sending_while_one_is_written_keeps_the_text(tmp_path: Path) -> None:
    script = Held("…")
    async with chat(tmp_path, script) as talk:
        await talk.send("First")
        await talk.until(script.is_waiting.is_set)
        await talk.send("Second")
        assert talk.screen.prompt.text == "Second"
        assert "still writing" in talk.will_do
        script.go_on.set()
        await talk.until(lambda: talk.screen.running is None)
        assert len(talk.model.asked) == 1


async def test_an_error_is_in_the_transcript_and_the_text_back_in_the_prompt(tmp_path: Path) -> None:
    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        if len(request.messages) == 1 and request.messages[0].content == "break":
            yield Delta("So far")
            raise ModelFailed("scripted was killed (signal 9).", fix="ask again")
        yield Delta("fine", finish_reason="stop")

    async with chat(tmp_path, script) as talk:
        await talk.ask("break")
        shown = talk.shown()
        assert "! scripted was killed (signal 9)." in shown
        assert "ask again" in shown
        assert "So far" in shown
        assert talk.screen.prompt.text == "break"
        assert talk.store.page()[0].status == "failed"
        await talk.ask("better")
        assert "fine" in talk.shown()


async def test_a_plugin_that_raises_anything_locks_nothing(tmp_path: Path) -> None:
    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        raise ZeroDivisionError("oops [/red]")
        yield

    async with chat(tmp_path, script) as talk:
        await talk.ask("Go")
        assert "ZeroDivisionError: oops [/red]" in talk.shown()
        await talk.pilot.press("x")
        assert talk.screen.prompt.text == "Gox"


async def test_an_unknown_task_is_answered_with_the_nearest_one_and_kept(tmp_path: Path) -> None:
    async with chat(tmp_path, says("x")) as talk:
        await talk.ask("/sumarize this text")
        assert "Did you mean 'summarize'?" in talk.shown()
        assert "tab: /summarize this text" in talk.shown()
        line = talk.store.page()[0]
        assert (line.task, line.status) == ("sumarize", "failed")
        assert talk.screen.prompt.text == "/sumarize this text"
        await talk.pilot.press("tab")
        assert talk.screen.prompt.text == "/summarize this text"


async def test_a_reference_in_the_command_scores_the_answer_with_its_baseline(tmp_path: Path) -> None:
    async with chat(tmp_path, says("Seven cats."), size=(120, 36)) as talk:
        text = '"One dog. Two cows. Three hens. Four cats."'
        await talk.ask(f'/summarize {text} --ref "One dog. Two cows. Three hens."')
        shown = talk.shown()
        assert "R-1 0.0" in shown  # no word of it is in the reference
        assert "n=1 · #1" in shown
        assert "lead-3   R-1 100.0" in shown  # the reference is the first three sentences


async def test_a_reference_given_later_scores_and_marks_the_last_answer(tmp_path: Path) -> None:
    async with chat(tmp_path, says("the cat sat on the mat"), size=(120, 36)) as talk:
        await talk.ask("/translate en die Katze")
        await talk.send("/ref the cat sat on the mat")
        await talk.until(lambda: "BLEU 100.0" in talk.shown())
        assert [score.metric for score in talk.store.turn(1).scores] == ["bleu", "chrf", "ter"]
        styles = marked_styles(talk.app.chat, "the cat sat on the mat")
        assert styles == {(True, True)}  # bold and underlined: one run of six words


async def test_r_on_a_turn_begins_a_reference_for_it(tmp_path: Path) -> None:
    async with chat(tmp_path, says("a cat"), size=(120, 36)) as talk:
        await talk.ask("/translate en Katze")
        await talk.ask("/translate en Hund")
        await talk.pilot.press("alt+up", "alt+up")
        assert talk.app.focused is talk.exchanges[0]
        await talk.pilot.press("r")
        assert talk.screen.prompt.text == "/ref #1 "
        await talk.send("/ref #1 a cat")
        await talk.until(lambda: talk.store.turn(1).references)
        assert talk.store.turn(2).references == ()


async def test_a_focused_answer_shows_where_it_came_from_and_gives_letters_to_the_prompt(tmp_path: Path) -> None:
    async with chat(tmp_path, says("Guten Tag"), size=(120, 40)) as talk:
        await talk.ask('/translate de Hello --ref "Guten Tag"')
        await talk.pilot.press("alt+up", "enter")
        await talk.pilot.pause()
        shown = talk.shown()
        assert "sha256:scripted" in shown
        scores = talk.store.turn(1).scores
        assert [score.metric for score in scores] == ["bleu", "chrf", "ter"]
        for score in scores:
            assert score.signature
            assert score.signature in "".join(line.strip() for line in shown.splitlines()), score.metric
        assert "seed 0" in shown
        await talk.pilot.press("w", "o")
        assert talk.screen.prompt.text == "wo"


async def test_a_reference_waits_for_the_answer_that_is_being_written(tmp_path: Path) -> None:
    script = Held("a dog")
    async with chat(tmp_path, script) as talk:
        script.go_on.set()
        await talk.ask("/translate en Katze")
        script.go_on.clear()
        script.is_waiting.clear()
        await talk.send("/translate en Hund")
        await talk.until(script.is_waiting.is_set)
        await talk.send("/ref a dog")
        assert "still writing; /ref when it is done" in talk.will_do
        assert talk.screen.prompt.text == "/ref a dog"
        await talk.pilot.press("alt+up", "r")
        await talk.pilot.pause()
        assert talk.will_do == "still writing; /ref when it is done"
        script.go_on.set()
        await talk.until(lambda: talk.screen.running is None)
        await talk.pilot.press("escape", "enter")
        await talk.until(lambda: talk.store.turn(2).references)
        assert talk.store.turn(1).references == ()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("Hello", "chat · scripted · temp 0.7 · no reference"),
        ("/translate de Hi", "translate · scripted · temp 0 · no reference"),
        ('/translate de Hi --ref "x" --seed 7', "translate · scripted · seed 7 · temp 0 · 1 reference: BLEU chrF TER"),
        ("/summarize -m lead-3 text", "summarize · lead-3 · no reference"),
        ("/translate ", "/translate TARGET TEXT|@FILE"),
        ("/new", "begin a new conversation"),
        ("/ref x", "there is no answer to score yet"),
        ("/ref #7 x", "scores #7 against this reference"),
        ("/model copy", "answers with copy from now on"),
        ("/model gpt9", "no model named gpt9"),
        ("/model smollm2", "not downloaded: /pull smollm2"),
        ("Hello -m nothing", "chat · scripted · temp 0.7 · no reference"),
    ],
)
async def test_the_row_above_the_prompt_says_what_enter_does(tmp_path: Path, typed: str, said: str) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        talk.screen.prompt.put(typed)
        await talk.pilot.pause()
        assert talk.will_do == said


async def test_demo_scores_three_translations_without_a_model(tmp_path: Path) -> None:
    async with chat(tmp_path, says("x"), size=(120, 50)) as talk:
        await talk.send("/demo")
        await talk.until(lambda: len(talk.exchanges) == 3)
        await talk.until(lambda: talk.shown().count("n=1") == 3)
        assert "BLEU 100.0" in talk.shown()
        assert len(talk.store.page()) == 3
        assert talk.model.asked == []


async def test_new_forgets_the_conversation_but_not_the_history(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.ask("My colour is blue.")
        await talk.send("/new")
        await talk.until(lambda: not talk.exchanges)
        await talk.ask("And now?")
        assert [m.content for m in talk.model.asked[1].messages] == ["And now?"]
        assert len(talk.store.page()) == 2


async def test_another_model_answers_from_now_on(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.send("/model copy")
        await talk.ask("/generate the same")
        assert talk.store.turn(1).model == "copy"
        await talk.send("/model")
        await talk.until(lambda: "●  copy" in talk.shown())
        await talk.send("/model nothing")
        await talk.until(lambda: "There is no model named 'nothing'" in talk.shown())


async def test_a_command_that_cannot_be_done_says_why_and_comes_back(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.send("/ref the reference")
        await talk.until(lambda: "There is no answer to score yet." in talk.shown())
        assert talk.screen.prompt.text == "/ref the reference"


async def test_old_turns_are_frozen_and_the_oldest_leave_the_screen(tmp_path: Path) -> None:
    from palaver_tui.widgets.transcript import KEPT, LIVE

    async with chat(tmp_path, says("**ok**"), size=(80, 24)) as talk:
        for number in range(KEPT + 2):
            exchange = Exchange(f"Question {number}")
            await talk.screen.transcript.add(exchange)
            exchange.finish("**ok**", turn_id=number)
        await talk.until(lambda: len(talk.exchanges) == KEPT)
        assert [one.is_frozen for one in talk.exchanges] == [True] * (KEPT - LIVE) + [False] * LIVE
        assert talk.exchanges[0].said == "Question 2"
        assert talk.screen.transcript.has_earlier


def state(talk: Chat) -> str:
    """What the header says of the model."""
    return str(talk.screen.query_one(Header).state)


def marked_styles(screen: object, text: str) -> set[tuple[bool, bool]]:
    """Bold and underline of every place on the screen where `text` stands; the question above is plain."""
    from palaver_tui.screens.chat import ChatScreen

    assert isinstance(screen, ChatScreen)
    found = set()
    for strip in screen._compositor.render_strips():
        for segment in strip:
            if text in segment.text and segment.style is not None:
                found.add((bool(segment.style.bold), bool(segment.style.underline)))
    return found - {(False, False)}
