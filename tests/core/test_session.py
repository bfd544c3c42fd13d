"""Every question is a row before it is asked, and what fails loses nothing."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.core.scripted import Scripted, ScriptedRegistry, says

from palaver import Delta, Example, GenerationConfig, ModelFailed, Request
from palaver.command import parse_line
from palaver.errors import BadInput, ContextExceeded
from palaver.metric import Score
from palaver.session import Ask, Outcome, Session, Started
from palaver.store import Store, TurnStart


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "history.db")
    yield store
    store.close()


def session(store: Store, model: Scripted) -> Session:
    return Session(ScriptedRegistry(model), store, model="scripted")


def ask(session: Session, line: str) -> Outcome:
    return session.ask(parse_line(line, session.registry))


def test_the_row_is_in_history_before_the_model_is_asked(store: Store) -> None:
    seen: list[str] = []

    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        seen.append(store.page()[0].status)
        yield Delta("Hi", finish_reason="stop")

    outcome = ask(session(store, Scripted(script)), "Hello")
    assert seen == ["running"]
    assert (outcome.turn.status, outcome.turn.output) == ("complete", "Hi")


def test_a_turn_answers_which_text_model_parameters_and_versions(store: Store) -> None:
    turn = ask(session(store, Scripted(says("Guten Tag"))), "/translate de Good day -o seed=7").turn
    assert turn.inputs == {"text": "Good day"}
    assert turn.options == {"target": "de", "source": ""}
    assert (turn.model, turn.model_ref, turn.model_digest) == ("scripted", "scripted:scripted", "sha256:scripted")
    assert turn.config.seed == 7
    assert (turn.plugin, turn.plugin_version, turn.palaver_version) == ("translate", "0.1.0", "0.1.0")
    assert [message.role for message in turn.prompt] == ["system", "user"]
    assert turn.language == "de"
    assert turn.seconds > 0


@pytest.mark.parametrize(
    ("line", "languages", "source"),
    [
        ("/translate fr Good morning.", "en-fr, en guessed", "en"),
        ("/translate fr --from en Good morning.", "en-fr", "en"),
        ("/translate fr Guten Morgen, wie geht es dir?", "en-fr", "en"),  # the model was named: it knows better
    ],
)
def test_a_translator_of_one_pair_says_its_languages_and_what_was_guessed(
    store: Store, line: str, languages: str, source: str
) -> None:
    model = Scripted(says("Bonjour"))
    model.info = replace(model.info, pairs=("en-fr",))
    talk = session(store, model)
    started: list[Started] = []
    talk.ask(parse_line(line, talk.registry), on_start=started.append)
    assert started[0].languages == languages
    assert model.asked[0].example.source_language == source


def test_how_likely_the_model_held_its_answer_is_kept_and_becomes_its_perplexity(store: Store) -> None:
    def script(request: Request, config: GenerationConfig, cancel: threading.Event) -> Iterator[Delta]:
        yield Delta("Bread", logprobs=(math.log(1 / 2),))
        yield Delta(" rises", logprobs=(math.log(1 / 8),))
        yield Delta(finish_reason="stop", output_tokens=3)

    turn = ask(session(store, Scripted(script)), "/generate Write").turn
    assert (turn.logprob, turn.scored_tokens) == (pytest.approx(-4 * math.log(2)), 2)
    assert {one.metric: one.value for one in turn.scores}["perplexity"] == pytest.approx(4.0)
    silent = ask(session(store, Scripted(says("Bread rises"))), "/generate Write").turn
    assert (silent.logprob, silent.scored_tokens) == (None, 0)
    assert "perplexity" not in {one.metric for one in silent.scores}


def test_probabilities_are_asked_for_where_something_is_scored_by_them(store: Store) -> None:
    model = Scripted(says("Bread rises."))
    talk = session(store, model)
    for line in ("/generate Write", "Hello", "/summarize Bread rises. It is baked."):
        ask(talk, line)
    assert [one.logprobs for one in model.asked] == [True, False, False]
    ask(Session(talk.registry, store, metrics=["perplexity"]), "Hello")
    assert model.asked[-1].logprobs


def test_a_chat_remembers_and_a_new_one_does_not(store: Store) -> None:
    model = Scripted(says("Blue."))
    talk = session(store, model)
    ask(talk, "My colour is blue.")
    ask(talk, "What is my colour?")
    assert [m.content for m in model.asked[1].messages] == ["My colour is blue.", "Blue.", "What is my colour?"]
    talk.forget()
    ask(talk, "And now?")
    assert [m.content for m in model.asked[2].messages] == ["And now?"]


def test_a_chat_after_a_task_knows_what_was_asked_and_answered(store: Store) -> None:
    model = Scripted(says("Der Hund"))
    talk = session(store, model)
    ask(talk, "/translate de The dog")
    ask(talk, "Why der?")
    first, answer, question = model.asked[1].messages
    assert first.role == "user"
    assert "into German" in first.content
    assert first.content.endswith("The dog")
    assert (answer.content, question.content) == ("Der Hund", "Why der?")


def test_a_digest_that_only_loading_tells_is_in_the_row(store: Store) -> None:
    model = Scripted(says("Hi"))
    model.info = replace(model.info, digest="")
    talk = session(store, model)
    talk.registry.models()
    model.info = replace(model.info, digest="sha256:late")
    assert ask(talk, "Hello").turn.model_digest == "sha256:late"


def test_a_long_chat_drops_its_oldest_turns_and_says_how_many(store: Store) -> None:
    model = Scripted(says("ok"), context=200)
    talk = session(store, model)
    for _ in range(3):
        ask(talk, "word " * 40)
    started: list[Started] = []
    talk.ask(parse_line("Hello", talk.registry), on_start=started.append)
    # A token holds 5 characters at most. Room: 5 x (200 - 100) less the 5 of "Hello" is 495, of which two thirds are
    # filled again: three turns of 199 + 2 do not fit, and of two there is one too many.
    assert len(model.asked[3].messages) == 3
    assert started[0].forgotten == 4


def test_a_cancelled_answer_is_kept_and_never_scored(store: Store) -> None:
    cancel = threading.Event()

    def script(request: Request, config: GenerationConfig, stop: threading.Event) -> Iterator[Delta]:
        yield Delta("Half an")
        cancel.set()
        yield Delta(finish_reason="cancelled" if stop.is_set() else "error")

    talk = session(store, Scripted(script))
    outcome = talk.ask(parse_line("/generate Write --ref whole", talk.registry), cancel=cancel)
    assert (outcome.turn.status, outcome.turn.output) == ("cancelled", "Half an")
    assert outcome.turn.scores == ()
    assert outcome.error is None


def test_a_truncated_answer_says_so(store: Store) -> None:
    def script(request: Request, config: GenerationConfig, stop: threading.Event) -> Iterator[Delta]:
        yield Delta("As far as it went", finish_reason="length")

    assert ask(session(store, Scripted(script)), "Go").turn.status == "truncated"


def test_a_stream_that_just_ends_is_a_failure_with_its_text_kept(store: Store) -> None:
    def script(request: Request, config: GenerationConfig, stop: threading.Event) -> Iterator[Delta]:
        yield Delta("Looks whole.")

    outcome = ask(session(store, Scripted(script)), "Go")
    assert (outcome.turn.status, outcome.turn.output) == ("failed", "Looks whole.")
    assert "without finishing" in outcome.turn.error


def test_a_model_that_breaks_leaves_its_text_and_its_reason(store: Store) -> None:
    def script(request: Request, config: GenerationConfig, stop: threading.Event) -> Iterator[Delta]:
        yield Delta("Half")
        raise ModelFailed("scripted was killed (signal 9).", fix="ask again")

    outcome = ask(session(store, Scripted(script)), "Go")
    assert isinstance(outcome.error, ModelFailed)
    assert outcome.turn.output == "Half"
    assert outcome.turn.error == "scripted was killed (signal 9). Fix: ask again"


def test_a_model_plugin_that_raises_anything_is_named(store: Store) -> None:
    def script(request: Request, config: GenerationConfig, stop: threading.Event) -> Iterator[Delta]:
        raise ZeroDivisionError("oops")
        yield

    assert ask(session(store, Scripted(script)), "Go").turn.error.startswith("scripted broke: ZeroDivisionError: oops.")


def test_a_failed_question_is_not_part_of_the_conversation(store: Store) -> None:
    def script(request: Request, config: GenerationConfig, stop: threading.Event) -> Iterator[Delta]:
        if request.messages[-1].content == "too long":
            raise ContextExceeded("The input has 9 tokens; scripted reads at most 8.")
        yield Delta("fine", finish_reason="stop")

    model = Scripted(script)
    talk = session(store, model)
    ask(talk, "too long")
    ask(talk, "short")
    assert [m.content for m in model.asked[1].messages] == ["short"]


@pytest.mark.parametrize("line", ["/summarize", '/summarize "  "', '/qa "Ulm is a town."'])
def test_an_empty_input_is_refused_and_leaves_a_failed_row(store: Store, line: str) -> None:
    outcome = ask(session(store, Scripted(says("x"))), line)
    assert isinstance(outcome.error, BadInput)
    assert store.page()[0].status == "failed"


def test_an_unknown_model_leaves_a_failed_row_with_what_was_typed(store: Store) -> None:
    outcome = ask(session(store, Scripted(says("x"))), "/generate Hello -m scriptde")
    assert "Did you mean 'scripted'?" in outcome.turn.error
    assert (outcome.turn.status, outcome.turn.model, outcome.turn.input_text) == (
        "failed", "scriptde", "/generate Hello -m scriptde",
    )  # fmt: skip


def test_a_reference_can_come_with_the_question_or_later(store: Store) -> None:
    talk = session(store, Scripted(says("the cat sat on the mat")))
    first = ask(talk, '/translate en "die Katze" --ref "the cat sat on the mat"').turn
    assert {score.metric: score.value for score in first.scores}["bleu"] == pytest.approx(100)
    second = ask(talk, "/translate en die Katze").turn
    assert [score for score in second.scores if score.metric == "bleu"] == []
    later = talk.add_references(second.id, ["the cat sat on a mat"])
    assert [score.metric for score in later.scores] == ["bleu", "chrf", "ter"]
    assert all(score.signature and score.value is not None for score in later.scores)


def test_a_second_reference_makes_a_new_score_and_the_first_stays(store: Store) -> None:
    talk = session(store, Scripted(says("a cat")))
    turn = ask(talk, '/translate en "Katze" --ref "the dog"').turn
    before = turn.scores[1].value
    after = talk.add_references(turn.id, ["a cat"])
    assert [reference.text for reference in after.references] == ["the dog", "a cat"]
    assert after.scores[1].value == pytest.approx(100)
    assert before is not None
    assert before < 100


def test_an_empty_reference_is_refused_except_as_no_answer(store: Store) -> None:
    talk = session(store, Scripted(says("no answer")))
    chat = ask(talk, "Hi").turn
    with pytest.raises(BadInput, match="A reference is a text"):
        talk.add_references(chat.id, [" "])
    turn = ask(talk, '/qa "Ulm is a town." Who built it?').turn
    assert turn.output == ""
    scored = talk.add_references(turn.id, [""])
    assert [(score.metric, score.value) for score in scored.scores] == [("em", 100.0), ("f1", 100.0)]


def test_the_baseline_stands_beside_the_scores(store: Store) -> None:
    talk = session(store, Scripted(says("Seven cats.")))
    turn = ask(
        talk, '/summarize "One dog. Two cows. Three hens. Four cats." --ref "One dog. Two cows. Three hens."'
    ).turn
    name, scores = talk.baseline(turn) or ("", [])
    assert name == "lead-3"
    assert scores[0].value == pytest.approx(1.0)  # the reference is the first three sentences


def test_free_text_gets_numbers_that_need_no_reference(store: Store) -> None:
    turn = ask(session(store, Scripted(says("one two two"))), "/generate Count").turn
    values = {score.metric: score.value for score in turn.scores}
    assert values["length"] == 3
    assert values["distinct1"] == pytest.approx(2 / 3)  # one, two of three words
    assert "bleu" not in values


class Broken:
    name, title, family = "broken", "Broken", "broken"
    maximum, higher_is_better, needs_references = 1.0, True, True

    def score(self, output: str, example: Example) -> Score:
        raise ZeroDivisionError("no words")

    def corpus(self, stats: Sequence[float], n: int, signature: str) -> Score:
        raise NotImplementedError


def test_a_metric_that_breaks_is_a_reason_not_a_number_and_the_others_stand(store: Store) -> None:
    talk = session(store, Scripted(says("a cat")))
    talk.registry.metrics()
    vars(talk.registry)["_metrics"]["bleu"] = Broken()
    chrf, broken = (ask(talk, '/translate en Katze --ref "a cat"').turn.scores[i] for i in (1, 0))
    assert chrf.value == pytest.approx(100)
    assert (broken.value, broken.error) == (None, "the metric broke: ZeroDivisionError: no words")


def test_a_draft_survives_when_nothing_finishes(store: Store) -> None:
    start = TurnStart(store.begin_run("chat"), "chat", "m", "m", {"text": "Hi"}, "Hi")
    turn_id = store.begin_turn(start)
    store.draft(turn_id, "so far").result()
    assert store.turn(turn_id).raw == "so far" or store.turn(turn_id).output == "so far"


def test_what_could_not_be_understood_is_kept_too(store: Store) -> None:
    talk = session(store, Scripted(says("x")))
    talk.record_failure("sumarize", "/sumarize me", BadInput("There is no task named 'sumarize'."))
    line = store.page()[0]
    assert (line.task, line.status) == ("sumarize", "failed")
    assert store.turn(line.id).input_text == "/sumarize me"


def test_asking_needs_no_typed_line(store: Store) -> None:
    talk = session(store, Scripted(says("x")))
    task = talk.registry.task("generate")()
    assert talk.ask(Ask(task, Example({"text": "Hello"}))).turn.input_text == "Hello"
