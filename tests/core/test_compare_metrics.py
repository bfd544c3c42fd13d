"""Corpus scores of many sums at once are those of one sum at a time, and sacrebleu's."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from palaver.example import Example
from palaver.metric import Metric, Score, VectorMetric
from palaver.significance import corpus_of
from palaver_metrics import palaver_metrics
from palaver_metrics.bleu import Bleu, ChrF, Ter

WORDS = str.split("a man in the red coat sits on an old bench while two dogs run past him and bark")
ODD = [
    ("", "nothing was said"),
    ("nothing in common", "completely other words"),
    ("one two", "one two"),
    ("man", "a man"),
    ("x", "y"),
    ("!", "!"),
    ("a b c d e f g h i j", "a"),
]
"""Outputs whose sums meet each branch: no words, no match, no 4-grams, no match of one order, too short, too long."""


def corpora() -> list[list[tuple[str, str]]]:
    """Corpora of 1 to 30 outputs and references, with the odd ones alone and in pairs."""
    rng = random.Random(7)
    found = [[one] for one in ODD] + [[one, other] for one in ODD for other in ODD]
    for size in (1, 2, 5, 30):
        for _ in range(10):
            references = [rng.sample(WORDS, rng.randint(1, 16)) for _ in range(size)]
            noise = rng.random()
            outputs = [[word for word in one if rng.random() > noise / 2] for one in references]
            for output in outputs:
                if rng.random() < noise:
                    rng.shuffle(output)
            found.append([(" ".join(out), " ".join(ref)) for out, ref in zip(outputs, references, strict=True)])
    return found


def scored(metric: Metric, corpus: Sequence[tuple[str, str]]) -> list[Score]:
    return [metric.score(output, Example({}, (reference,), language="en")) for output, reference in corpus]


@pytest.mark.parametrize(("metric", "theirs"), [(Bleu(), BLEU), (ChrF(), CHRF), (Ter(), TER)], ids=lambda one: one)
def test_values_of_summed_statistics_are_sacrebleus(metric: VectorMetric, theirs) -> None:
    found = corpora()
    sums = np.array([np.sum([score.stats for score in scored(metric, corpus)], axis=0) for corpus in found])
    values = metric.corpus_values(sums, 1)
    expected = [
        theirs().corpus_score([output for output, _ in corpus], [[reference for _, reference in corpus]]).score
        for corpus in found
    ]
    assert values == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", palaver_metrics(), ids=lambda metric: metric.name)
def test_many_sums_at_once_are_scored_as_one_at_a_time(metric: Metric) -> None:
    assert isinstance(metric, VectorMetric)
    for corpus in corpora():
        scores = [score for score in scored(metric, corpus) if score.value is not None]
        if not scores:
            continue
        total = np.sum([score.stats for score in scores], axis=0)
        value = metric.corpus(total.tolist(), len(scores), scores[0].corpus_signature).value
        both = metric.corpus_values(np.array([total, total]), len(scores))
        assert both == pytest.approx([value, value], abs=1e-9)


class PlainBleu:
    """BLEU as a plugin writes it that offers no more than a Metric must."""

    name, title, maximum, higher_is_better, needs_references = "bleu", "BLEU", 100.0, True, True

    def score(self, output: str, example: Example) -> Score:
        return Bleu().score(output, example)

    def corpus(self, stats: Sequence[float], n: int, signature: str) -> Score:
        return Bleu().corpus(stats, n, signature)


def test_a_metric_without_corpus_values_is_computed_row_by_row() -> None:
    assert not isinstance(PlainBleu(), VectorMetric)
    scores = scored(PlainBleu(), corpora()[-1])
    sums = np.array([score.stats for score in scores])
    signature = scores[0].corpus_signature
    assert corpus_of(PlainBleu(), signature)(sums, 1) == pytest.approx(corpus_of(Bleu(), signature)(sums, 1), abs=1e-9)
