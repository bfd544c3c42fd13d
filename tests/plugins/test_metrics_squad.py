"""EM and F1 equal the numbers of SQuAD's official scorer."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator

import pytest
from tests.plugins.metric_texts import SHARED, example
from tests.plugins.squad_official import raw_scores

from palaver_metrics.qa import ExactMatch, TokenF1

TABLE = [
    ("The Eiffel-Tower!", ("Eiffel Tower", "the Eiffel Tower")),
    ("an apple a day", ("apple day", "Apples")),
    ("in 1,234.5 days", ("1,234.5",)),
    ("nothing", ("",)),
    ("Straße a", ("straße",)),
    ("“Quoted” – words…", ("Quoted words",)),
]


def xquad() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each question's sentence of the text, as an extractive model gives it, and its answer in other clothes."""
    path = SHARED / "data" / "xquad" / "xquad.en.json.gz"
    if not path.exists():
        pytest.skip("needs XQuAD (PALAVER_SHARED)")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        paragraphs = [one for article in json.load(file)["data"] for one in article["paragraphs"]]
    for paragraph in paragraphs:
        sentences = paragraph["context"].split(". ")
        for place, question in enumerate(paragraph["qas"]):
            golds = tuple(one["text"] for one in question["answers"])
            yield sentences[place % len(sentences)], golds
            yield f"The {golds[0].upper()}.", golds


@pytest.mark.parametrize("pairs", [lambda: TABLE, xquad], ids=["table", "xquad"])
def test_every_answer_and_the_corpus_score_as_squad_does(pairs) -> None:
    found = list(pairs())
    official = [raw_scores(golds, output) for output, golds in found]
    for metric, column in ((ExactMatch(), 0), (TokenF1(), 1)):
        scores = [metric.score(output, example(*golds)) for output, golds in found]
        for score, row in zip(scores, official, strict=True):
            assert score.value == pytest.approx(100 * row[column], abs=1e-9)
        sums = [math.fsum(column) for column in zip(*(one.stats for one in scores), strict=True)]
        whole = metric.corpus(sums, len(scores), scores[0].corpus_signature)
        assert whole.value == pytest.approx(100 * math.fsum(row[column] for row in official) / len(official), abs=1e-9)
