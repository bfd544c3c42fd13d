"""All metrics alike: what they promise for every text; and answers, length, distinct words, repetition."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from tests.plugins.metric_texts import SCRIPTS, example

from palaver.example import Example
from palaver.metric import Metric, with_confidence
from palaver_metrics import palaver_metrics
from palaver_metrics.qa import AnswerMetric, ExactMatch, TokenF1, squad_tokens

METRICS: dict[str, Metric] = {metric.name: metric for metric in palaver_metrics()}
WITH_REFERENCES = [metric for metric in METRICS.values() if metric.needs_references]


def test_the_plugin_offers_these_metrics_in_these_families() -> None:
    families = {metric.name: getattr(metric, "family", "") for metric in METRICS.values()}
    own_names = ("bleu", "chrf", "ter", "distinct1", "distinct2", "repetition", "length", "perplexity")
    assert families == {
        **{name: name for name in own_names},
        **dict.fromkeys(("rouge1", "rouge2", "rougeL", "rougeLsum"), "rouge"),
        **dict.fromkeys(("rouge1-stem", "rouge2-stem", "rougeL-stem", "rougeLsum-stem"), "rouge-stem"),
        **dict.fromkeys(("em", "f1"), "qa"),
    }
    stemmed = "R-1 stem, R-2 stem, R-L stem, R-Lsum stem"
    titles = f"BLEU, chrF, TER, R-1, R-2, R-L, R-Lsum, {stemmed}, EM, F1, dist-1, dist-2, rep, words, PPL"
    assert ", ".join(metric.title for metric in METRICS.values()) == titles
    assert all(isinstance(metric, Metric) for metric in METRICS.values())


def test_importing_the_plugin_costs_no_scorer() -> None:
    heavy = "{'sacrebleu', 'rouge_score', 'numpy', 'nltk', 'MeCab'}"
    program = f"import sys, palaver_metrics; list(palaver_metrics.palaver_metrics()); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("metric", WITH_REFERENCES, ids=lambda metric: metric.name)
@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_perfect_output_is_perfect_in_every_script(metric: Metric, text: str) -> None:
    score = metric.score(text, example(text))
    assert score.value == pytest.approx(metric.maximum)
    assert metric.corpus(score.stats, 1, score.corpus_signature).value == pytest.approx(metric.maximum)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
@pytest.mark.parametrize(
    "output",
    [
        "",
        " ",
        "\n",
        "\0",
        "\ud800",
        "e\u0301",
        "\u200d",
        "a" * 5000,
        "\t\u3000",
        "[/b]",
        "%s{}",
        "😀",
        "ﷺ",
        "مرحبا hello 你好",
    ],
    ids=ascii,
)
def test_any_text_gives_a_value_or_a_reason(metric: Metric, output: str) -> None:
    for references in ((), ("",), (output,), ("x", output), ("مرحبا",), ("你好", "", "b")):
        score = metric.score(output, example(*references))
        assert (score.value is None) == bool(score.error)
        assert bool(score.stats) == bool(score.corpus_signature) == (score.value is not None)
        assert score.signature


@pytest.mark.parametrize("metric", WITH_REFERENCES, ids=lambda metric: metric.name)
def test_no_reference_is_not_zero(metric: Metric) -> None:
    score = metric.score("an output", example())
    assert (score.value, score.error) == (None, "no reference")


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_the_best_of_several_references_counts(metric: Metric) -> None:
    text = "the quick brown fox jumps over the lazy dog"
    score = metric.score(text, example("something else entirely", text))
    alone = metric.score(text, example(text))
    if metric.name == "ter":  # 0 edits, over the mean length of the references
        assert score.value == 0
    elif metric.name == "bleu":  # n-grams of all references are pooled
        assert score.value == pytest.approx(100)
    else:
        assert score.value == alone.value


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The Eiffel Tower!", ["eiffel", "tower"]),
        ("  an   apple a day ", ["apple", "day"]),
        ("U.S.A.", ["usa"]),
        ("theatre", ["theatre"]),
        ("1,234.5", ["12345"]),
        ("the", []),
    ],
)
def test_answers_are_normalised_as_squad_does(text: str, tokens: list[str]) -> None:
    assert squad_tokens(text) == tokens


@pytest.mark.parametrize(
    ("output", "references", "exact", "f1"),
    [
        # 2 of 2 output words match, 2 of 4 reference words: P = 1, R = 1/2, F1 = 2/3
        ("quick brown", ("the quick brown fox jumps",), 0, 200 / 3),
        ("The Eiffel tower.", ("Eiffel Tower", "Paris"), 100, 100),
        ("Paris", ("London",), 0, 0),
        ("b b", ("b",), 0, 200 / 3),  # one b matches: P = 1/2, R = 1
        ("", ("",), 100, 100),
        ("  ", ("",), 100, 100),
        ("something", ("",), 0, 0),
        ("", ("Paris",), 0, 0),
        ("", ("Paris", ""), 100, 100),
        ("", ("Paris", "The"), 0, 0),  # of "The" nothing is left, but it is not "no answer"
        ("北京。", ("北京",), 100, 100),
        ("南京", ("北京",), 0, 50),  # one of two characters
        ("Москва", ("москва",), 100, 100),
        ("cafe\u0301", ("café",), 100, 100),
    ],
)
def test_exact_match_and_f1(output: str, references: tuple[str, ...], exact: float, f1: float) -> None:
    assert ExactMatch().score(output, example(*references)).value == exact
    assert TokenF1().score(output, example(*references)).value == pytest.approx(f1)


@pytest.mark.parametrize("metric", [ExactMatch(), TokenF1()], ids=lambda metric: metric.name)
def test_answers_by_character_have_their_own_signature(metric: AnswerMetric) -> None:
    assert "|norm:squad|tok:space|" in metric.score("a", example("a")).signature
    assert "|norm:mlqa|tok:char|" in metric.score("a", example("京")).signature


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        ("length", "Two words.", 2),
        ("length", "我们看书", 4),
        ("length", "", 0),
        ("distinct1", "a b A b", 0.5),  # 2 of 4
        ("distinct2", "a b a b", 2 / 3),  # ab, ba of ab, ba, ab
        ("distinct2", "a", None),
        ("distinct1", "", None),
        ("repetition", "a b c d e", 0),
        ("repetition", "a a a a a", 0.5),  # 1 of 2 is new
        ("repetition", "a b c", None),
    ],
)
def test_numbers_without_a_reference(name: str, output: str, expected: float | None) -> None:
    score = METRICS[name].score(output, example())
    assert score.value == (None if expected is None else pytest.approx(expected))
    assert bool(score.error) == (expected is None)


def test_perplexity_is_what_the_models_own_probabilities_say() -> None:
    """Four tokens of probability 1/2 and four of 1/8: the mean is 2 bits a token, a perplexity of 4."""
    logprob = 4 * math.log(1 / 2) + 4 * math.log(1 / 8)
    sure = with_confidence(Example({"text": "Go on."}), logprob, 8, "sha256abcdef")
    score = METRICS["perplexity"].score("whatever was said", sure)
    assert score.value == pytest.approx(4.0)
    assert score.stats == (logprob, 8.0)
    assert "model:sha256abcdef" in score.signature
    # Beside an answer of 2 tokens that were certain: 16 bits over 10 tokens.
    both = METRICS["perplexity"].corpus((logprob + 0.0, 10.0), 2, score.corpus_signature)
    assert both.value == pytest.approx(2**1.6)
    unsure = METRICS["perplexity"].score("whatever was said", Example({"text": "Go on."}))
    assert (unsure.value, unsure.error) == (None, "the model gives no log-probabilities")
