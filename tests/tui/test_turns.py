"""Acting on answers: forks and their ways, ratings and notes, references scored while they are typed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.scripted import says
from tests.tui.chat_app import Chat, Held, chat

from palaver import Delta, GenerationConfig, ModelFailed, Request
from palaver.model import Generation
from palaver.store import Store, TurnStart
from palaver_tui.widgets.transcript import KEPT


def counts(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
    """Says the seed and the last question, so that every answer is another one."""
    yield Delta(f"{request.messages[-1].content} {config.seed}", finish_reason="stop", prompt_tokens=20)


async def focus_last(talk: Chat) -> None:
    await talk.pilot.press("alt+up")
    await talk.until(lambda: talk.app.focused is talk.exchanges[-1])


async def test_g_answers_again_with_another_seed_and_arrows_move_between_both(tmp_path: Path) -> None:
    async with chat(tmp_path, counts) as talk:
        await talk.ask("One")
        await talk.ask("Two")
        await focus_last(talk)
        await talk.pilot.press("g")
        await talk.until(lambda: talk.screen.running is None and len(talk.store.page()) == 3)
        await talk.until(lambda: "[2/2]" in talk.shown())
        assert "Two 1" in talk.shown()
        assert "Two 0" not in talk.shown()
        # The question is asked with what came before it, not with the answer it stands beside.
        assert [one.content for one in talk.model.asked[-1].messages] == ["One", "One 0", "Two"]
        await talk.pilot.press("alt+up", "left")
        await talk.until(lambda: "[1/2]" in talk.shown())
        assert "Two 0" in talk.shown()
        assert "One 0" in talk.shown()
        await talk.pilot.press("right")
        await talk.until(lambda: "Two 1" in talk.shown())


async def test_an_edited_question_forks_and_what_followed_comes_back_with_the_old_one(tmp_path: Path) -> None:
    async with chat(tmp_path, counts) as talk:
        for line in ("One", "Two", "Three"):
            await talk.ask(line)
        await talk.pilot.press("d", "r", "a", "f", "t", "alt+up", "alt+up", "e")
        assert talk.screen.prompt.text == "Two"
        assert "in place of #2, which stays" in talk.will_do
        await talk.pilot.press("!", "enter")
        await talk.until(lambda: "[2/2]" in talk.shown())
        assert [one.content for one in talk.model.asked[-1].messages] == ["One", "One 0", "Two!"]
        assert "Three" not in talk.shown()
        assert talk.screen.prompt.text == "draft"
        await talk.pilot.press("alt+up", "left")
        await talk.until(lambda: "Three 0" in talk.shown())
        assert "[1/2]" in talk.shown()
        await talk.pilot.press("escape", "ctrl+u")
        await talk.ask("Four")
        assert [one.content for one in talk.model.asked[-1].messages][-3:] == ["Three", "Three 0", "Four"]


async def test_escape_leaves_the_question_as_it_was_and_brings_the_draft_back(tmp_path: Path) -> None:
    async with chat(tmp_path, counts) as talk:
        await talk.ask("One")
        await talk.pilot.press("d", "alt+up", "e", "escape")
        assert talk.screen.prompt.text == "d"
        await talk.pilot.press("enter")
        await talk.until(lambda: len(talk.store.page()) == 2 and talk.screen.running is None)
        assert talk.store.siblings(2) == [2]


async def test_a_failure_takes_nobodys_place(tmp_path: Path) -> None:
    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        if config.seed:
            raise ModelFailed("scripted died.", fix="ask again")
        yield from counts(request, config, cancel)

    async with chat(tmp_path, script) as talk:
        await talk.ask("One")
        await talk.ask("Two")
        await talk.pilot.press("alt+up", "alt+up", "g")
        await talk.until(lambda: "scripted died." in talk.shown())
        assert "Two 0" in talk.shown()
        await talk.pilot.press("escape", "ctrl+u")
        await talk.ask("Three")
        assert [one.content for one in talk.model.asked[-1].messages][:4] == ["One", "One 0", "Two", "Two 0"]


async def test_another_answer_while_one_is_written_is_refused(tmp_path: Path) -> None:
    script = Held("…")
    async with chat(tmp_path, script) as talk:
        await talk.send("Go")
        await talk.until(script.is_waiting.is_set)
        await talk.pilot.press("alt+up", "g")
        assert len(talk.store.page()) == 1
        script.go_on.set()


async def test_the_model_chosen_meanwhile_answers_again(tmp_path: Path) -> None:
    async with chat(tmp_path, says("neu")) as talk:
        await talk.ask("/generate alt")
        await talk.send("/model copy")
        await focus_last(talk)
        await talk.pilot.press("g")
        await talk.until(lambda: "[2/2]" in talk.shown())
        assert [line.model for line in talk.store.page()] == ["copy", "scripted"]


async def test_letters_rate_note_tag_and_keep_and_the_draft_comes_back(tmp_path: Path) -> None:
    async with chat(tmp_path, says("Guten Tag"), size=(110, 40)) as talk:
        await talk.ask('/translate de Hello --ref "Guten Tag"')
        await talk.pilot.press("d", "alt+up", "4")
        await talk.until(lambda: talk.store.turn(1).rating == 4)
        await talk.until(lambda: "★★★★☆" in talk.shown())
        await talk.pilot.press("a", *"good", "enter")
        await talk.until(lambda: talk.store.turn(1).note == "good")
        assert talk.screen.prompt.text == "d"
        await talk.pilot.press("alt+up", "t", *"idiom", "enter")
        await talk.until(lambda: talk.store.turn(1).tags == ("idiom",))
        await talk.pilot.press("alt+up", "plus", *"greetings", "enter")
        await talk.until(lambda: talk.store.datasets())
        kept = talk.store.dataset("greetings").items[0]
        assert (kept.inputs, kept.references[0].text, kept.turn_id) == ({"text": "Hello"}, "Guten Tag", 1)
        await talk.until(lambda: "★★★★☆ · idiom · note: good" in talk.shown())
        await talk.pilot.press("alt+up", "0")
        await talk.until(lambda: talk.store.turn(1).rating is None)


async def test_an_answer_without_a_reference_is_no_example(tmp_path: Path) -> None:
    async with chat(tmp_path, says("ok"), size=(110, 40)) as talk:
        await talk.ask("Hi")
        await talk.send("/keep #1 greetings")
        await talk.until(lambda: "#1 has no reference" in talk.shown())
        assert talk.store.datasets() == []


async def test_a_reference_is_scored_while_it_is_typed_and_kept_only_by_enter(tmp_path: Path) -> None:
    async with chat(tmp_path, says("the cat sat on the mat"), size=(120, 36)) as talk:
        await talk.ask("/translate en die Katze")
        await talk.pilot.press("alt+up", "r", *"the cat sat on the mat")
        await talk.until(lambda: "#1  BLEU 100.0" in talk.will_do)
        await talk.until(lambda: "while you type" in talk.shown())
        assert talk.store.turn(1).references == ()
        await talk.pilot.press("escape")
        await talk.until(lambda: "BLEU" not in talk.shown())
        assert talk.store.turn(1).references == ()


async def test_the_window_is_shown_beside_what_enter_does(tmp_path: Path) -> None:
    async with chat(tmp_path, counts, size=(120, 36)) as talk:
        await talk.ask("Hi")
        await talk.until(lambda: "of 2,048 tokens" in talk.shown())
        await talk.send("/new")
        await talk.until(lambda: "of 2,048 tokens" not in talk.shown())


async def test_s_shows_how_the_numbers_were_computed(tmp_path: Path) -> None:
    async with chat(tmp_path, says("Guten Tag"), size=(120, 40)) as talk:
        await talk.ask('/translate de Hello --ref "Guten Tag"')
        await focus_last(talk)
        await talk.pilot.press("s")
        await talk.until(lambda: "BLEU|" in talk.shown().replace("nrefs", "BLEU|"))
        assert "(written)" in talk.shown()
        await talk.pilot.press("s")
        await talk.until(lambda: "(written)" not in talk.shown())


async def test_an_earlier_conversation_is_gone_on_with(tmp_path: Path) -> None:
    async with chat(tmp_path, counts) as talk:
        await talk.ask("One")
        await talk.ask("Two")
        await talk.send("/new")
        await talk.send("/resume")
        await talk.until(lambda: len(talk.exchanges) == 2)
        assert "One 0" in talk.shown()
        await talk.ask("Three")
        assert [one.content for one in talk.model.asked[-1].messages][-2:] == ["Two 0", "Three"]
        assert talk.store.turn(3).run_id == talk.store.turn(1).run_id


@pytest.mark.parametrize("line", ["/resume #99", "/note #99 x", "/rate #99 3"])
async def test_a_turn_that_is_not_there_is_said(tmp_path: Path, line: str) -> None:
    async with chat(tmp_path, says("ok")) as talk:
        await talk.send(line)
        await talk.until(lambda: "There is no turn #99" in talk.shown())
        assert talk.screen.prompt.text == line


def converse(folder: Path, turns: int) -> None:
    """A conversation of so many turns in the history of a test."""
    with Store.open(folder / "history.db") as store:
        run, parent = store.begin_run("chat"), None
        for number in range(1, turns + 1):
            text, output = f"Question {number}.", f"Answer **{number}**."
            start = TurnStart(run, "chat", "scripted", "scripted", {"text": text}, text, parent_id=parent)
            parent = store.begin_turn(start)
            store.finish_turn(
                parent, output=output, raw=output, status="complete", generation=Generation(output, "stop")
            )


async def test_a_long_conversation_shows_its_end_and_fetches_the_rest_when_scrolled_to(tmp_path: Path) -> None:
    converse(tmp_path, 130)
    async with chat(tmp_path, counts, size=(80, 24)) as talk:
        await talk.send("/resume #60")
        await talk.until(lambda: "Question 130." in talk.shown())
        assert talk.exchanges[0].turn_id == 111
        assert len(talk.screen.path) == 130
        transcript = talk.screen.transcript
        while talk.exchanges[0].turn_id != 1:
            first = talk.exchanges[0].turn_id
            transcript.scroll_home(animate=False)
            await talk.until(lambda first=first: talk.exchanges[0].turn_id != first)  # type: ignore[misc]
            await talk.pilot.pause()
        assert len(talk.exchanges) == KEPT
        assert all(one.is_frozen for one in talk.exchanges)
        transcript.scroll_home(animate=False)
        await talk.until(lambda: "Question 1." in talk.shown())
        assert "Answer **1**." in talk.shown()  # plain while it is far up; with the focus it comes to life
        last = talk.exchanges[-1].turn_id
        transcript.scroll_end(animate=False)
        await talk.until(lambda: talk.exchanges[-1].turn_id != last)
        await talk.send("Next")  # from the middle: it stands at the end all the same
        await talk.until(lambda: talk.exchanges[-1].said == "Next" and talk.screen.running is None)
        sent = [one.content for one in talk.model.asked[-1].messages]
        assert sent[-3:] == ["Question 130.", "Answer **130**.", "Next"]


async def test_a_frozen_turn_comes_to_life_with_the_focus(tmp_path: Path) -> None:
    converse(tmp_path, 12)
    async with chat(tmp_path, counts, size=(80, 24)) as talk:
        await talk.send("/resume")
        await talk.until(lambda: len(talk.exchanges) == 12)
        first = talk.exchanges[0]
        assert first.is_frozen
        first.focus()
        await talk.until(lambda: not first.is_frozen and "Answer 1." in talk.shown())
        await talk.pilot.press("5")
        await talk.until(lambda: "★★★★★" in talk.shown())


async def test_o_in_the_history_goes_on_with_the_conversation_of_a_turn(tmp_path: Path) -> None:
    converse(tmp_path, 3)
    async with chat(tmp_path, counts, size=(100, 30)) as talk:
        talk.app.go("History")
        await talk.until(lambda: "#3" in talk.shown())
        await talk.pilot.press("o")
        await talk.until(lambda: talk.app.screen is talk.app.chat and "Question 3." in talk.shown())
        assert talk.screen.path == [1, 2, 3]


@pytest.mark.parametrize(("asked", "path"), [(2, [1, 2, 3]), (-1, [1, 2, 3]), (None, [])])
async def test_the_app_opens_with_an_earlier_conversation(tmp_path: Path, asked: int | None, path: list[int]) -> None:
    converse(tmp_path, 3)
    async with chat(tmp_path, counts, resume=asked) as talk:
        await talk.until(lambda: talk.screen.path == path)
        if path:
            await talk.until(lambda: "Question 3." in talk.shown())
