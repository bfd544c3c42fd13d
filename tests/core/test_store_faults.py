"""Many processes, kill -9 and a full disk: what was acknowledged is there, what was not is not half there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from palaver.errors import StoreError
from palaver.store import Store, TurnStart, migrations, process
from palaver.store import sqlite as recipe

pytestmark = [pytest.mark.fault, pytest.mark.skipif(os.name != "posix", reason="kills processes the POSIX way")]

SCRIPT = Path(__file__).with_name("store_process.py")


def launch(role: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), role, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def kill(child: subprocess.Popen[str]) -> list[str]:
    """kill -9, and what it had said until then, without a line that was cut."""
    child.kill()
    out, _ = child.communicate()
    return [line for line in out.splitlines(keepends=True) if line.endswith("\n")]


def is_whole(store: Store) -> bool:
    return store.check() == {"pages": "ok", "search": "ok"}


def test_eight_processes_write_and_every_turn_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    children = [launch("write", path) for _ in range(8)]
    told: list[str] = []
    for child in children:
        out, talk = child.communicate(timeout=300)
        assert (child.returncode, talk) == (0, "")
        told += out.splitlines()
    ids = {int(line.split()[0]) for line in told}
    assert len(told) == len(ids) == 8 * 200
    with Store.open(path) as store:
        assert set(store.ids()) == ids
        # Each said which of its questions the id was given for: no process got the id of another's turn.
        numbers = {line.id: line.input_start.split()[1] for line in store.lines(sorted(ids))}
        assert all(numbers[int(line.split()[0])] == line.split()[1] for line in told)
        assert is_whole(store)


@pytest.mark.parametrize("repetition", range(3))
def test_eight_processes_may_be_the_first(tmp_path: Path, repetition: int) -> None:
    path = tmp_path / "absent" / "history.db"
    children = [launch("visit", path) for _ in range(8)]
    for child in children:
        _, talk = child.communicate(timeout=120)
        assert (child.returncode, talk) == (0, "")
    with Store.open(path) as store:
        assert store.count() == 8
        assert is_whole(store)


def test_kill_9_keeps_every_acknowledged_turn(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    acknowledged: list[int] = []
    for lines in (1, 5, 12, 3, 20):
        child = launch("write_for_ever", path)
        assert child.stdout is not None
        acknowledged += [int(child.stdout.readline()) for _ in range(lines)]
        acknowledged += [int(line) for line in kill(child)]
        with Store.open(path) as store:
            assert is_whole(store)
            for turn_id in acknowledged:
                assert store.turn(turn_id).status == "complete"


def test_a_draft_survives_kill_9_and_the_next_start_says_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    child = launch("stream", path)
    assert child.stdout is not None
    turn_id = int(child.stdout.readline())
    with Store.open(path) as store:
        assert store.mark_orphans() == 0  # its process lives
        assert store.turn(turn_id).status == "running"
        kill(child)
        assert store.mark_orphans() == 1
        turn = store.turn(turn_id)
        assert (turn.status, turn.input_text) == ("interrupted", "tell me a story")
        assert turn.output == turn.raw == "Once upon a ti"
        assert turn.error
        assert store.mark_orphans() == 0
        assert is_whole(store)


def test_a_stopped_process_is_not_a_dead_one(tmp_path: Path) -> None:
    child = launch("stream", path := tmp_path / "history.db")
    assert child.stdout is not None
    child.stdout.readline()
    os.kill(child.pid, signal.SIGSTOP)
    with Store.open(path) as store:
        assert store.mark_orphans() == 0
    kill(child)


@pytest.mark.skipif(sys.platform != "linux", reason="start times are read from /proc")
def test_a_process_number_used_again_and_a_restart_are_told_apart() -> None:
    here = process.this_process()
    assert not process.is_gone(here, last_sign=0)
    assert process.is_gone(process.Owner(here.pid, "1", here.boot), last_sign=0)  # same number, started at another time
    host, boot, space = here.boot.split("/", 2)
    assert process.is_gone(process.Owner(here.pid, here.start, f"{host}/before/{space}"), last_sign=0)
    other_host = process.Owner(here.pid, here.start, f"elsewhere/{boot}/{space}")
    import time

    assert not process.is_gone(other_host, last_sign=time.time())
    assert process.is_gone(other_host, last_sign=time.time() - process.ABANDONED_SECONDS - 60)


MIGRATE = """
import os, pathlib, signal, sys
from palaver.store import Store, migrations
def die(db):
    db.execute("CREATE TABLE half_way (id)")
    os.kill(os.getpid(), signal.SIGKILL)
migrations.MIGRATIONS = (*migrations.MIGRATIONS[:int(sys.argv[2])], die)
Store.open(pathlib.Path(sys.argv[1]))
"""


@pytest.mark.parametrize("steps", [0, 1])
def test_kill_9_during_a_migration_leaves_the_old_file(tmp_path: Path, steps: int) -> None:
    path = tmp_path / "history.db"
    if steps:  # an older file that is to catch up, else an absent one
        with closing(recipe.connect(path, write=True)) as db:
            recipe.prepare_for_writing(db)
            with recipe.writing(db):
                migrations.apply(db, stop_before=migrations.MIGRATIONS[steps].__name__)
    died = subprocess.run([sys.executable, "-c", MIGRATE, path, str(steps)], check=False)
    assert died.returncode == -signal.SIGKILL
    with closing(recipe.connect(path, write=True)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == steps
        assert db.execute("SELECT 1 FROM sqlite_master WHERE name = 'half_way'").fetchone() is None
    with Store.open(path) as store:
        assert store.count() == 0
        assert is_whole(store)


def test_a_full_disk_is_explained_and_writing_goes_on_once_there_is_space(tmp_path: Path) -> None:
    with Store.open(tmp_path / "history.db") as store:
        run_id = store.begin_run("chat")

        def limit(pages: str) -> None:
            # SQLite's own limit on the file raises the very error of a full disk.
            store._writer.submit(lambda db: db.execute(f"PRAGMA max_page_count={pages}"), alone=True).result()

        def ask(text: str) -> int:
            return store.begin_turn(TurnStart(run_id, "chat", "m", "b:m", {"text": text}, text))

        kept = ask("before")
        limit("1")  # no smaller than the file is now: it may not grow
        with pytest.raises(StoreError, match="disk is full") as caught:
            for _ in range(50):
                ask("z" * 20_000)
        assert caught.value.fix
        assert store.turn(kept).input_text == "before"
        limit("1000000")
        assert store.turn(ask("after")).input_text == "after"
        assert is_whole(store)
