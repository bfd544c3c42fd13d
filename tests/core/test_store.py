"""What history keeps of a turn, finds again and lists."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from tests.core.written import answer, raw_connection, score, start, store

from palaver.errors import NotFound, StoreError
from palaver.model import Generation, GenerationConfig, Message
from palaver.store import Store, parse_filter
from palaver.store import sqlite as recipe

__all__ = ["store"]


def test_a_turn_comes_back_as_it_went_in(store: Store) -> None:
    config = GenerationConfig(max_new_tokens=7, temperature=0.5, seed=2**70, stop=("\n", "end"))
    prompt = (Message("system", "Translate."), Message("user", "Hi"))
    asked = start(
        store, text="Hi", options={"target": "de"}, prompt=prompt, config=config, language="de", model_digest="abc",
        backend="marian", plugin="palaver-marian", plugin_version="0.3",
    )  # fmt: skip
    turn_id = store.begin_turn(asked)
    generation = Generation("raw Hallo", "stop", prompt_tokens=3, output_tokens=2, first_token_seconds=0.1, seconds=0.4)
    store.finish_turn(turn_id, output="Hallo", raw="raw Hallo", status="complete", generation=generation)
    turn = store.turn(turn_id)
    for name in ("run_id", "task", "model", "model_ref", "model_digest", "backend", "plugin", "plugin_version"):
        assert getattr(turn, name) == getattr(asked, name)
    assert (turn.options, turn.config, turn.prompt, turn.inputs) == ({"target": "de"}, config, prompt, {"text": "Hi"})
    assert (turn.output, turn.raw, turn.status, turn.finish_reason) == ("Hallo", "raw Hallo", "complete", "stop")
    assert (turn.prompt_tokens, turn.output_tokens, turn.first_token_seconds, turn.seconds) == (3, 2, 0.1, 0.4)
    assert turn.palaver_version
    assert turn.language == "de"


def test_a_question_is_on_record_before_its_answer(store: Store) -> None:
    turn_id = store.begin_turn(start(store))
    assert store.turn(turn_id).status == "running"
    store.draft(turn_id, "Die Kat").result()
    assert store.turn(turn_id).output == "Die Kat"
    assert store.page()[0].output_start == "Die Kat"


def test_a_late_draft_does_not_touch_a_finished_turn(store: Store) -> None:
    turn_id = answer(store, "whole")
    store.draft(turn_id, "who").result()
    assert store.turn(turn_id).raw == "whole"


def test_a_turn_that_is_not_there_is_not_found(store: Store) -> None:
    for ask in (
        lambda: store.turn(99),
        lambda: store.add_references(99, ["x"]),
        lambda: store.add_scores(99, []),
        lambda: store.rate(99, 3),
        lambda: answer(store, parent_id=99),
    ):
        with pytest.raises(NotFound, match="#99") as caught:
            ask()
        assert caught.value.exit_code == 3


def test_ids_grow_and_are_never_used_again(store: Store) -> None:
    first, second = answer(store), answer(store)
    store.delete([second])
    assert first < second < answer(store)


def test_many_threads_read_and_write_at_once(store: Store) -> None:
    def work(number: int) -> str:
        turn_id = answer(store, f"answer {number}")
        return store.turn(turn_id).output

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(64))) == [f"answer {number}" for number in range(64)]
    assert store.count() == 64


def test_one_refused_write_costs_the_others_nothing(store: Store) -> None:
    turn_id = answer(store)
    futures = [store._writer.submit(lambda db: db.execute("INSERT INTO nowhere VALUES (1)")) for _ in range(3)]
    drafts = [store.draft(turn_id, "x") for _ in range(3)]
    for future in futures:
        with pytest.raises(StoreError, match="nowhere"):
            future.result()
    assert [draft.result() for draft in drafts] == [None] * 3
    store.rate(turn_id, 4)
    assert store.turn(turn_id).rating == 4


def test_a_closed_history_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.begin_run("chat")
    with pytest.raises(StoreError, match="closed"):
        store.page()


def test_ratings_notes_and_tags_can_be_set_and_taken_back(store: Store) -> None:
    turn_id = answer(store)
    store.rate(turn_id, 5)
    store.note(turn_id, "good rhythm")
    store.tag(turn_id, "good", "poem", "Good")
    turn = store.turn(turn_id)
    assert (turn.rating, turn.note, turn.tags) == (5, "good rhythm", ("good", "poem"))
    store.rate(turn_id, None)
    store.untag(turn_id, "poem")
    assert (store.turn(turn_id).rating, store.turn(turn_id).tags) == (None, ("good",))
    with pytest.raises(ValueError, match="1 to 5"):
        store.rate(turn_id, 6)


def test_a_deleted_text_is_gone_from_the_file(store: Store) -> None:
    secret = "unforgettable-" + "Zq7" * 9
    turn_id, kept = answer(store, secret, text=secret), answer(store)
    fork = answer(store, parent_id=turn_id)
    store.add_references(turn_id, [secret])
    store.add_scores(turn_id, [score(1.0)])
    store.note(turn_id, secret)
    store.tag(turn_id, secret)
    assert store.count(parse_filter(secret)) == 1
    assert store.delete([turn_id, 12345]) == 1
    assert store.count(parse_filter(secret)) == 0
    assert store.turn(fork).parent_id is None
    assert store.check() == {"pages": "ok", "search": "ok"}
    store.vacuum()
    for file in store.path.parent.iterdir():
        assert secret.encode() not in file.read_bytes()
    assert store.turn(kept).output


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\0b",
        "😀👩‍👩‍👧",
        "مرحبا \u202ebidi",
        "漢字テスト",
        "\x1b]52;c;aGk=\x07",
        "e\u0301 é",
        "x" * 10_000_000,
        "\r\n\u2028",
    ],
    ids=["empty", "nul", "emoji", "rtl", "cjk", "escape", "combining", "10MB", "newlines"],
)
def test_text_is_kept_byte_for_byte(store: Store, text: str) -> None:
    turn_id = answer(store, text, text=text)
    store.add_references(turn_id, [text])
    store.note(turn_id, text)
    turn = store.turn(turn_id)
    assert (turn.output, turn.input_text, turn.inputs["text"], turn.references[0].text, turn.note) == (text,) * 5
    assert len(store.page()) == 1


def test_a_lone_surrogate_becomes_the_replacement_character(store: Store) -> None:
    turn_id = answer(store, "a\ud800b", text="c\udfff", options={"x": "\ud801"})
    store.draft(store.begin_turn(start(store)), "\ud800").result()
    turn = store.turn(turn_id)
    assert (turn.output, turn.inputs["text"], turn.options["x"]) == ("a\ufffdb", "c\ufffd", "\ufffd")
    paired = answer(store, "\ud83d\ude00")
    assert store.turn(paired).output == "😀"


def test_numbers_that_are_none_are_null(store: Store) -> None:
    turn_id = store.begin_turn(start(store, options={"x": math.nan, "y": [math.inf]}))
    generation = Generation("x", "stop", first_token_seconds=math.nan, seconds=math.inf)
    store.finish_turn(turn_id, output="x", raw="x", status="complete", generation=generation)
    turn = store.turn(turn_id)
    assert (turn.first_token_seconds, turn.seconds, turn.options) == (None, None, {"x": None, "y": [None]})


def test_a_numpy_number_is_stored_as_a_number(store: Store) -> None:
    numpy = pytest.importorskip("numpy")
    turn_id = answer(store)
    store.add_scores(turn_id, [score(numpy.float32(0.5), stats=(numpy.int64(3), numpy.float32(0.25)))])
    found = store.turn(turn_id).scores[0]
    assert (found.value, found.stats) == (0.5, (3, 0.25))


def test_pages_cover_ten_thousand_rows_without_gap_or_repeat(store: Store) -> None:
    run_id = store.begin_run("eval")
    one = start(store, run_id=run_id)

    def fill(db: recipe.Connection) -> None:
        from palaver.store import process, writes

        for _ in range(10_000):
            writes.begin_turn(db, one, process.Owner(1, "", ""), "0")

    store._writer.submit(fill).result()
    seen: list[int] = []
    while page := store.page(before=seen[-1] if seen else None, limit=500):
        seen += [line.id for line in page]
    assert seen == store.ids() == list(range(10_000, 0, -1))
    assert [line.id for line in store.page(after=5000, limit=3)] == [5003, 5002, 5001]
    assert store.ids_at(offset=9_990, limit=20) == list(range(10, 0, -1))
    assert store.position(9_000) == 1000
    assert (store.count(), store.count(limit=50)) == (10_000, 50)
    assert [line.id for line in store.lines([7, 99_999, 3])] == [7, 3]
    assert sum(1 for _ in store.turns(parse_filter("id<=450"))) == 450


def test_a_run_lists_its_turns_in_order(store: Store) -> None:
    run_id = store.begin_run("eval", "newstest")
    made = [answer(store, run_id=run_id) for _ in range(3)]
    assert [turn.id for turn in store.run_turns(run_id)] == made
    run = next(run for run in store.runs() if run.id == run_id)
    assert (run.kind, run.title, run.turns) == ("eval", "newstest", 3)


def test_an_abandoned_scroll_keeps_no_journal_alive(store: Store) -> None:
    for _ in range(5):
        answer(store)
    scroll = store.turns()
    next(scroll)
    with closing(raw_connection(store.path)) as db:
        busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0  # an open cursor would have kept the WAL from being emptied
