"""Marks of overlap: what the reader sees coloured in an output."""

from __future__ import annotations

import itertools
import random

import pytest

from palaver.overlap import mark, word_pattern


def marked(output: str, *references: str) -> list[tuple[str, str]]:
    return [(output[span.start : span.end], span.overlap) for span in mark(output, references)]


@pytest.mark.parametrize(
    ("output", "references", "expected"),
    [
        pytest.param("A cat.", ["a dog"], [("A", "unigram"), ("cat", "none")], id="case does not count"),
        pytest.param("on the mat", ["sat on the mat"], [("on the mat", "ngram")], id="three in a row"),
        pytest.param(
            "we say: he sat, on the mat!",
            ["He sat on the mat."],
            [("we say", "none"), ("he sat, on the mat", "fourgram")],
            id="punctuation inside a span belongs to it, outside to none",
        ),
        pytest.param(
            "one two three four five",
            ["one two three four x four five"],
            [("one two three four", "fourgram"), ("five", "ngram")],
            id="the longest match decides",
        ),
        pytest.param(
            "one two three four",
            ["one two", "three four"],
            [("one two three four", "ngram")],
            id="a run does not cross from one reference into another",
        ),
        pytest.param(
            "我们今天看书", ["他们今天看报"], [("我", "none"), ("们今天看", "fourgram"), ("书", "none")], id="Chinese"
        ),
        pytest.param("हिन्दी में", ["हिन्दी"], [("हिन्दी", "unigram"), ("में", "none")], id="Hindi words stay whole"),
        pytest.param("cafe\u0301", ["café"], [("cafe\u0301", "unigram")], id="two ways to write an accent"),
        pytest.param("a b", [], [], id="no reference, nothing to say"),
        pytest.param("", ["a"], [], id="no output"),
        pytest.param("!?", ["!?"], [], id="no words"),
        pytest.param("a", [""], [("a", "none")], id="empty reference"),
    ],
)
def test_words_are_marked_by_the_longest_run_they_share(
    output: str, references: list[str], expected: list[tuple[str, str]]
) -> None:
    assert marked(output, *references) == expected


def test_marks_agree_with_the_definition_on_random_words() -> None:
    rng = random.Random(7)
    for _ in range(300):
        output = rng.choices("abcde", k=rng.randint(1, 14))
        references = [rng.choices("abcdef", k=rng.randint(0, 14)) for _ in range(rng.randint(1, 3))]
        spans = mark(" ".join(output), [" ".join(reference) for reference in references])
        for index in range(len(output)):
            longest = _longest_run(output, index, references)
            expected = ("none", "unigram", "ngram", "ngram", "fourgram")[min(longest, 4)]
            # word i of single letters starts at character 2i
            assert [span.overlap for span in spans if span.start <= 2 * index < span.end] == [expected]


def test_spans_are_in_order_and_do_not_touch() -> None:
    spans = mark("the cat, the dog and the bird on the old mat", ["the dog and the cat on the old mat"])
    assert all(first.end < second.start for first, second in itertools.pairwise(spans))
    assert all(first.overlap != second.overlap for first, second in itertools.pairwise(spans))


def test_a_word_keeps_its_combining_marks() -> None:
    assert word_pattern().findall("Nga\u0303 ve\u0323 snake_case 3.5 น้ำ") == [
        "Nga\u0303",
        "ve\u0323",
        "snake",
        "case",
        "3",
        "5",
        "น้",
        "ำ",
    ]


def _longest_run(output: list[str], index: int, references: list[list[str]]) -> int:
    """The length of the longest n-gram around a word that a reference has, by trying all."""
    found = 0
    for start in range(index + 1):
        for end in range(index + 1, len(output) + 1):
            gram = output[start:end]
            size = len(gram)
            if any(gram == other[at : at + size] for other in references for at in range(len(other) - size + 1)):
                found = max(found, size)
    return found


@pytest.mark.parametrize(
    "text",
    ["It's 3.5 €, naïve co-op_x²", "Ærø ßtraße ÿ", "", "Nga\u0303 x", "a\u200cb", "น้ำ", "漢字 and kana かな", "हिन्दी"],
)
def test_the_pattern_for_a_text_finds_what_the_one_for_all_texts_finds(text: str) -> None:
    assert word_pattern(text).findall(text) == word_pattern().findall(text)


def test_below_the_first_mark_both_patterns_agree_on_every_character() -> None:
    for code in range(0x300):
        text = f"a{chr(code)}b"
        assert word_pattern(text).findall(text) == word_pattern().findall(text)
