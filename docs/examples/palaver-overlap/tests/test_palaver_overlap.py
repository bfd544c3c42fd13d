"""The numbers can be counted by hand."""

from __future__ import annotations

import pytest
from palaver_overlap import Overlap

from palaver import Example


def score(output: str, *references: str) -> float | None:
    return Overlap().score(output, Example({"text": ""}, references)).value


def test_it_is_the_share_of_the_references_words() -> None:
    assert score("a storm", "a storm came late") == pytest.approx(2 / 4)


def test_the_reference_that_fits_best_counts() -> None:
    assert score("a storm", "snow fell", "a storm") == pytest.approx(1.0)


def test_what_cannot_be_scored_has_no_number() -> None:
    assert score("a storm") is None


def test_a_corpus_is_a_sum_of_counts() -> None:
    # 2 of 4 words and 1 of 1: together 3 of 5.
    assert Overlap().corpus((3, 5), 2, "s").value == pytest.approx(3 / 5)
