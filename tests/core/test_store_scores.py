"""Scores are added and never replaced; a corpus is their sum."""

from __future__ import annotations

import math
from contextlib import closing

from tests.core.written import answer, raw_connection, scorable, score, store

from palaver.metric import Score
from palaver.store import Store, parse_filter

__all__ = ["store"]


def test_references_add_up_and_supersede(store: Store) -> None:
    turn_id = answer(store)
    store.add_references(turn_id, ["a", "b", "a"])
    store.add_references(turn_id, ["b", "c"], origin="imported")
    assert [(one.text, one.origin) for one in store.turn(turn_id).references] == [
        ("a", "written"),
        ("b", "written"),
        ("c", "imported"),
    ]
    store.replace_references(turn_id, ["d"], origin="post-edit")
    assert [(one.text, one.origin) for one in store.turn(turn_id).references] == [("d", "post-edit")]
    with closing(raw_connection(store.path)) as db:
        rows = db.execute("SELECT text, superseded_by FROM refs ORDER BY id").fetchall()
        assert [(row["text"], row["superseded_by"]) for row in rows] == [("a", 4), ("b", 4), ("c", 4), ("d", None)]


def test_a_changed_reference_makes_a_new_score_and_keeps_the_old(store: Store) -> None:
    turn_id = answer(store)
    store.add_references(turn_id, ["one"])
    store.add_scores(turn_id, [score(40.0)])
    store.add_references(turn_id, ["two"])
    assert store.turn(turn_id).scores == ()  # nothing has been scored against both yet
    store.add_scores(turn_id, [score(55.0)])
    assert [one.value for one in store.turn(turn_id).scores] == [55.0]
    assert [one.value for _, _, one in store.all_scores(turn_id)] == [40.0, 55.0]
    store.replace_references(turn_id, ["one"])  # back to the first set: its score counts again
    assert [one.value for one in store.turn(turn_id).scores] == [40.0]


def test_scoring_twice_adds_nothing_and_an_error_can_be_followed_by_a_number(store: Store) -> None:
    turn_id = answer(store)
    store.add_scores(turn_id, [score(None, error="no tokenizer")])
    store.add_scores(turn_id, [score(None, error="no tokenizer")])
    store.add_scores(turn_id, [score(3.0)])
    store.add_scores(turn_id, [score(3.0)])
    assert len(store.all_scores(turn_id)) == 2
    assert [one.value for one in store.turn(turn_id).scores] == [3.0]


def test_the_main_score_is_the_first_in_the_tasks_order(store: Store) -> None:
    turn_id = scorable(store)
    scores = [Score(name, name.upper(), float(place), name) for place, name in enumerate(("ter", "bleu", "chrf"))]
    store.add_scores(turn_id, scores)
    assert list(store.turn(turn_id).scores) == scores
    line = store.page()[0]
    assert (line.main, line.second) == (("TER", 0.0), ("BLEU", 1.0))


def test_numbers_that_need_no_reference_are_kept_but_are_no_main_score(store: Store) -> None:
    turn_id = answer(store)
    store.add_scores(turn_id, [score(7.0, metric="length")])
    assert [one.value for one in store.turn(turn_id).scores] == [7.0]
    assert store.page()[0].main is None


def test_a_corpus_is_the_sum_over_complete_turns_only(store: Store) -> None:
    for status in ("complete", "truncated", "cancelled", "failed", "complete"):
        store.add_scores(answer(store, status=status), [score(50.0, stats=(0.1, 3.0))])
    # two complete turns of five: 0.1 + 0.1 and 3 + 3
    assert store.corpus(None, "chrf") == [("corpus", (0.2, 6.0), 2)]
    assert store.corpus(parse_filter("is:failed"), "chrf") == []
    assert store.corpus(None, "bleu") == []


def test_what_could_not_be_scored_is_in_no_corpus(store: Store) -> None:
    store.add_scores(scorable(store), [score(math.nan)])
    store.add_scores(scorable(store), [score(math.inf, metric="ter")])
    store.add_scores(scorable(store), [score(1.0, stats=(math.nan, 1.0))])
    assert store.corpus(None, "chrf") == []
    newest, *_, oldest = store.page()
    assert oldest.main == ("chrF", None)
    assert newest.main == ("chrF", 1.0)
    assert "nan" in store.turn(oldest.id).scores[0].error
