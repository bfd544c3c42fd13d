"""What `palaver models` and `palaver doctor` say of a home, and how they mend it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from tests.core.called import LEAD, TEXT, Palaver, asked, palaver

from palaver.store import Store

__all__ = ["asked", "palaver"]


def test_models_say_what_is_here_and_what_is_a_baseline(palaver: Palaver) -> None:
    out = palaver("models", "list").out
    states = {line.split()[0]: line for line in out.splitlines()}
    assert "↓ not downloaded" in states["smollm2"]
    assert "baseline" in states["lead-3"]
    told = {one["name"]: one for one in json.loads(palaver("models", "list", "--json").out)["models"]}
    assert told["smollm2"]["installed"] is False
    assert told["smollm2"]["files"][0]["sha256"]
    assert palaver("models", "info", "lead-4").code == 3


def test_a_baseline_needs_no_download(palaver: Palaver) -> None:
    assert "nothing to download" in palaver("models", "pull", "lead-3").out


def test_pulling_from_a_folder_without_the_file_is_bad_input(palaver: Palaver, tmp_path: Path) -> None:
    said = palaver("models", "pull", "smollm2", "--from", str(tmp_path))
    assert said.code == 4
    assert "neither" in said.err


def test_doctor_is_content_with_a_new_home_and_finds_what_is_wrong(palaver: Palaver, palaver_home: Path) -> None:
    assert palaver("doctor").code == 0
    palaver("summarize", TEXT, "-m", "lead-3")
    file = palaver_home / "history.db"
    file.chmod(0o644)
    said = palaver("doctor")
    assert said.code == 0
    assert f"chmod 600 {file}" in said.out
    (palaver_home / "config.toml").write_text('modle = "lead-3"\ntheme = "ledger-light"\n')
    assert "nothing reads 'modle' in" in palaver("doctor").out
    (palaver_home / "config.toml").write_text("model = ")
    told = json.loads(palaver("doctor", "--json").out)
    assert told["problems"] == 1
    assert [one["subject"] for one in told["findings"] if one["level"] == "problem"] == ["settings"]


def test_doctor_finds_a_damaged_history_and_sets_it_aside(palaver: Palaver, palaver_home: Path) -> None:
    file = palaver_home / "history.db"
    file.write_bytes(b"this was never a database " * 100)
    said = palaver("doctor")
    assert said.code == 1
    assert "palaver doctor --recover" in said.out
    assert palaver("doctor", "--recover").code == 0
    assert palaver("doctor").code == 0
    aside = next(palaver_home.glob("history.db.damaged-*"))
    assert aside.read_bytes().startswith(b"this was never")


def test_a_backup_is_a_history_too(asked: Palaver, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert asked("doctor", "--backup", str(copy)).code == 0
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with Store.open(copy) as store:
        assert store.turn(1).output == LEAD
    assert asked("doctor", "--backup", str(copy)).code == 4


def test_recover_leaves_a_good_history_alone(asked: Palaver, palaver_home: Path) -> None:
    assert asked("doctor", "--recover").code == 4
    assert not list(palaver_home.glob("*damaged*"))


@pytest.mark.parametrize(
    ("version", "has_it"),
    [
        ("3.6.23", False),
        ("3.7.0", True),
        ("3.40.1", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.53.4", False),
    ],
)
def test_the_sqlite_versions_that_can_damage_a_history(version: str, has_it: bool) -> None:
    from palaver.cli.findings import has_wal_bug

    assert has_wal_bug(version) is has_it
