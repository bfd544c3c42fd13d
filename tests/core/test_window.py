"""The meter says how full the window is and what stood outside it; what goes along keeps its beginning."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.scripted import Script, Scripted, ScriptedRegistry, says

from palaver import Delta, GenerationConfig, Message, Request
from palaver.command import parse_line
from palaver.session import Session
from palaver.store import Store
from palaver.window import ContextUse, characters_a_token, first_remembered


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "history.db")
    yield store
    store.close()


def counting(answer: str, characters: int) -> Script:
    """A model whose tokens hold so many characters each, as a tokenizer would count them."""

    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        size = sum(len(message.content) for message in request.messages)
        yield Delta(answer, finish_reason="stop", prompt_tokens=size // characters, output_tokens=len(answer))

    return script


def test_the_meter_has_prompt_and_answer_in_it_and_a_new_conversation_empties_it(store: Store) -> None:
    talk = Session(ScriptedRegistry(Scripted(says("one two three"), context=100)), store, model="scripted")
    assert talk.context_use() is None
    outcome = talk.ask(parse_line("Count.", talk.registry))
    use = talk.context_use()
    assert use == outcome.context == ContextUse(used=1 + 3, window=100)  # a message a token, three words
    assert (str(use), use.share, use.unseen) == ("4 of 100 tokens (4 %)", 0.04, "")
    talk.forget()
    assert talk.context_use() is None


def test_what_no_longer_fits_is_counted_and_told(store: Store) -> None:
    talk = Session(ScriptedRegistry(Scripted(says("ok"), context=200)), store, model="scripted")
    for _ in range(4):
        outcome = talk.ask(parse_line("word " * 40, talk.registry))
    assert outcome.context is not None
    assert outcome.context.forgotten > 0
    assert outcome.context.unseen.startswith(f"The {outcome.context.forgotten} oldest messages were left out")


@pytest.mark.parametrize("characters", [1, 4])
def test_a_conversation_is_measured_in_the_tokens_of_its_own_language(store: Store, characters: int) -> None:
    """One character a token, as in Chinese: what a guess for English would send would not fit."""
    model = Scripted(counting("x" * 10, characters), context=400)
    talk = Session(ScriptedRegistry(model), store, model="scripted")
    for _ in range(12):
        talk.ask(parse_line("y" * 90, talk.registry))
    sizes = [sum(len(one.content) for one in request.messages) // characters for request in model.asked]
    assert max(sizes[1:]) <= 200  # the window less the half that the answer may need
    assert max(sizes[1:]) > 100  # and it is used


def test_once_it_is_full_the_beginning_stays_the_same_for_several_turns() -> None:
    said: list[Message] = []
    firsts: list[int] = []
    first = 0
    for _ in range(40):
        said += [Message("user", "u" * 50), Message("assistant", "a" * 50)]
        first = first_remembered(said, first, 1000)
        assert sum(len(one.content) for one in said[first:]) <= 1000
        firsts.append(first)
    moves = sum(before != after for before, after in itertools.pairwise(firsts))
    # 10 turns fit; each move makes room for 4: the 30 turns beyond the tenth need a move in every fourth at most.
    assert 5 <= moves <= 8
    assert first_remembered(said, first, 10_000) == 0  # a model with a longer window sees all of it again


def test_without_counts_a_token_is_taken_to_hold_three_characters() -> None:
    assert characters_a_token([Message("user", "abc")], None) == 3.0
    assert characters_a_token([Message("user", "abcdef")], 6) == 1.0


def test_a_greeting_says_nothing_of_how_long_a_page_may_be(store: Store) -> None:
    """Most tokens of a short prompt are the template's, 38 for 18 characters of SmolLM2's."""

    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        yield Delta("Hello, Anna!", finish_reason="stop", prompt_tokens=38)

    model = Scripted(script, context=8192)
    talk = Session(ScriptedRegistry(model), store, model="scripted")
    for line in ("Say hello to Anna.", "word " * 1000):
        talk.ask(parse_line(line, talk.registry))
    assert [one.content for one in model.asked[1].messages[:2]] == ["Say hello to Anna.", "Hello, Anna!"]
