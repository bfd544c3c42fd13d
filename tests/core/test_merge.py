"""Histories of several machines become one, and what is there already does not come twice."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from palaver.errors import BadInput, StoreError
from palaver.metric import Score
from palaver.model import Generation
from palaver.store import Answered, GoodOutput, Store, TurnStart, parse_filter


def filled(path: Path, name: str, count: int) -> Path:
    """A shard: an evaluation of `count` examples, each with a reference and a score of two statistics."""
    with Store.open(path) as store:
        run = store.begin_run("eval", f"shard {name}", plan={"task": "qa"})
        answers = [
            Answered(
                TurnStart(run, "qa", "m", "b:m", {"text": name}, f"{name} {n}", example_id=f"{name}{n}"),
                "complete",
                f"answer {name} {n}",
                f"answer {name} {n}",
                Generation("", "stop"),
                references=(GoodOutput("good"),),
                scores=(Score("chrf", "chrF", 1.0, "s", 1, (1.0, float(n)), "c"),),
            )
            for n in range(count)
        ]
        ids = store.add_answers(answers).result()
        first = int(ids[0] or 0)
        store.tag(first, "odd")
        store.vote(int(ids[1] or 0), [int(ids[-1] or 0)])
        store.replace_references(first, ["better"])
    return path


def test_shards_become_one_history_with_all_that_belongs_to_a_turn(tmp_path: Path) -> None:
    shards = [filled(tmp_path / f"{name}.db", name, 5) for name in ("one", "two")]
    with Store.open(tmp_path / "all.db") as store:
        own = store.begin_run("chat")
        store.begin_turn(TurnStart(own, "chat", "m", "b:m", {"text": "mine"}, "mine"))
        for shard in shards:
            found = store.merge(shard)
            assert (found.runs, found.turns, found.known) == (1, 5, 0)
        assert store.count() == 11
        # Of both shards the examples 1 to 4 are scored against the references of now: 2 times 1+2+3+4.
        assert store.corpus(parse_filter("task:qa"), "chrf") == [("c", (8.0, 20.0), 8)]
        tagged = store.page(parse_filter("tag:odd"))
        assert [store.turn(line.id).output for line in tagged] == ["answer two 0", "answer one 0"]
        assert [one.text for one in store.turn(tagged[0].id).references] == ["better"]
        assert [line.output_start for line in store.page(parse_filter('"two 3"'))] == ["answer two 3"]
        assert [(store.turn(one.winner).output, store.turn(one.loser).output) for one in store.votes()] == [
            ("answer two 1", "answer two 4"),
            ("answer one 1", "answer one 4"),
        ]
        assert store.check() == {"pages": "ok", "search": "ok"}


def test_a_shard_that_comes_again_brings_only_what_is_new(tmp_path: Path) -> None:
    shard = filled(tmp_path / "one.db", "one", 3)
    with Store.open(tmp_path / "all.db") as store:
        store.merge(shard)
        filled(shard, "later", 2)
        found = store.merge(shard)
        assert (found.runs, found.turns, found.known) == (1, 2, 1)
        assert store.count() == 5


def test_scores_of_either_file_are_found_and_named_after_a_merge(tmp_path: Path) -> None:
    def scored(path: Path, *metrics: str) -> Path:
        with Store.open(path) as store:
            run = store.begin_run("eval", path.name)
            start = TurnStart(run, "qa", "m", "b:m", {"text": "漢字"}, "漢字")
            scores = tuple(Score(one, one.upper(), 7.0, f"{one}-s", 1, (1.0,), f"{one}-c") for one in metrics)
            turn = Answered(start, "complete", "y", "y", Generation("", "stop"), scores=scores)
            store.add_answers([turn]).result()
        return path

    with Store.open(scored(tmp_path / "all.db", "bleu", "chrf")) as store:
        store.merge(scored(tmp_path / "other.db", "ter", "chrf"))
        assert [[one.metric for one in turn.scores] for turn in store.turns()] == [["bleu", "chrf"], ["ter", "chrf"]]
        assert store.ids(parse_filter("chrf>6")) == [2, 1]
        assert store.ids(parse_filter("ter=7")) == store.ids(parse_filter("ter=7 漢")) == [2]
        assert store.corpus(None, "chrf") == [("chrf-c", (2.0,), 2)]
        assert store.check() == {"pages": "ok", "search": "ok"}


def test_what_is_no_history_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as made:
        made.execute("CREATE TABLE t (x)")
    made.close()
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at" * 20)
    with Store.open(tmp_path / "all.db") as store:
        with pytest.raises(BadInput, match="no history of Palaver"):
            store.merge(other)
        with pytest.raises(StoreError, match="damaged"):
            store.merge(tmp_path / "text.db")
        with pytest.raises(BadInput, match="There is no file"):
            store.merge(tmp_path / "nowhere.db")
        assert store.count() == 0
