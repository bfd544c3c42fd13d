"""A text longer than the window is read in parts, merged as its task says, and the user hears of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.core.scripted import Script, Scripted, ScriptedRegistry

from palaver import ContextExceeded, Delta, GenerationConfig, Request, split_text
from palaver.command import parse_line
from palaver.session import Outcome, Session, Started
from palaver.store import Store

WINDOW = 2000
"""Characters that the scripted model reads."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "history.db")
    yield store
    store.close()


def narrow(answer: Script, window: int = WINDOW) -> Script:
    """A model that refuses what is longer than its window, as llama.cpp does: before it writes anything."""

    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        size = sum(len(message.content) for message in request.messages)
        if size > window:
            raise ContextExceeded(f"The input has {size} tokens; scripted reads at most {window}.")
        yield from answer(request, config, cancel)

    return script


def first_word(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
    words = request.example["text"].split()
    yield Delta(words[0])
    yield Delta(finish_reason="stop", prompt_tokens=len(words), output_tokens=1)


Asked = tuple[Outcome, list[Started]]


def ask(store: Store, model: Scripted, line: str, cancel: threading.Event | None = None) -> Asked:
    session = Session(ScriptedRegistry(model), store, model="scripted")
    started: list[Started] = []
    return session.ask(parse_line(line, session.registry), cancel=cancel, on_start=started.append), started


def test_a_summary_of_a_long_text_is_a_summary_of_summaries(store: Store) -> None:
    text = " ".join(f"Sentence{n} has some words in it." for n in range(150))  # 5,000 characters: more than two windows
    model = Scripted(narrow(first_word), context=1000)
    outcome, started = ask(store, model, f"/summarize {text}")
    turn = outcome.turn
    parts = [request for request in model.asked if len(request.example["text"]) < 2000]
    count = int(started[1].notice.split()[2])
    assert started[0].notice == ""
    assert started[1].notice == f"split in {count} chunks" and count >= 3
    assert [one.part for one in started[2:]] == [*(f"part {one} of {count}" for one in range(1, count + 1)), "merged"]
    assert started[-1].turn_id == turn.id
    *chunks, merged = parts[-count - 1 :]
    assert "".join(one.example["text"] for one in chunks) == text  # nothing was left out, nothing read twice
    assert merged.example["text"].split("\n\n") == [one.example["text"].split()[0] for one in chunks]
    assert (turn.status, turn.output) == ("complete", "Sentence0")
    assert turn.inputs == {"text": text}
    assert [f"[part {n} of {count}]" in turn.raw for n in range(1, count + 1)] == [True] * count
    assert turn.raw.endswith("[merged]\nSentence0")
    assert turn.output_tokens == count + 1
    assert outcome.context is not None
    assert (outcome.context.parts, outcome.context.used, str(outcome.context)) == (count, None, f"{count} parts")
    assert outcome.context.unseen == f"The text was read in {count} parts: all of it, but never together."


def answers(*said: str) -> Script:
    left = list(said)

    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        yield Delta(left.pop(0), finish_reason="stop")

    return script


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (("no answer", "Ulm", "no answer"), "Ulm"),
        (("Bonn", "Ulm", "ulm"), "Ulm"),  # said twice, whatever the case
        (("Bonn", "Ulm", "Paris"), "Bonn"),  # a tie goes to the earlier part
        (("no answer",) * 3, ""),
    ],
)
def test_a_question_is_answered_by_most_of_the_parts_that_answer(
    store: Store, said: Sequence[str], expected: str
) -> None:
    text = "Ulm is a town. " * 280  # 4,200 characters in windows of 2,000, with the instruction: three parts
    model = Scripted(narrow(answers(*said)), context=900)
    outcome, started = ask(store, model, f'/qa "{text}" Which town?')
    assert started[1].notice == "split in 3 chunks"
    assert [one.part for one in started[2:]][:3] == ["part 1 of 3", "part 2 of 3", "part 3 of 3"]
    assert (outcome.turn.status, outcome.turn.output) == ("complete", expected)
    assert all("Which town?" in request.messages[-1].content for request in model.asked)


def test_a_task_that_cannot_be_split_is_refused_as_before(store: Store) -> None:
    outcome, started = ask(store, Scripted(narrow(first_word)), "/translate de " + "word " * 1000)
    assert isinstance(outcome.error, ContextExceeded)
    assert [one.notice for one in started] == [""]


def test_a_text_without_room_even_for_a_part_is_refused_in_finite_time(store: Store) -> None:
    outcome, _ = ask(store, Scripted(narrow(first_word, window=10)), "/summarize " + "word " * 1000)
    assert isinstance(outcome.error, ContextExceeded)


def test_a_cancel_ends_it_between_the_parts_and_keeps_what_was_written(store: Store) -> None:
    cancel = threading.Event()

    def script(request: Request, config: GenerationConfig, stop: threading.Event) -> Iterator[Delta]:
        if cancel.is_set():
            yield Delta(finish_reason="cancelled")
            return
        yield Delta("one", finish_reason="stop")
        cancel.set()

    model = Scripted(narrow(script), context=900)
    outcome, _ = ask(store, model, "/summarize " + "Ulm is a town. " * 400, cancel)
    assert (outcome.turn.status, outcome.turn.output) == ("cancelled", "one")
    assert "[part 1 of" in outcome.turn.raw


def test_what_was_written_of_the_parts_survives_a_model_that_dies(store: Store) -> None:
    def script(request: Request, config: GenerationConfig, stop: threading.Event) -> Iterator[Delta]:
        if len(model.asked) > 2:
            raise ZeroDivisionError("oops")
        yield Delta("one", finish_reason="stop")

    model = Scripted(narrow(script), context=900)
    outcome, _ = ask(store, model, "/summarize " + "Ulm is a town. " * 400)
    assert outcome.turn.status == "failed"
    assert outcome.turn.raw.startswith("[part 1 of")
    assert "one" in outcome.turn.raw


TEXTS = (
    "One. Two! Three?\n\nFour paragraphs are here. Five.\n\n" * 20,
    "word " * 300,
    "x" * 1000,
    "这是一句话。这是另一句话！" * 60,
    "short",
    "",
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("limit", [1, 7, 100, 333])
def test_pieces_joined_are_the_text_and_none_is_longer_than_the_limit(text: str, limit: int) -> None:
    pieces = split_text(text, limit)
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= limit for piece in pieces)


def test_a_text_is_cut_between_paragraphs_else_sentences_else_words() -> None:
    assert split_text("One is.\n\nTwo is. Three.", 16) == ["One is.\n\n", "Two is. Three."]
    assert split_text("One is here. Two is there.", 15) == ["One is here. ", "Two is there."]
    assert [len(piece) for piece in split_text("word " * 300, 600)] == [500, 500, 500]


def test_examples_of_parts_keep_what_belongs_to_the_whole(store: Store) -> None:
    model = Scripted(narrow(answers("a", "a", "a", "a", "a", "a")), context=900)
    ask(store, model, '/qa "' + "Ulm is a town. " * 280 + '" Which town?')
    assert {request.example["question"] for request in model.asked} == {"Which town?"}
