"""What history keeps, finds again, and refuses."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from palaver.errors import NotFound, StoreError
from palaver.metric import Score
from palaver.model import Generation, GenerationConfig, Message
from palaver.store import Store, TurnStart, migrations, parse_filter
from palaver.store import sqlite as recipe


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "home" / "history.db") as opened:
        yield opened


def start(store: Store, *, text: str = "The cat sat.", **changes: object) -> TurnStart:
    fields: dict[str, object] = {
        "run_id": store.begin_run("chat"),
        "task": "translate",
        "model": "opus-mt-en-de",
        "model_ref": "marian:opus-mt-en-de",
        "inputs": {"text": text},
        "input_text": text,
    }
    return TurnStart(**(fields | changes))  # type: ignore[arg-type]


def answer(store: Store, output: str = "Die Katze saß.", *, status: str = "complete", **changes: Any) -> int:
    turn_id = store.begin_turn(start(store, **changes))
    store.finish_turn(turn_id, output=output, raw=output, status=status, generation=Generation(output, "stop"))
    return turn_id


def scorable(store: Store) -> int:
    turn_id = answer(store)
    store.add_references(turn_id, ["Die Katze sass."])
    return turn_id


def score(
    value: float | None, *, metric: str = "chrf", stats: tuple[float, ...] = (1.0, 2.0), error: str = ""
) -> Score:
    return Score(metric, "chrF", value, "sentence", stats=stats, corpus_signature="corpus", error=error)


def raw_connection(path: Path) -> recipe.Connection:
    return recipe.connect(path, write=True)


# -- a turn


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


# -- references and scores


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


# -- what people add, and take away


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


# -- odd values


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


# -- lists


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


# -- the file


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_history_is_for_its_owner_alone(store: Store) -> None:
    answer(store)
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in store.path.parent.iterdir()}
    assert modes == dict.fromkeys(("history.db", "history.db-wal", "history.db-shm"), 0o600)


def test_opening_an_up_to_date_history_imports_no_migration_tool(store: Store) -> None:
    script = (
        "import sys, pathlib; from palaver.store import Store; Store.open(pathlib.Path(sys.argv[1])).close(); "
        "print([m for m in ('sqlite_utils', 'numpy', 'click') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script, store.path], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_even_a_new_history_loads_no_numbers_library(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from palaver.store import Store; Store.open(pathlib.Path(sys.argv[1])).close(); "
        "print([m for m in ('numpy', 'pandas') if m in sys.modules]); import numpy"
    )
    new = tmp_path / "history.db"
    out = subprocess.run([sys.executable, "-c", script, new], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"  # and afterwards it can be imported as ever


def file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("in_wal", [False, True], ids=["settled", "still-in-wal"])
def test_a_newer_history_is_refused_and_left_as_it_is(tmp_path: Path, in_wal: bool) -> None:
    path = tmp_path / "history.db"
    with Store.open(path) as store:
        answer(store)
    db = raw_connection(path)
    db.execute("PRAGMA user_version=99")
    if not in_wal:
        db.close()
    before = file_hash(path)
    try:
        with pytest.raises(StoreError, match="newer Palaver") as caught:
            Store.open(path)
        assert caught.value.code == "history_newer"
        assert "upgrade" in caught.value.fix
        assert file_hash(path) == before
    finally:
        db.close()


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "logs.db"
    with closing(raw_connection(path)) as db:
        db.execute("CREATE TABLE responses (id)")
    before = file_hash(path)
    with pytest.raises(StoreError, match="another program"):
        Store.open(path)
    assert file_hash(path) == before


@pytest.mark.parametrize("damage", ["text", "truncated", "zeroed"])
def test_a_damaged_file_says_so_and_can_be_set_aside(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "history.db"
    with Store.open(path) as store:
        for _ in range(20):
            answer(store, "word " * 500)
    whole = path.read_bytes()
    broken = {"text": b"Dear diary,\n" * 100, "truncated": whole[: len(whole) // 2], "zeroed": bytes(len(whole))}[
        damage
    ]
    path.write_bytes(broken)
    with pytest.raises(StoreError, match="damaged") as caught:
        Store.open(path)
    assert "doctor" in caught.value.fix
    aside = Store.set_aside(path)
    assert aside.read_bytes() == broken
    assert aside.name.startswith("history.db.damaged-")
    with Store.open(path) as store:
        assert store.count() == 0


def test_a_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.raises(StoreError, match="history"):
        Store.open(blocker / "history.db")


# -- migrations


def test_the_version_counts_the_migrations() -> None:
    assert len(migrations.MIGRATIONS) == migrations.VERSION


def old_history(path: Path, stop_before: str) -> None:
    """A file as an earlier version left it, with one turn."""
    with closing(raw_connection(path)) as db:
        recipe.prepare_for_writing(db)
        with recipe.writing(db):
            migrations.apply(db, stop_before=stop_before)
        db.execute("INSERT INTO runs (kind, title, created) VALUES ('chat', '', 1.0)")
        empty = dict.fromkeys(
            ("language", "backend", "plugin", "plugin_version", "palaver_version", "model_digest"), ""
        )
        columns: dict[str, str | int | float] = {
            "run_id": 1, "created": 1.0, "touched": 1.0, "status": "complete", "task": "chat", "model": "m",
            "model_ref": "b:m", **empty, "pid": 1, "process_start": "", "boot_id": "", "options": "{}",
            "config": json.dumps({"temperature": 0.5, "from_the_past": 1}), "input_text": "hello there",
            "output": "Katzenklappe", "inputs": "{}", "prompt": "[]",
        }  # fmt: skip
        marks = ", ".join("?" * len(columns))
        db.execute(f"INSERT INTO turns ({', '.join(columns)}) VALUES ({marks})", tuple(columns.values()))


def schema(path: Path) -> list[tuple[str, str]]:
    with closing(raw_connection(path)) as db:
        rows = db.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%migrations%' ORDER BY name")
        return [(row["name"], row["sql"]) for row in rows.fetchall()]


@pytest.mark.parametrize("stop_before", [one.__name__ for one in migrations.MIGRATIONS[1:]])
def test_every_earlier_history_catches_up_and_is_backed_up_first(tmp_path: Path, stop_before: str) -> None:
    path, fresh = tmp_path / "history.db", tmp_path / "fresh.db"
    old_history(path, stop_before)
    Store.open(fresh).close()
    with Store.open(path) as store:
        assert [turn.output for turn in store.turns()] == ["Katzenklappe"]
        assert store.turn(1).config == GenerationConfig(temperature=0.5)
        for query in ("katzenklappe", "katz*", "*klappe*"):
            assert store.count(parse_filter(query)) == 1  # found by an index that the old file did not have
        assert store.check() == {"pages": "ok", "search": "ok"}
    assert schema(path) == schema(fresh)
    (backup,) = tmp_path.glob("history.db.before-*")
    with closing(raw_connection(backup)) as db:
        assert db.execute("SELECT output FROM turns").fetchone()[0] == "Katzenklappe"
        assert db.execute("PRAGMA user_version").fetchone()[0] < migrations.VERSION
    if os.name == "posix":
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_an_empty_file_becomes_a_history_without_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    path.touch()
    Store.open(path).close()
    assert [file.name for file in tmp_path.iterdir()] == ["history.db"]


def test_a_backup_is_whole_and_can_be_opened(store: Store, tmp_path: Path) -> None:
    turn_id = answer(store, "kept")
    copy = store.backup(tmp_path / "copy.db")
    with Store.open(copy) as other:
        assert other.turn(turn_id).output == "kept"
