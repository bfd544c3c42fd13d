"""ROUGE equals rouge-score to the last bit where that can read, and is right in every other script."""

from __future__ import annotations

import random
import re
import unicodedata

import pytest
from tests.plugins.metric_texts import SCRIPTS, example, scitldr

from palaver_metrics.porter import stem
from palaver_metrics.rouge import Rouge, Rouge1, Rouge2, RougeL, RougeLsum
from palaver_metrics.rougetext import Texts
from palaver_metrics.subsequence import lcs_length

KINDS = (Rouge1, Rouge2, RougeL, RougeLsum)
ROUGES: list[Rouge] = [kind() for kind in KINDS]
NAMES = [rouge.name for rouge in ROUGES]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "stemmed"])
def packages(request):
    """rouge-score's scorer, and ours that must equal it."""
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
    texts = Texts(is_stemmed=request.param)
    return rouge_scorer.RougeScorer(NAMES, use_stemmer=request.param), [kind(texts) for kind in KINDS]


def assert_equal(packages, output: str, references: tuple[str, ...]) -> None:
    scorer, ours = packages
    expected = scorer.score_multi(references, output)
    for rouge in ours:
        score = rouge.score(output, example(*references))
        assert score.value == expected[rouge.name.removesuffix("-stem")].fmeasure, rouge.name
        assert "|tok:rouge-score|" in score.signature


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
def test_equal_to_rouge_score_on_odd_texts(packages, output: str, references: tuple[str, ...]) -> None:
    assert_equal(packages, output, references)


def test_equal_to_rouge_score_on_200_paper_summaries(packages) -> None:
    pairs = scitldr(200)
    assert max(len(references) for _, references in pairs) > 1
    for output, references in pairs:
        assert_equal(packages, output, references)


def test_equal_to_rouge_score_on_random_lines(packages) -> None:
    # Few different words make many equally long subsequences, of which Lsum must trace the same one.
    rng = random.Random(3)

    def text() -> str:
        return "\n".join(" ".join(rng.choices("abcd", k=rng.randint(0, 9))) for _ in range(rng.randint(1, 4)))

    for _ in range(300):
        assert_equal(packages, text(), (text() + "a", text() + "\nb a"))


def test_equal_to_rouge_score_on_lines_that_fill_several_rows(packages) -> None:
    # 40 lines of up to 60 words: more places than one row takes
    rng = random.Random(4)
    words = ["relational", "relations", "agreed", "agreeing", "the", "of", "to", "a", "flies", "dying", "hopeful"]
    output, reference = ("\n".join(" ".join(rng.choices(words, k=rng.randint(1, 60))) for _ in range(40)) for _ in "12")
    assert_equal(packages, output, (reference,))


def test_stems_are_those_of_nltk() -> None:
    porter = pytest.importorskip("nltk.stem.porter").PorterStemmer()
    rng = random.Random(6)
    endings = re.findall(
        "[a-z]+",
        "ational tional enci anci izer bli abli alli entli eli ousli ization ation ator alism iveness fulness ousness "
        "aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement "
        "ment ent ion sion tion ou ism ate iti ous ive ize e ll y ed ing ies ied eed s ss sses",
    )
    made = {
        "".join(rng.choices("abcdefgiklmnorstuyz", k=rng.randint(0, 5)))
        + "".join(rng.choices(endings, k=rng.choice((1, 2))))
        for _ in range(20_000)
    }
    real = {word for output, _ in scitldr(200) for word in re.findall("[a-z0-9]+", output.lower())}
    different = [
        word for word in made | real | {"skies", "news", "dying"} if len(word) > 3 and stem(word) != porter.stem(word)
    ]
    assert different == []


def test_a_family_reads_a_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = Texts._tokenizer

    def counted(self, references: str, language: str):
        tokenize, signature = original(self, references, language)
        return lambda text: read.append(text) or tokenize(text), signature

    monkeypatch.setattr(Texts, "_tokenizer", counted)
    texts = Texts()
    for output in ("one system", "another system"):
        for kind in KINDS:
            kind(texts).score(output, example("the reference"))
    assert read == ["the reference", "one system", "another system"]


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
    signature = Rouge1().score("x", example(text, language=language)).signature
    version = "0.1.2" if tokenizer == "rouge-score" else "1"
    assert signature == f"ROUGE-1|tok:{tokenizer}|stem:no|agg:max-f|unicode:nfc|v:{version}"


def test_hindi_is_compared_by_whole_words_and_chinese_by_characters() -> None:
    # 1 of 2 words is equal: P = R = F1 = 1/2; broken at vowel signs more would seem equal
    assert Rouge1().score("किताब पढ़ी", example("किताब लिखी")).value == 0.5
    # 5 of 6 characters are equal
    assert Rouge1().score("我们今天看报", example("我们今天看书")).value == pytest.approx(5 / 6)


def test_the_corpus_score_is_the_mean() -> None:
    found = Rouge1().corpus((1.5,), 2, "S|corpus:mean")
    assert (found.value, found.n, found.signature) == (0.75, 2, "S|corpus:mean")
    assert Rouge1().corpus((), 0, "S").value is None


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
    assert Rouge2().score(words, example(words)).value == 1.0


def _by_table(first: list[str], second: list[str]) -> int:
    row = [0] * (len(second) + 1)
    for one in first:
        above = row
        row = [0]
        for index, other in enumerate(second):
            row.append(above[index] + 1 if one == other else max(above[index + 1], row[index]))
    return row[-1]
