"""The contract of a metric: perfect is maximal in every script, sums are enough for a corpus, and unscored is not 0."""

from __future__ import annotations

import math
from collections.abc import Iterator

from palaver.example import Example
from palaver.metric import Metric, Score, with_confidence
from palaver.testing.check import Check, claim
from palaver.testing.hostile import HOSTILE, SCRIPTS

LONGEST = 2_000
"""Characters of a hostile text here: how fast a metric is, is not the question."""


def check_metric(metric: Metric) -> Iterator[Check]:
    """Every check of one metric."""
    subject = f"metric {metric.name}"
    yield claim("metrics", f"{subject}: its score says what it is", lambda: _anonymous(metric))
    if metric.needs_references:
        yield claim("metrics", f"{subject}: identical texts are perfect in twelve scripts", lambda: _imperfect(metric))
        yield claim("metrics", f"{subject}: a reference more does no harm", lambda: _worsened(metric))
        yield claim("metrics", f"{subject}: unscored is None and not 0", lambda: _zero(metric))
    yield claim("metrics", f"{subject}: sums of statistics give the corpus score", lambda: _unsummed(metric))
    yield claim("metrics", f"{subject}: any text can be scored", lambda: _upset(metric))


def _score(metric: Metric, output: str, *references: str) -> Score:
    example = Example({"text": SCRIPTS["Latin"]}, references)
    return metric.score(output, with_confidence(example, -4.0, 8, "a model"))


def _anonymous(metric: Metric) -> Iterator[str]:
    score = _score(metric, SCRIPTS["Latin"], SCRIPTS["Latin"])
    if score.metric != metric.name:
        yield f"its score is called '{score.metric}'"
    if not score.signature or not score.title:
        yield "its score has no signature or no title"
    if score.n != 1:
        yield f"the score of one output has n={score.n}"
    if score.stats and not score.corpus_signature:
        yield "it gives statistics and no signature for the corpus score they sum to"


def _imperfect(metric: Metric) -> Iterator[str]:
    for script, text in SCRIPTS.items():
        value = _score(metric, text, text).value
        if value is None or not math.isclose(value, metric.maximum, abs_tol=1e-6):
            yield f"identical {script} texts score {value}, not {metric.maximum:g}"


def _worsened(metric: Metric) -> Iterator[str]:
    text, other = SCRIPTS["Latin"], "The mayor bought seven red boats for the children of the town yesterday."
    for references in ((text, other), (other, text), (other, text, other)):
        value = _score(metric, text, *references).value
        if value is None or not math.isclose(value, metric.maximum, abs_tol=1e-6):
            yield f"an output equal to one of {len(references)} references scores {value}, not {metric.maximum:g}"


def _zero(metric: Metric) -> Iterator[str]:
    score = _score(metric, SCRIPTS["Latin"])
    if score.value is not None:
        yield f"without a reference it scores {score.value:g}; it is None, with the reason in `error`"
    elif not score.error:
        yield "without a reference it gives no reason in `error`"


def _unsummed(metric: Metric) -> Iterator[str]:
    words = SCRIPTS["Latin"].split()
    outputs = [SCRIPTS["Latin"], " ".join(words[:-2]), " ".join([*words[:-2], "snow", "falls"])]
    scores = [_score(metric, output, SCRIPTS["Latin"]) for output in outputs]
    if not all(score.stats for score in scores):
        yield "a score has no statistics: there can be no corpus score"
        return
    if len({len(score.stats) for score in scores}) > 1:
        yield "its scores have statistics of different lengths"
        return
    signature = scores[0].corpus_signature
    summed = [sum(column) for column in zip(*(score.stats for score in scores), strict=True)]
    once = metric.corpus(summed, len(scores), signature)
    thrice = metric.corpus([3 * one for one in summed], 3 * len(scores), signature)
    if once.value is None or thrice.value is None or not math.isclose(once.value, thrice.value, abs_tol=1e-6):
        yield f"a corpus scores {once.value} and the same three times over {thrice.value}"
    if once.n != len(scores):
        yield f"a corpus of {len(scores)} has n={once.n}"
    if not once.signature:
        yield "its corpus score has no signature"


def _upset(metric: Metric) -> Iterator[str]:
    for text in HOSTILE:
        for output, reference in ((text, SCRIPTS["Latin"]), (SCRIPTS["Latin"], text), (text, text)):
            try:
                score = _score(metric, output[:LONGEST], reference[:LONGEST])
            except Exception as error:  # a plugin may raise anything at all
                yield f"score() raised {type(error).__name__}: {error!s:.100} for {text[:40]!a}"
                break
            if score.value is not None and not math.isfinite(score.value):
                yield f"score() is {score.value} for {text[:40]!a}: None says that there is none"
                break
            if score.value is None and not score.error:
                yield f"score() has neither a value nor an error for {text[:40]!a}"
                break
