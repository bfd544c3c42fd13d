"""Comparing systems: only what all answered counts, chance is named, and a gate says when it cannot know."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import pytest

from palaver.aligned import Answer, Origin
from palaver.compare import compare
from palaver.comparison import Comparison, Pair, Settings, gate
from palaver.errors import UsageError
from palaver.example import Example
from palaver.metric import Metric, Score
from palaver_metrics import palaver_metrics

METRICS: dict[str, Metric] = {metric.name: metric for metric in palaver_metrics()}
WORDS = METRICS["length"]
"""A mean of plain numbers, so that expected values can be worked out."""
TEXT = str.split("a man in a red coat sits on an old wooden bench while two small dogs run past and bark at the sea")
SMALL = Settings(trials=999, resamples=499)


def counted(*values: float | None) -> dict[str, Answer]:
    """A system whose outputs have these lengths, None for an output that could not be scored."""
    return {f"{index:04}": Answer({"length": length(value)}, "r", length=index) for index, value in enumerate(values)}


def length(value: float | None, signature: str = "words|corpus:mean") -> Score:
    if value is None:
        return Score("length", "words", None, "words", error="no words")
    return Score("length", "words", value, "words", stats=(value,), corpus_signature=signature)


def noisy(dropped: float, seed: int, count: int = 60, names: Sequence[str] = ("bleu", "chrf", "rougeL", "ter")):
    """A system that repeats its references and leaves out a share of the words."""
    lines, rng = random.Random(0), random.Random(seed)
    answers: dict[str, Answer] = {}
    for index in range(count):
        reference = lines.sample(TEXT, lines.randint(6, 20))
        output = " ".join(word for word in reference if rng.random() > dropped)
        example = Example({}, (" ".join(reference),), language="en")
        scores = {name: METRICS[name].score(output, example) for name in names}
        answers[f"{index:04}"] = Answer(scores, f"set {index}", length=len(reference))
    return answers


def only_pair(systems: Mapping[str, Mapping[str, Answer]], settings: Settings = SMALL) -> Pair:
    ((pair,),) = (metric.pairs for metric in compare(systems, [WORDS], settings).metrics)
    return pair


def both(first: Sequence[float | None], second: Sequence[float | None]) -> dict[str, dict[str, Answer]]:
    return {"A": counted(*first), "B": counted(*second)}


def test_three_examples_by_hand() -> None:
    pair = only_pair(both((2, 4, 8), (1, 2, 4)))
    assert pair.difference == pytest.approx(14 / 3 - 7 / 3)
    # the differences 1, 2 and 4 sum to 7 or -7 in 2 of 8 ways
    assert (pair.p, pair.trials, pair.is_exact) == (0.25, 8, True)
    assert (pair.wins, pair.ties, pair.losses) == (3, 0, 0)
    assert pair.better == ""


def test_a_system_is_not_better_than_itself() -> None:
    one = noisy(0.2, seed=1)
    found = compare({"A": one, "B": one}, [METRICS[name] for name in ("bleu", "chrf", "ter", "rougeL")], SMALL)
    for metric in found.metrics:
        (pair,) = metric.pairs
        assert (pair.difference, pair.p, pair.better, pair.more_examples) == (0, 1, "", 0)
        assert pair.interval is not None
        assert (pair.interval.low, pair.interval.high) == (0, 0)
        assert (pair.wins, pair.ties, pair.losses) == (0, 60, 0)


def test_a_clear_difference_is_found_whichever_way_is_better() -> None:
    systems = {"good": noisy(0.05, seed=1), "bad": noisy(0.4, seed=2)}
    found = compare(systems, [METRICS[name] for name in ("bleu", "ter")], SMALL)
    bleu, ter = (found.pair(name, "good", "bad") for name in ("bleu", "ter"))
    assert bleu.difference > 0 > ter.difference
    assert bleu.better == ter.better == "good"
    assert bleu.p == ter.p == 1 / 1000  # no trial of 999 came near
    assert bleu.wins > bleu.losses
    assert ter.wins > ter.losses


def test_scores_are_the_metrics_own_with_their_signature() -> None:
    systems = {"A": noisy(0.1, seed=1), "B": noisy(0.2, seed=2)}
    for result in compare(systems, [METRICS["bleu"], METRICS["rougeL"]], SMALL).metrics:
        metric = METRICS[result.metric]
        for score in result.scores:
            stats = [answer.scores[metric.name].stats for answer in systems[score.system].values()]
            signature = systems["A"]["0000"].scores[metric.name].corpus_signature
            whole = metric.corpus([sum(column) for column in zip(*stats, strict=True)], 60, signature)
            assert score.value == pytest.approx(whole.value, abs=1e-9)
            assert result.signature == whole.signature
            assert score.interval is not None
            assert score.interval.low < score.value < score.interval.high


def test_swapping_the_systems_changes_only_the_sign() -> None:
    one, other = noisy(0.15, seed=1), noisy(0.2, seed=2)
    metrics = [METRICS["bleu"], METRICS["ter"]]
    forth, back = compare({"A": one, "B": other}, metrics), compare({"B": other, "A": one}, metrics)
    for name in ("bleu", "ter"):
        assert forth.pair(name, "A", "B") == back.pair(name, "A", "B")
        assert forth.pair(name, "B", "A").flipped() == forth.pair(name, "A", "B")
        assert forth.pair(name, "B", "A").difference == -forth.pair(name, "A", "B").difference


def test_the_seed_decides_and_nothing_else_does() -> None:
    systems = {"A": noisy(0.15, seed=1), "B": noisy(0.18, seed=2), "C": noisy(0.2, seed=3)}
    shuffled = {name: dict(reversed(answers.items())) for name, answers in systems.items()}
    metrics = [METRICS["bleu"], METRICS["chrf"]]
    all_three = compare(systems, metrics, SMALL)
    assert compare(shuffled, metrics, SMALL) == all_three
    alone = compare({name: systems[name] for name in ("A", "B")}, metrics[:1], SMALL)
    # other metrics and other systems beside it change only the correction and what follows from it
    with_others, without = (replace(found.pair("bleu", "A", "B"), p_holm=0, note="") for found in (all_three, alone))
    assert with_others == without
    another = compare(systems, metrics, replace(SMALL, seed=2))
    assert another.pair("bleu", "A", "B").p != all_three.pair("bleu", "A", "B").p


def test_three_systems_are_corrected_for_three_pairs() -> None:
    systems = {"A": noisy(0.1, seed=1), "B": noisy(0.17, seed=2), "C": noisy(0.4, seed=3)}
    (metric,) = compare(systems, [METRICS["chrf"]], SMALL).metrics
    assert [(pair.first, pair.second) for pair in metric.pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    # A and B differ from C as far as 999 trials can say, and the least of three counts three times
    assert metric.pairs[1].p_holm == pytest.approx(3 / 1000)
    assert metric.pairs[0].p_holm == pytest.approx(max(metric.pairs[0].p, 3 / 1000))


def test_what_does_not_count_is_counted() -> None:
    first, second = counted(*range(12)), counted(*range(12))
    del second["0000"]
    first["0001"] = replace(first["0001"], status="truncated")
    second["0002"] = replace(second["0002"], status="failed")
    second["0003"] = replace(second["0003"], references="changed")
    second["0004"] = Answer({"length": length(None)}, "r")
    second["0005"] = Answer({"length": length(6, "words|other")}, "r")
    second["0006"] = Answer({}, "r")
    for system in (first, second):
        system["0007"] = Answer({"length": length(8, "words|other")}, "r")
        system["0008"] = Answer({"length": Score("length", "words", 1, "words")}, "r")
    found = compare({"A": first, "B": second}, [WORDS], SMALL)
    assert {(one.reason, one.system, one.count) for one in found.dropped} == {
        ("not answered", "B", 1),
        ("truncated", "A", 1),
        ("failed", "B", 1),
        ("other references", "", 1),
    }
    (metric,) = found.metrics
    assert {(one.reason, one.system, one.count) for one in metric.dropped} == {
        ("no words", "B", 1),
        ("not scored", "B", 1),
        ("no statistics to sum", "A", 1),
        # 0005 where the systems differ, and 0007 which differs from the one that is left
        ("other signature", "", 2),
    }
    assert metric.n == 3
    assert found.n + sum(one.count for one in found.dropped) == 12
    assert metric.n + sum(one.count for one in metric.dropped) == found.n


def test_metrics_that_scored_different_examples_each_use_their_own() -> None:
    first, second = noisy(0.1, seed=1, count=20), noisy(0.2, seed=2, count=20)
    second["0003"] = replace(
        second["0003"], scores={**second["0003"].scores, "ter": Score("ter", "TER", None, "TER", error="skipped")}
    )
    found = compare({"A": first, "B": second}, [METRICS["bleu"], METRICS["ter"], METRICS["chrf"]], SMALL)
    assert [(one.metric, one.n) for one in found.metrics] == [("bleu", 20), ("ter", 19), ("chrf", 20)]
    assert [(one.reason, one.count) for one in found.metrics[1].dropped] == [("skipped", 1)]


@pytest.mark.parametrize("systems", [both((), ()), both((None,), (1,)), {"A": counted(1), "B": {}}])
def test_without_a_common_example_there_is_no_number(systems: Mapping[str, Mapping[str, Answer]]) -> None:
    found = compare(systems, [WORDS], SMALL)
    (metric,) = found.metrics
    assert (metric.n, metric.scores, metric.pairs) == (0, (), ())
    assert metric.error == "no example was scored for all systems"
    with pytest.raises(UsageError, match="cannot be compared: no example"):
        found.pair("length", "A", "B")


class Unsummable(type(WORDS)):
    """A metric that scores outputs and has nothing to say of all of them."""

    corpus_values = None

    def corpus(self, stats: Sequence[float], n: int, signature: str) -> Score:
        return Score("length", "words", None, signature, n=n, error="cannot be summed")


def test_a_metric_without_a_corpus_score_is_not_a_number() -> None:
    (metric,) = compare(both((1, 2, 3), (2, 3, 4)), [Unsummable()], SMALL).metrics
    assert (metric.scores, metric.pairs, metric.error) == ((), (), "it gives no corpus score")


def test_one_example_has_scores_and_no_interval() -> None:
    pair = only_pair(both((3,), (1,)))
    assert (pair.difference, pair.p, pair.interval, pair.smallest_detectable) == (2, 1, None, None)
    assert gate(pair, margin=5, minimum=1).decision == "inconclusive"


def test_one_system_is_not_compared() -> None:
    with pytest.raises(UsageError, match="at least two systems"):
        compare({"A": counted(1)}, [WORDS])


def test_an_interval_and_a_p_value_that_disagree_decide_nothing() -> None:
    # Five gains: the interval of 5 equal differences is a point beyond 0, but 2 of 2^5 ways are as far: p = 1/16
    pair = only_pair(both((2, 2, 2, 2, 2), (1, 1, 1, 1, 1)))
    assert pair.p == 2 / 32
    assert pair.interval is not None
    assert pair.interval.low == pair.interval.high == 1
    assert pair.better == ""
    assert pair.note == "the interval leaves out 0, but p=0.062 is over 0.05"


def test_length_buckets_hold_each_example_once_and_keep_equal_lengths_together() -> None:
    systems = {"A": noisy(0.1, seed=1), "B": noisy(0.2, seed=2)}
    found = compare(systems, [METRICS["bleu"]], SMALL)
    buckets = found.pair("bleu", "A", "B").buckets
    assert [bucket.label for bucket in buckets] == ["short", "middle", "long"]
    assert sum(bucket.n for bucket in buckets) == 60
    assert buckets[0].longest < buckets[1].shortest
    assert buckets[1].longest < buckets[2].shortest
    long = {key: one for key, one in systems["A"].items() if one.length >= buckets[2].shortest}
    alone = compare({"A": long, "B": {key: systems["B"][key] for key in long}}, [METRICS["bleu"]], SMALL)
    assert buckets[2].first == pytest.approx(alone.metrics[0].scores[0].value, abs=1e-9)
    assert buckets[2].second == pytest.approx(alone.metrics[0].scores[1].value, abs=1e-9)


def test_examples_of_one_length_make_no_buckets() -> None:
    same = {key: replace(one, length=7) for key, one in counted(1, 2, 3).items()}
    assert only_pair({"A": same, "B": same}).buckets == ()


def test_references_that_favour_a_system_are_named() -> None:
    edited, written = (Origin("post-edit", "A"),), (Origin("written"),)
    values = [float(value) for value in range(60)]
    first = {
        key: replace(one, origins=edited if index < 12 else written)
        for index, (key, one) in enumerate(counted(*values).items())
    }
    warnings = compare({"A": first, "B": counted(*values)}, [WORDS], SMALL).warnings
    assert warnings == (
        "References of 12 of 60 examples were made by editing answers of A: they favour A.",
        "References come from several origins (12 post-edit, 48 written): "
        "those added because an answer was bad are no random sample.",
    )


def test_an_edit_of_a_system_that_is_not_compared_favours_none() -> None:
    systems = {name: {k: replace(v, origins=(Origin("post-edit", "C"),)) for k, v in counted(*range(50)).items()}
               for name in "AB"}  # fmt: skip
    assert compare(systems, [WORDS], SMALL).warnings == ()


def test_unfinished_answers_and_small_sets_are_warned_of() -> None:
    first, second = counted(*range(10)), counted(*range(10))
    second["0003"] = replace(second["0003"], status="truncated")
    assert compare({"A": first, "B": second}, [WORDS], SMALL).warnings == (
        "Only 9 examples: intervals and p-values of so few are rough.",
        "1 answer of B is left out (truncated): if hard examples are among them, the comparison favours B.",
    )


EQUAL = [10.0] * 100
ONE_LESS = [9.0] * 100
UNSURE = [10.0, 6.0] * 50
"""2 less on average, with differences of 0 and -4: a standard error of 0.2, so bounds about 0.33 on each side."""


@pytest.mark.parametrize(
    ("candidate", "margin", "decision"),
    [
        (EQUAL, 0, "not_worse"),
        (ONE_LESS, 0.5, "regression"),
        (ONE_LESS, 0, "regression"),
        (ONE_LESS, 1.5, "not_worse"),
        (UNSURE, 2.5, "not_worse"),
        (UNSURE, 2.1, "inconclusive"),
        (UNSURE, 1.5, "regression"),
        (EQUAL[:49], 5, "inconclusive"),
    ],
)
def test_the_gate(candidate: list[float], margin: float, decision: str) -> None:
    pair = only_pair(both(candidate, EQUAL))
    assert gate(pair, margin=margin).decision == decision
    # where less is better the other system is the candidate that lost
    upside_down = replace(pair.flipped(), higher_is_better=False)
    assert gate(upside_down, margin=margin).decision == decision


def test_the_gate_says_its_numbers() -> None:
    pair = only_pair(both(ONE_LESS, EQUAL))
    assert gate(pair, margin=2).reason == "A loses at most 1.00 words against B, within the margin of 2 (n=100)."
    assert gate(pair, margin=0.5).reason == "A loses at least 1.00 words against B, beyond the margin of 0.5 (n=100)."
    few = only_pair(both(ONE_LESS[:10], EQUAL))
    assert gate(few, margin=2).reason == "10 examples are too few to decide; the least is 50."


@pytest.mark.parametrize("margin", [-1, float("nan"), float("inf")])
def test_a_margin_is_a_number_of_0_or_more(margin: float) -> None:
    with pytest.raises(UsageError, match="margin"):
        gate(only_pair(both((1, 2), (1, 2))), margin=margin)


def test_a_comparison_is_json() -> None:
    found: Comparison = compare({"A": noisy(0.1, seed=1), "B": noisy(0.2, seed=2)}, [METRICS["bleu"]], SMALL)
    read = json.loads(json.dumps(asdict(found), allow_nan=False))
    assert read["metrics"][0]["pairs"][0]["p"] == found.pair("bleu", "A", "B").p
    assert read["settings"] == {"trials": 999, "resamples": 499, "seed": 12345, "alpha": 0.05, "power": 0.8}


def test_a_pair_that_is_not_there_is_named() -> None:
    found = compare(both((1, 2), (1, 2)), [WORDS], SMALL)
    with pytest.raises(UsageError, match="no length of A and C"):
        found.pair("length", "A", "C")
