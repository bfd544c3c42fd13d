"""The four tasks ask plainly and find the answer in what a model wrote."""

from __future__ import annotations

import pytest

from palaver import Example, UsageError
from palaver_generate import Generate
from palaver_qa import AnswerQuestion
from palaver_summarize import Summarize
from palaver_translate import Translate


def test_translate_takes_a_code_or_a_name_and_records_the_code() -> None:
    assert Translate(target="fr") == Translate(target="French")
    assert Translate(target="FR").options() == {"target": "fr", "source": ""}


def test_translate_tells_the_scores_which_language_the_output_is_in() -> None:
    prepared = Translate(target="ja", source="en").prepare(Example({"text": "Hello"}))
    assert (prepared.language, prepared.source_language) == ("ja", "en")


def test_translate_takes_from_for_the_language_of_the_text() -> None:
    assert Translate.from_strings({"target": "fr", "from": "English"}) == Translate(target="fr", source="en")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Good morning.", "en"),
        ("A man in a blue shirt is standing on a ladder cleaning a window.", "en"),
        ("Bonjour", "fr"),
        ("Un homme en chemise bleue nettoie une fenêtre.", "fr"),
        ("Zwei junge Männer sind im Freien.", "de"),
        ("O gato está na mesa", "pt"),
        ("Il gatto è sul tavolo", "it"),
        ("こんにちは世界", "ja"),
        ("你好", "zh"),
        ("Привет, как дела?", "ru"),
        ("Привіт, як її звати?", "uk"),
        ("xyzzy", ""),  # nothing speaks for one alone: nothing is made up
        ("", ""),
    ],
)
def test_the_language_of_a_text_is_guessed_and_marked_as_a_guess(text: str, language: str) -> None:
    prepared = Translate(target="sv").prepare(Example({"text": text}))
    assert prepared.source_language == language
    assert (prepared.metadata.get("guessed") == "source_language") == bool(language)


def test_a_language_that_is_given_is_not_guessed_and_a_guess_does_not_reach_the_prompt() -> None:
    told = Translate(target="fr", source="de").prepare(Example({"text": "Good morning."}))
    assert (told.source_language, dict(told.metadata)) == ("de", {})
    guessed = Translate(target="fr").prepare(Example({"text": "Good morning."}))
    assert "English" not in Translate(target="fr").request(guessed).messages[0].content


def test_translate_refuses_a_word_that_is_no_language() -> None:
    with pytest.raises(UsageError, match="'hello' is no language known here"):
        Translate.from_strings({"target": "hello"})


@pytest.mark.parametrize("typed", ["de", "German", "deu", "ger", "deu_Latn", "de_DE", "__de__", ">>deu<<", "de-AT"])
def test_translate_takes_what_people_type_and_what_models_call_a_language(typed: str) -> None:
    task = Translate.from_strings({"to": typed, "from": "fra_Latn"})
    assert (task.target, task.source) == ("de", "fr")
    assert "from French into German." in task.request(Example({"text": "Bonjour."})).messages[0].content


def test_translate_names_languages_that_are_spelled_like_an_unknown_one() -> None:
    with pytest.raises(UsageError, match=r"'frensh' is no language known here\. Did you mean French \(fr\)\?"):
        Translate.from_strings({"target": "frensh"})


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("Here is a summary: The cat slept.", "The cat slept."),
        ("Here are three sentences summarizing the text:\n\nThe cat slept.", "The cat slept."),
        ("**Summary:** The cat slept.", "The cat slept."),
        ("The cat slept.", "The cat slept."),
        ("", ""),
    ],
)
def test_a_summary_begins_after_its_announcement(written: str, answer: str) -> None:
    assert Summarize().parse(written, Example({"text": ""})) == answer


def test_summarize_asks_for_the_length_it_was_given() -> None:
    assert "in one sentence." in Summarize(length=1).request(Example({"text": "x"})).messages[0].content
    with pytest.raises(UsageError, match="length is 1 to 100"):
        Summarize.from_strings({"length": "0"})


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("Answer: Ulm\nBecause ...", "Ulm"),
        ('"in 1879"', "in 1879"),
        ("No answer.", ""),
        ("no answer", ""),
        ("  Ulm  ", "Ulm"),
        ("", ""),
    ],
)
def test_a_qa_answer_is_the_first_line_without_quotes(written: str, answer: str) -> None:
    assert AnswerQuestion().parse(written, Example({"context": "", "question": ""})) == answer


def test_generate_says_its_system_message_only_when_there_is_one() -> None:
    assert len(Generate().request(Example({"text": "x"})).messages) == 1
    assert Generate(system="Be brief.").request(Example({"text": "x"})).messages[0].content == "Be brief."
