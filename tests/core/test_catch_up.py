"""A history as the version before wrote it: its words are found, its scores mean what they meant."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from palaver.store import Store, migrations, parse_filter, telling
from palaver.store import sqlite as recipe

BEFORE = "m006_find_words"
"""Until here words were found by trigrams, and every score carried its signature."""


def old_history(path: Path) -> None:
    """Four turns; the first was scored against two sets of references, twice against the one of now."""
    with closing(recipe.connect(path, write=True)) as db:
        recipe.prepare_for_writing(db)
        with recipe.writing(db):
            migrations.apply(db, stop_before=BEFORE)
        db.execute("INSERT INTO runs (kind, title, created) VALUES ('chat', '', 1.0)")
        turns = [
            ("complete", "The cat", "Die Katze", "now", "r2"),
            ("complete", "漢字テスト", "e\u0301te\u0301", "", ""),
            ("running", "still", "", "", ""),
            ("failed", "The dog", "", "now", "r2"),
        ]
        for status, text, output, reference, name in turns:
            db.execute(
                "INSERT INTO turns (run_id, created, touched, status, task, model, model_ref, reference_set, language, "
                "backend, plugin, plugin_version, palaver_version, model_digest, pid, process_start, boot_id, options, "
                "config, output, input_text, reference_text, inputs, prompt) VALUES (1, 1, 1, ?, 'qa', 'm', 'b:m', ?, "
                "'', '', '', '', '', '', 1, '', '', '{}', 'null', ?, ?, ?, '{}', '[]')",
                (status, name, output, text, reference),
            )
        scores = [
            (1, "r1", "chrf", 10.0, 0, "s", "[1.0,2.0]", "c", ""),
            (1, "r2", "chrf", None, 0, "s", "[]", "", "no tokenizer"),
            (1, "r2", "chrf", 20.0, 0, "s", "[3.0,0.5]", "c", ""),
            (1, "r2", "bleu", 30.0, 1, "b", "[4.0]", "d", ""),
            (2, "", "length", 5.0, 0, "l", "[]", "", ""),
            (4, "r2", "chrf", 99.0, 0, "s", "[7.0,7.0]", "c", ""),
        ]
        for turn_id, name, metric, value, position, signature, stats, corpus, error in scores:
            db.execute(
                "INSERT INTO scores (turn_id, reference_set, metric, value, position, title, signature, n, stats, "
                "corpus_signature, error, output_hash, created) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, 'h', 2.0)",
                (turn_id, name, metric, value, position, metric.upper(), signature, stats, corpus, error),
            )


def test_all_that_an_older_history_has_is_found_in_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    old_history(path)
    told: list[str] = []
    with telling(told.append), Store.open(path) as store:
        assert store.ids(parse_filter("cat")) == store.ids(parse_filter('"die katze"')) == [1]
        assert store.ids(parse_filter("漢字")) == store.ids(parse_filter("ete")) == [2]
        assert store.ids(parse_filter("dog")) == [4]
        assert store.ids(parse_filter("still")) == []  # enters the index when it is finished, as ever
        assert [(one.metric, one.value, one.stats) for one in store.turn(1).scores] == [
            ("chrf", 20.0, (3, 0.5)),
            ("bleu", 30.0, (4,)),
        ]
        assert [(name, one.value, one.error) for name, _, one in store.all_scores(1)] == [
            ("r1", 10.0, ""),
            ("r2", None, "no tokenizer"),
            ("r2", 20.0, ""),
            ("r2", 30.0, ""),
        ]
        assert store.corpus(None, "chrf") == [("c", (3.0, 0.5), 1)]
        assert store.ids(parse_filter("chrf>15")) == [4, 1]
        assert store.ids(parse_filter("chrf<15")) == []
        assert store.mark_orphans() == 1
        assert store.ids(parse_filter("still")) == [3]
        assert store.check() == {"pages": "ok", "search": "ok"}
    assert ".before-v" in told[0]
    told.clear()
    with telling(told.append):
        Store.open(path).close()
        Store.open(tmp_path / "new.db").close()
    assert told == []  # once, and never of a new file
