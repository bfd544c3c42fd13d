"""Randomization tests, intervals and corrections give what can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from palaver.significance import (
    detectable,
    holm,
    interval,
    is_enumerable,
    more_examples,
    p_value,
    resampled,
    student_quantile,
    swapped,
)


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def column(*values: float) -> np.ndarray:
    return np.array(values, float)[:, None]


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        # +-1 +-2 +-4: of the 8 sums only 7 and -7 are as far from 0 as 7
        ((1, 2, 4), 2 / 8),
        # the 0 may swap or not, and two ones must agree: 4 of 8
        ((1, 1, 0), 4 / 8),
        ((0, 0, 0), 1),
        # 1 + 2 - 3 = 0 is the observed sum, and nothing is nearer to 0 than 0
        ((1, 2, -3), 1),
        # tenths do not sum exactly in binary, and still tie
        ((0.1, 0.2, 0.4), 2 / 8),
    ],
)
def test_three_examples_are_swapped_in_all_eight_ways(differences: tuple[float, ...], p: float) -> None:
    rows = column(*differences)
    moved = swapped(rows, 10_000, generator())
    assert len(moved) == 8
    shuffled = (rows.sum() - 2 * moved)[:, 0]  # what moves leaves one side and comes to the other
    assert p_value(sum(differences), shuffled, exact=True) == p


def test_all_ways_are_tried_where_they_are_no_more_than_the_trials() -> None:
    assert is_enumerable(13, 10_000)  # 2^13 = 8,192
    assert not is_enumerable(14, 10_000)
    assert not is_enumerable(10_000, 10_000)


def test_random_swaps_agree_with_all_swaps() -> None:
    rows = column(*generator(3).normal(0.4, 1, size=12))
    every = (rows.sum() - 2 * swapped(rows, 4096, generator()))[:, 0]
    some = (rows.sum() - 2 * swapped(rows, 4095, generator()))[:, 0]
    exact, estimated = p_value(rows.sum(), every, exact=True), p_value(rows.sum(), some, exact=False)
    # four standard errors of a share of 4,095 trials
    assert estimated == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 4095))


def test_the_observed_difference_counts_as_one_random_trial() -> None:
    assert p_value(5, np.array([1.0, -2, 3, -4]), exact=False) == 1 / 5
    assert p_value(-3, np.array([1.0, -2, 3, -4]), exact=False) == 3 / 5


def test_a_trial_without_a_value_counts_against_a_difference() -> None:
    assert p_value(5, np.array([1.0, math.nan]), exact=False) == 2 / 3


def test_each_example_moves_in_half_of_the_trials_alone() -> None:
    moved = swapped(np.eye(40), 10_000, generator())
    share = moved.mean(axis=0)
    assert set(np.unique(moved)) == {0, 1}
    assert np.abs(share - 0.5).max() < 5 * 0.5 / math.sqrt(10_000)
    together = np.corrcoef(moved.T) - np.eye(40)
    assert np.abs(together).max() < 5 / math.sqrt(10_000)


def test_a_resample_draws_as_many_examples_as_there_are() -> None:
    drawn = resampled(np.eye(30), 5_000, generator())
    assert (drawn.sum(axis=1) == 30).all()
    # a multinomial count: mean 1, variance 1 - 1/30
    assert drawn.mean(axis=0) == pytest.approx(np.ones(30), abs=0.08)
    assert drawn.var() == pytest.approx(1 - 1 / 30, abs=0.02)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(60.0).reshape(20, 3)
    # a multiple of the block: numpy reads the same bytes in the same order
    whole = swapped(rows, 300_000, generator())[:1000], resampled(rows, 1000, generator())
    monkeypatch.setattr("palaver.significance._BLOCK", 20 * 8)
    parts = swapped(rows, 300_000, generator())[:1000], resampled(rows, 1000, generator())
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one, other)


def test_the_interval_of_a_mean_is_students() -> None:
    sample = generator(5).normal(10, 2, size=12)
    means = resampled(sample[:, None], 200_000, generator())[:, 0] / 12
    low, high = interval(means, 12, 0.95)
    half = 2.201 * sample.std(ddof=1) / math.sqrt(12)  # t of 11 degrees of freedom
    assert high - low == pytest.approx(2 * half, rel=0.05)
    assert (low + high) / 2 == pytest.approx(sample.mean(), abs=0.15 * half)


def test_swapping_two_systems_mirrors_the_interval() -> None:
    values = generator().normal(1, 1, size=2001)
    low, high = interval(values, 50, 0.95)
    assert interval(-values, 50, 0.95) == (-high, -low)


@pytest.mark.parametrize(
    ("freedom", "table"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (10, 2.228), (120, 1.980)]
)
def test_students_quantiles_are_those_of_the_tables(freedom: int, table: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(table, rel=0.002)
    assert student_quantile(0.025, freedom) == pytest.approx(-table, rel=0.002)


def test_holm_corrects_the_textbook_example() -> None:
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04 which may not be less than the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.04]) == [0.04]
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def test_the_smallest_detectable_difference_is_2_8_standard_errors() -> None:
    assert detectable(1, 0.05, 0.8) == pytest.approx(1.959964 + 0.841621, abs=1e-5)


def test_half_the_difference_needs_four_times_the_examples() -> None:
    assert more_examples(1, 2, 100) == 300
    assert more_examples(-1, 2, 100) == 300
    assert more_examples(2, 2, 100) == 0
    assert more_examples(0, 2, 100) is None
    assert more_examples(0, 0, 100) == 0
    assert more_examples(1e-300, 2, 100) is None
    assert more_examples(1e-17, 1e-17, 100) == 0
