"""What an output has copied from a text."""

from __future__ import annotations

import random

from palaver.verbatim import LEAST, Verbatim

TEXT = (
    "The old bridge reopened on Monday. It had been closed for two years, and the traders on both banks had lost "
    "money. Nobody knew who would pay for it."
)


def copied(text: str, output: str) -> list[str]:
    return [output[start:end] for start, end in Verbatim(text, "words").spans(output)]


def test_eight_words_in_a_row_are_copied_and_seven_are_not() -> None:
    words = "it had been closed for two years and the traders"
    assert copied(TEXT, f"They say {' '.join(words.split()[:8])} perhaps.") == ["it had been closed for two years and"]
    assert copied(TEXT, f"They say {' '.join(words.split()[:7])} perhaps.") == []


def test_case_and_punctuation_do_not_hide_a_copy_of_words() -> None:
    assert copied(TEXT, "IT HAD BEEN CLOSED; FOR TWO YEARS... AND") == ["IT HAD BEEN CLOSED; FOR TWO YEARS... AND"]


def test_two_stretches_from_different_places_are_two_spans() -> None:
    output = "nobody knew who would pay for it. the old bridge reopened on monday it had"
    assert copied(TEXT, output) == [output[34:]]  # the first one has seven words
    output = "had lost money. Nobody knew who would pay. Perhaps the old bridge reopened on Monday. It had"
    assert copied(TEXT, output) == [output[: output.index(". Perhaps")], output[output.index("the old") :]]


def test_forty_characters_in_a_row_are_copied_wherever_they_begin() -> None:
    index, least = Verbatim(TEXT, "characters"), LEAST["characters"]
    for start in range(len(TEXT) - least):
        output = "§" + TEXT[start : start + least] + "§"
        assert index.spans(output) == [(1, least + 1)]
        assert index.spans("§" + TEXT[start : start + least - 1] + "§") == []


def test_random_outputs_have_the_spans_that_a_plain_search_finds() -> None:
    generator = random.Random(3)
    text = "".join(generator.choices("ab", k=3000))
    index, least = Verbatim(text, "characters"), LEAST["characters"]
    for _ in range(20):
        pieces = [text[at : at + generator.randint(20, 90)] for at in generator.choices(range(2900), k=3)]
        output = "".join(pieces)
        marked = [False] * len(output)
        for at in range(len(output) - least + 1):
            if output[at : at + least] in text:
                marked[at : at + least] = [True] * least
        found = [False] * len(output)
        for start, end in index.spans(output):
            found[start:end] = [True] * (end - start)
        assert found == marked


def test_the_share_is_of_characters() -> None:
    index = Verbatim(TEXT, "characters")
    assert index.share(TEXT[:60] + "#" * 40) == 0.6  # 60 of 100
    assert index.share("") == 0.0
