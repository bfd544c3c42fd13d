"""Languages are told by their commonest words, and those words can be dropped."""

from __future__ import annotations

import pytest

from palaver import guess_language, stop_words


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The dog sleeps in the kitchen.", "en"),
        ("Der Hund schläft in der Küche.", "de"),
        ("Le chien dort dans la cuisine.", "fr"),
        ("Собака спит на кухне.", "ru"),
        ("犬は台所で寝ています。", "ja"),
        ("12345 !?", ""),
        ("", ""),
    ],
)
def test_the_language_of_a_plain_sentence_is_guessed(text: str, language: str) -> None:
    assert guess_language(text) == language


def test_stop_words_are_those_that_tell_no_subject() -> None:
    assert {"the", "of", "and"} <= stop_words("en")
    assert {"der", "und", "nicht"} <= stop_words("de-AT")
    assert not {"man", "woman", "morning", "time"} & stop_words("en"), "common, but they mean something"
    assert stop_words("xx") == stop_words("") == frozenset()
