"""ROUGE equals rouge-score to the last bit where that can read, and is right in every other script."""

from __future__ import annotations

import random
import unicodedata

import pytest
from tests.plugins.metric_texts import SCRIPTS, example, scitldr

from palaver_metrics.rouge import Rouge, RougeL, RougeLsum, RougeN, lcs_length

ROUGES: list[Rouge] = [RougeN(1), RougeN(2), RougeL(), RougeLsum()]


@pytest.fixture(scope="module")
def scorer():
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
    return rouge_scorer.RougeScorer([rouge.name for rouge in ROUGES], use_stemmer=False)


@pytest.mark.parametrize(
    ("output", "references"),
    [
        ("", ("a reference",)),
        ("one", ("one",)),
        ("The cat.\nIt sat.", ("It sat.\nThe cat sat.",)),
        ("\n\nA b\n\nc", ("c\n\na b\n",)),
        ("Der Bär läuft über die Straße", ("Ein Bär läuft über eine Straße", "Der Bar lauft")),
        ("α-divergence of order 2", ("the α-divergence", "divergence of any order")),
        ("İstanbul'da bir gün", ("İstanbul bir gün",)),
        ("日本", ("Tokyo is in 日本",)),
    ],
)
def test_equal_to_rouge_score_on_odd_texts(scorer, output: str, references: tuple[str, ...]) -> None:
    expected = scorer.score_multi(references, output)
    for rouge in ROUGES:
        assert rouge.score(output, example(*references)).value == expected[rouge.name].fmeasure


def test_equal_to_rouge_score_on_300_paper_summaries(scorer) -> None:
    pairs = scitldr(300)
    assert max(len(references) for _, references in pairs) > 1
    for output, references in pairs:
        expected = scorer.score_multi(references, output)
        for rouge in ROUGES:
            score = rouge.score(output, example(*references))
            assert score.value == expected[rouge.name].fmeasure
            assert "|tok:rouge-score|" in score.signature


def test_equal_to_rouge_score_on_random_lines(scorer) -> None:
    # Few different words make many equally long subsequences, of which Lsum must trace the same one.
    rng = random.Random(3)

    def text() -> str:
        return "\n".join(" ".join(rng.choices("abcd", k=rng.randint(0, 9))) for _ in range(rng.randint(1, 4)))

    for _ in range(300):
        output, reference = text(), text() + "a"
        expected = scorer.score(reference, output)
        for rouge in ROUGES:
            assert rouge.score(output, example(reference)).value == expected[rouge.name].fmeasure


@pytest.mark.parametrize("rouge", ROUGES, ids=lambda rouge: rouge.name)
@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_identical_text_scores_one_in_every_script(rouge: Rouge, text: str) -> None:
    assert rouge.score(text, example(text)).value == 1.0
    assert rouge.score(unicodedata.normalize("NFD", text), example(text)).value == 1.0


@pytest.mark.parametrize(
    ("text", "language", "tokenizer"),
    [
        ("a text", "", "rouge-score"),
        ("a text with one β", "", "rouge-score"),
        ("Сегодня iOS", "", "unicode"),
        ("iPhone", "ru", "unicode"),
        ("我们", "", "unicode"),
        ("é è", "", "unicode"),  # Latin, but nothing that rouge-score would keep
        ("!?", "", "char"),
    ],
)
def test_the_signature_names_the_tokenizer(text: str, language: str, tokenizer: str) -> None:
    signature = RougeN(1).score("x", example(text, language=language)).signature
    version = "0.1.2" if tokenizer == "rouge-score" else "1"
    assert signature == f"ROUGE-1|tok:{tokenizer}|stem:no|agg:max-f|unicode:nfc|v:{version}"


def test_hindi_is_compared_by_whole_words_and_chinese_by_characters() -> None:
    # 1 of 2 words is equal: P = R = F1 = 1/2; broken at vowel signs more would seem equal
    assert RougeN(1).score("किताब पढ़ी", example("किताब लिखी")).value == 0.5
    # 5 of 6 characters are equal
    assert RougeN(1).score("我们今天看报", example("我们今天看书")).value == pytest.approx(5 / 6)


def test_the_corpus_score_is_the_mean() -> None:
    found = RougeN(1).corpus((1.5,), 2, "S|corpus:mean")
    assert (found.value, found.n, found.signature) == (0.75, 2, "S|corpus:mean")
    assert RougeN(1).corpus((), 0, "S").value is None


@pytest.mark.parametrize("rouge", ROUGES, ids=lambda rouge: rouge.name)
def test_without_a_reference_there_is_no_number(rouge: Rouge) -> None:
    assert (rouge.score("a", example()).value, rouge.score("a", example()).error) == (None, "no reference")
    assert rouge.score("", example("")).error == "empty reference"
    assert rouge.score("x" * 1_000_001, example("x")).value is None


def test_lcs_is_the_table_s_on_random_words() -> None:
    rng = random.Random(5)
    for _ in range(300):
        first, second = (rng.choices("abcd", k=rng.randint(0, 90)) for _ in range(2))
        assert lcs_length(first, second) == _by_table(first, second)


def test_ten_thousand_words_against_ten_thousand_need_no_table() -> None:
    # The table would have 10^8 cells; this is 10^4 steps on one integer. 5,000 words in order lie among others.
    words = [f"w{index}" for index in range(10_000)]
    other = [word if index % 2 else f"x{index}" for index, word in enumerate(words)]
    score = RougeL().score(" ".join(words), example(" ".join(other)))
    assert score.value == 0.5
    assert RougeLsum().score(" ".join(words), example(" ".join(other))).value == 0.5


def test_what_would_take_minutes_is_skipped_with_a_reason() -> None:
    words, lines = "a " * 200_000, "a\n" * 20_000
    assert RougeL().score(words, example(words)).error == "skipped: too long for a common subsequence"
    assert RougeLsum().score(lines, example(lines)).error == "skipped: too long for ROUGE-Lsum"
    assert RougeN(2).score(words, example(words)).value == 1.0


def _by_table(first: list[str], second: list[str]) -> int:
    row = [0] * (len(second) + 1)
    for one in first:
        above = row
        row = [0]
        for index, other in enumerate(second):
            row.append(above[index] + 1 if one == other else max(above[index + 1], row[index]))
    return row[-1]
