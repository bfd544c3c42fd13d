"""The history file: who may read it, which are refused, how old and damaged ones are mended."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.core.written import answer, raw_connection, store

from palaver.errors import StoreError
from palaver.model import GenerationConfig
from palaver.store import Store, migrations, parse_filter
from palaver.store import sqlite as recipe

__all__ = ["store"]


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
