"""What `palaver history` lists, shows, exports and changes."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from tests.core.called import LEAD, TEXT, Palaver, asked, palaver, store

from palaver.store import Store

__all__ = ["asked", "palaver", "store"]


def test_the_list_has_the_newest_first_within_eighty_columns(asked: Palaver) -> None:
    lines = asked("history", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "3", "2", "1"]
    assert "! failed: There is no model named" in lines[1]
    assert "R-1 100.0" in lines[3]
    assert max(map(len, lines)) <= 80


def test_filters_and_searches_narrow_the_list(asked: Palaver) -> None:
    def ids(*arguments: str) -> list[int]:
        return [turn["id"] for turn in json.loads(asked("history", *arguments, "--json").out)["turns"]]

    assert ids("list", "task:translate") == [3, 2]
    assert ids("list", "is:failed") == [3]
    assert ids("list", "rouge1>0.9") == [1]
    assert ids("search", "Three", "birds") == [1]
    assert ids("search", "is:failed") == []
    assert ids("list", "--limit", "1") == [3]


def test_a_filter_that_cannot_be_is_a_usage_error(asked: Palaver) -> None:
    assert asked("history", "list", "is:faild").code == 2


def test_show_has_everything(asked: Palaver) -> None:
    out = asked("history", "show", "#1").out
    for wanted in (
        "lead-3",
        TEXT,
        LEAD,
        "length=3",
        "temperature=0.0",
        "ROUGE-1|",
        "reference (written)",
        "sent as user",
    ):
        assert wanted in out


def test_export_writes_a_private_file_once(asked: Palaver, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    assert asked("history", "export", "is:complete", "-o", str(target)).code == 0
    assert [json.loads(line)["id"] for line in target.read_text("utf-8").splitlines()] == [1, 2]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.write_text("mine")
    assert asked("history", "export", "-o", str(target)).code == 4
    assert target.read_text() == "mine"
    assert asked("history", "export", "-o", str(target), "--force").code == 0
    assert len(target.read_text("utf-8").splitlines()) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_export_to_stdout(asked: Palaver) -> None:
    assert asked("history", "export", "is:complete", "--format", "txt").out == f"{LEAD}\n日本の犬が走る\n"
    said = asked("history", "export", "--format", "xml")
    assert said.code == 3  # a plugin could have it
    assert "fix: palaver history export --help" in said.err


def test_a_turn_can_be_rated_noted_referenced_and_deleted(asked: Palaver, store: Store) -> None:
    assert asked("history", "rate", "2", "4").code == 0
    assert asked("history", "note", "2", "nicht übersetzt").code == 0
    assert asked("history", "ref", "2", "日本の犬が走る").out.startswith("BLEU 100.0  chrF 100.0  TER 0.0  n=1")
    turn = store.turn(2)
    assert (turn.rating, turn.note, turn.references[0].text) == (4, "nicht übersetzt", "日本の犬が走る")
    assert asked("history", "delete", "2").code == 2
    assert asked("history", "delete", "2", "99", "--yes").code == 3
    assert asked("history", "delete", "2", "--yes").code == 0
    assert [line.id for line in store.page()] == [3, 1]


def test_votes_are_listed_with_whose_answers_they_are_on(palaver: Palaver, store: Store) -> None:
    for model in ("lead-3", "lexrank"):
        palaver("summarize", TEXT, "-m", model)
    assert "No votes yet" in palaver("history", "votes").err
    store.vote(2, [1])
    store.vote(1, [2], is_tie=True, is_blind=False)
    tie, win = palaver("history", "votes").out.splitlines()[1:]
    assert win.split() == [*win.split()[:2], "lexrank", "#2", "better", "than", "lead-3", "#1", "blind"]
    assert "as good as" in tie and "names seen" in tie
    found = json.loads(palaver("history", "votes", "lead-3", "lexrank", "--json").out)
    assert [vote["winner_model"] for vote in found["votes"]] == ["lead-3", "lexrank"]
    assert palaver("history", "votes", "copy").out == ""
