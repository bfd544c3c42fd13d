"""History leaves as files that other programs read back without loss."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from palaver.errors import UsageError
from palaver.metric import Score
from palaver.model import Generation
from palaver.store import FORMATS, Store, TurnStart, export_turns

OUTPUTS = ["one\nline", '=1+1, "quoted"', "a\0b\u2028c ```fence```", ""]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "history.db") as opened:
        run_id = opened.begin_run("chat")
        for output in OUTPUTS:
            turn_id = opened.begin_turn(TurnStart(run_id, "qa", "m", "b:m", {"question": "?"}, "?"))
            opened.finish_turn(
                turn_id, output=output, raw=output, status="complete", generation=Generation(output, "stop")
            )
        opened.add_references(1, ["une\nligne", "eine"])
        opened.add_scores(1, [Score("chrf", "chrF", 41.5, "sig", stats=(1.0, 2.0), corpus_signature="csig")])
        opened.add_scores(2, [Score("chrf", "chrF", None, "sig", error="empty")])
        yield opened


def exported(store: Store, format: str) -> str:
    out = io.StringIO(newline="")
    assert export_turns(store.turns(), format, out) == len(OUTPUTS)
    return out.getvalue()


def test_jsonl_has_everything_and_one_turn_a_line(store: Store) -> None:
    rows = [json.loads(line) for line in exported(store, "jsonl").split("\n")[:-1]]
    assert [row["output"] for row in rows] == OUTPUTS
    first = rows[0]
    assert [one["text"] for one in first["references"]] == ["une\nligne", "eine"]
    assert first["scores"][0] | {"stats": None} == {
        "metric": "chrf", "title": "chrF", "value": 41.5, "signature": "sig", "n": 1, "stats": None,
        "corpus_signature": "csig", "error": "",
    }  # fmt: skip
    assert first["scores"][0]["stats"] == [1.0, 2.0]
    assert rows[1]["scores"][0]["value"] is None
    assert rows[1]["scores"][0]["error"] == "empty"


def test_csv_reads_back_true(store: Store) -> None:
    rows = list(csv.DictReader(io.StringIO(exported(store, "csv"), newline="")))
    assert [row["output"].replace("\ufffd", "\0") for row in rows] == OUTPUTS
    assert (rows[0]["metric"], rows[0]["score"], rows[0]["signature"]) == ("chrf", "41.5", "sig")
    assert rows[1]["score"] == ""  # unscored is empty, never 0
    assert json.loads(rows[0]["references"]) == ["une\nligne", "eine"]


def test_plain_text_has_one_line_an_output(store: Store) -> None:
    assert exported(store, "txt").split("\n") == ["one line", OUTPUTS[1], "a\0b c ```fence```", "", ""]


def test_markdown_fences_hold(store: Store) -> None:
    text = exported(store, "md")
    assert text.count("\n## #") + text.startswith("## #") == len(OUTPUTS)
    assert "````\na\0b" in text
    assert "- chrF 41.5 (`sig`)" in text
    assert "- chrF not scored: empty" in text


def test_nothing_exports_as_nothing(store: Store) -> None:
    for format in FORMATS:
        assert export_turns([], format, io.StringIO()) == 0
    with pytest.raises(UsageError, match="jsonl, csv, md, txt"):
        export_turns([], "docx", io.StringIO())
