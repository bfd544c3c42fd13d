"""While one types in the chat the model reads: what rests is read, what is pasted, and never what is a command."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.core.scripted import ReadsAlong, Scripted, says
from tests.tui.chat_app import Chat, chat
from textual.events import Paste

from palaver import GenerationConfig, ModelInfo, Request
from palaver.isolated import IsolatedModel
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.session import Session
from palaver.store import Store
from palaver.task import Chat as ChatTask
from palaver_tui.app import PalaverApp
from palaver_tui.screens import ahead

NEVER = 10_000.0


@asynccontextmanager
async def talking(folder: Path) -> AsyncIterator[tuple[Chat, ReadsAlong]]:
    """A chat whose model was asked once, and has read what there was to read after that."""
    async with chat(folder, says("Good day."), kind=ReadsAlong) as talk:
        assert isinstance(talk.model, ReadsAlong)
        await talk.ask("Hello.")
        await talk.until(lambda: drafts(talk.model), "the conversation was not read")
        yield talk, talk.model


def drafts(model: object) -> list[str]:
    """The last message of each text that was read ahead."""
    assert isinstance(model, ReadsAlong)
    return [request.messages[-1].content for request in model.read]


async def test_after_an_answer_the_conversation_is_read_and_then_the_draft_as_the_typing_rests(tmp_path: Path) -> None:
    async with talking(tmp_path) as (talk, model):
        assert drafts(model) == [""]
        await talk.pilot.press(*"And")
        await talk.until(lambda: drafts(model)[-1] == "And")
        assert [one.content for one in model.read[-1].messages] == ["Hello.", "Good day.", "And"]
        await talk.ask("And then?")
        assert len(talk.store.page()) == 2, "what was read ahead is no turn"


async def test_whoever_types_without_a_rest_is_read_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "REST_SECONDS", NEVER)
    monkeypatch.setattr(ahead, "LONGEST_SECONDS", 0.05)
    async with talking(tmp_path) as (talk, model):
        await talk.pilot.press(*"A few words")
        await talk.until(lambda: drafts(model)[-1] == "A few words")


async def test_a_paste_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with talking(tmp_path) as (talk, model):
        monkeypatch.setattr(ahead, "REST_SECONDS", NEVER)
        monkeypatch.setattr(ahead, "LONGEST_SECONDS", NEVER)
        talk.screen.prompt.post_message(Paste("A page of text. " * 20))
        await talk.until(lambda: drafts(model)[-1].startswith("A page of text."))


async def test_commands_tasks_and_an_edited_question_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "REST_SECONDS", 0.0)
    async with talking(tmp_path) as (talk, model):
        for line in ("/summarize Some text to be put in few words", "/ref Good night.", ""):
            talk.screen.prompt.put(line)
            await talk.pilot.pause()
        await talk.pilot.press("alt+up", "e")
        await talk.pilot.press(*" again")
        assert talk.screen.prompt.text == "Hello. again"
        await talk.pilot.press("escape")
        await talk.pilot.press(*"Now")
        await talk.until(lambda: drafts(model)[-1] == "Now")
        assert set(drafts(model)) <= {"", "N", "No", "Now"}


async def test_a_question_ends_the_reading_and_nothing_is_read_while_it_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "REST_SECONDS", 0.0)
    async with talking(tmp_path) as (talk, model):
        model.may_end.clear()  # what is read now takes as long as it may
        await talk.pilot.press(*"And then?")
        await talk.until(lambda: drafts(model)[-1] == "And then?")
        await talk.pilot.press("enter")
        await talk.until(lambda: len(talk.exchanges) == 2 and talk.screen.running is None)
        assert model.stopped[-1].messages == model.asked[-1].messages
        model.may_end.set()
        await talk.until(lambda: drafts(model)[-1] == "")
        assert set(drafts(model)[drafts(model).index("And then?") + 1 :]) == {""}


async def test_the_newest_draft_takes_the_place_of_an_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "REST_SECONDS", 0.0)
    async with talking(tmp_path) as (talk, model):
        model.may_end.clear()
        await talk.pilot.press("A")
        await talk.until(lambda: drafts(model)[-1] == "A")
        await talk.pilot.press("B")
        await talk.until(lambda: drafts(model)[-1] == "AB")
        assert model.stopped[-1].messages[-1].content == "A"
        model.may_end.set()


@pytest.mark.model
async def test_a_real_model_reads_exactly_what_is_sent_then(
    smollm2: ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChatTask, "defaults", GenerationConfig(max_new_tokens=24))
    store = Store.open(tmp_path / "history.db")
    session = Session(Registry(Plugins()), store, model="smollm2")
    model = session.registry.model("smollm2")
    assert isinstance(model, IsolatedModel)
    begun, read, read_ahead = list[Request](), list[Request](), model.read_ahead

    def watched(request: Request, cancel: threading.Event) -> None:
        begun.append(request)
        read_ahead(request, cancel)
        if not cancel.is_set():
            read.append(request)

    model.read_ahead = watched  # type: ignore[method-assign]
    app = PalaverApp(lambda: session)
    try:
        async with app.run_test(size=(100, 30)) as pilot:
            talk = Chat(app, pilot, store, Scripted(says("")))
            await talk.until(lambda: app.chat.conversation.session is not None)
            await talk.ask("Say hello.")
            assert [one.messages[-1].content for one in begun if len(one.messages) == 1] == [], "it was not loaded"
            await pilot.press(*"And goodbye.")
            await talk.until(lambda: read and read[-1].messages[-1].content == "And goodbye.")
            await pilot.press("enter")
            await talk.until(lambda: len(store.page()) == 2 and app.chat.running is None)
            turn = store.turn(store.page()[0].id)
            assert (turn.error, turn.status in ("complete", "truncated")) == ("", True)
            assert turn.prompt in [one.messages for one in read]
    finally:
        app.chat.conversation.close()
