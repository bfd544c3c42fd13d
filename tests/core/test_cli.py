"""The command line in one process: what a task prints, where, and with which exit code."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest
from tests.core.called import LEAD, TEXT, Palaver, palaver, store

from palaver.store import Store

__all__ = ["palaver", "store"]


def test_the_answer_is_on_stdout_and_the_talk_on_stderr(palaver: Palaver) -> None:
    said = palaver("summarize", TEXT, "-m", "lead-3")
    assert (said.code, said.out) == (0, LEAD + "\n")
    assert said.err.startswith("lead-3 · ")
    assert said.err.endswith(" · #1\n")


def test_quiet_leaves_stderr_empty(palaver: Palaver) -> None:
    assert palaver("summarize", TEXT, "-m", "lead-3", "--quiet").err == ""


def test_stdin_is_the_input_that_is_missing_or_a_dash(palaver: Palaver) -> None:
    assert palaver("summarize", "-m", "lead-3", given=TEXT.encode()).out == LEAD + "\n"
    assert palaver("summarize", "-", "-m", "lead-3", given=TEXT.encode()).out == LEAD + "\n"
    answer = palaver("qa", "-", "Who ran?", "-m", "bm25", given=TEXT.encode()).out
    assert answer == "Two dogs ran.\n"


def test_text_from_stdin_is_not_searched_for_files(palaver: Palaver, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden")
    assert palaver("translate", "de", "-m", "copy", given=f"see @{secret}".encode()).out == f"see @{secret}\n"
    assert palaver("translate", "de", "-m", "copy", given=f"@{secret}".encode()).out == f"@{secret}\n"


def test_a_file_is_read_and_a_reference_from_a_file_too(palaver: Palaver, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("the cat sat on the mat today", "utf-8")
    said = palaver("translate", "de", f"@{tmp_path}/in.txt", "-r", f"@{tmp_path}/in.txt", "-m", "copy")
    # Output and reference are equal: BLEU and chrF are at their best, TER counts no edits.
    assert "BLEU 100.0  chrF 100.0  TER 0.0  n=1" in said.err


def test_scores_stand_beside_those_of_the_baseline(palaver: Palaver) -> None:
    # lexrank answers, lead-3 is the baseline of summarize.
    said = palaver("summarize", TEXT, "-m", "lexrank", "-r", LEAD)
    assert "baseline lead-3 R-1 100.0" in said.err


def test_named_metrics_replace_those_of_the_task(palaver: Palaver, store: Store) -> None:
    said = palaver("translate", "de", "a b c d", "-m", "copy", "-r", "a b c d", "--metric", "ter,chrf")
    assert "TER 0.0  chrF 100.0  n=1" in said.err
    assert [score.metric for score in store.turn(1).scores] == ["ter", "chrf"]


def test_a_named_metric_that_has_nothing_to_compare_with_says_so(palaver: Palaver) -> None:
    said = palaver("translate", "de", "a b c d", "-m", "copy", "--metric", "ter,bleu")
    assert "TER, BLEU: no score without a reference; --ref TEXT, or now: palaver history ref 1 TEXT" in said.err
    assert "no score" not in palaver("translate", "de", "a b c d", "-m", "copy").err


def test_json_is_one_object_with_scores_on_their_own_scale_and_signatures(palaver: Palaver) -> None:
    said = palaver("summarize", TEXT, "-m", "lead-3", "-r", LEAD, "--json", "--seed", "5")
    run = json.loads(said.out)
    assert said.out.count("\n") == 1
    assert (run["schema"], run["id"], run["task"], run["model"]) == ("palaver.run/1", 1, "summarize", "lead-3")
    assert (run["output"], run["status"], run["seed"], run["references"]) == (LEAD, "complete", 5, [LEAD])
    first = run["scores"][0]
    assert (first["name"], first["metric"], first["value"], first["ci"], first["n"]) == ("R-1", "rouge1", 1.0, None, 1)
    assert first["signature"].startswith("ROUGE-1|")
    assert {"timing", "warnings", "model_digest", "finish_reason"} <= run.keys()


def test_json_escapes_what_a_terminal_would_obey_and_loses_nothing(palaver: Palaver) -> None:
    text = "red \x1b[31m bidi \u202e del \x7f"
    said = palaver("translate", "de", text, "-m", "copy", "--json")
    assert json.loads(said.out)["output"] == text
    assert not any(char in said.out for char in "\x1b\u202e\x7f")


EXITS = {
    "done": (0, ["summarize", TEXT, "-m", "lead-3"]),
    "no such option": (2, ["summarize", TEXT, "--lenght", "3"]),
    "a value that an option cannot have": (2, ["summarize", TEXT, "-o", "length=0", "-m", "lead-3"]),
    "an option without a value": (2, ["summarize", TEXT, "-o", "length", "-m", "lead-3"]),
    "too many words": (2, ["summarize", "no", "quotes", "-m", "lead-3"]),
    "a missing option": (2, ["translate", "-m", "copy"]),
    "no such command": (3, ["nonsense"]),
    "no such task": (3, ["sumarize", TEXT]),
    "no such task to run": (3, ["run", "sumarize", TEXT]),
    "no such model": (3, ["summarize", TEXT, "-m", "led-3"]),
    "no such metric": (3, ["summarize", TEXT, "-m", "lead-3", "--metric", "bleurt"]),
    "no such turn": (3, ["history", "show", "99"]),
    "nothing on stdin": (4, ["summarize", "-m", "lead-3"]),
    "an empty text": (4, ["summarize", " ", "-m", "lead-3"]),
    "no such file": (4, ["summarize", "@/nowhere/at/all", "-m", "lead-3"]),
    "an empty reference": (4, ["summarize", TEXT, "-m", "lead-3", "-r", ""]),
    "a model that cannot do the task": (4, ["translate", "de", TEXT, "-m", "lead-3"]),
    "a model to download": (7, ["generate", "Hello", "-m", "smollm2"]),
    "no such option of a command": (2, ["history", "list", "--lmit", "3"]),
    "no number": (2, ["history", "show", "twelve"]),
    "no terminal for the terminal UI": (2, []),
}


@pytest.mark.parametrize("case", EXITS)
def test_exit_codes(palaver: Palaver, case: str) -> None:
    code, arguments = EXITS[case]
    said = palaver(*arguments)
    assert said.code == code, said.err
    if code:
        assert said.out == ""
        assert said.err.startswith("palaver: " if arguments else "Usage: ")
        assert "Traceback" not in said.err


FAILED = [
    name for name, (code, arguments) in EXITS.items() if code and len(arguments) > 1 and arguments[0] != "history"
]


@pytest.mark.parametrize("case", FAILED)
def test_what_could_not_be_asked_is_a_failed_turn(palaver: Palaver, store: Store, case: str) -> None:
    palaver(*EXITS[case][1])
    assert [line.status for line in store.page()] == ["failed"]


def test_errors_can_be_json_on_stderr(palaver: Palaver) -> None:
    said = palaver("summarize", TEXT, "-m", "led-3", "--json")
    error = json.loads(said.err)
    assert said.out == ""
    assert error["schema"] == "palaver.error/1"
    assert error["code"] == "model_not_found"
    assert "Did you mean 'lead-3'" in error["message"]
    assert error["fix"] == "palaver models list"


def test_stdin_that_is_not_utf8_is_refused_with_the_place(palaver: Palaver) -> None:
    said = palaver("summarize", "-m", "lead-3", given=b"caf\xe9")
    assert said.code == 4
    assert "byte 3 is 0xe9" in said.err
    assert "iconv" in said.err


def test_lines_keep_their_order_one_output_line_each(palaver: Palaver, tmp_path: Path) -> None:
    given = "eins\nzwei drei\nvier\n"
    said = palaver("translate", "de", "--lines", "-m", "copy", given=given.encode())
    assert (said.code, said.out) == (0, given)


def test_a_failed_line_keeps_its_place_and_the_exit_code_says_so(palaver: Palaver) -> None:
    said = palaver("translate", "de", "--lines", "-m", "copy", given=b"eins\n\ndrei\n")
    assert (said.code, said.out) == (5, "eins\n\ndrei\n")
    assert "palaver: Line 2: " in said.err
    assert "3 lines · 1 failed" in said.err


def test_lines_are_scored_as_one_corpus(palaver: Palaver, tmp_path: Path) -> None:
    (tmp_path / "refs").write_text("a b c d\nx y z w\n", "utf-8")
    said = palaver(
        "translate",
        "de",
        "--lines",
        "-m",
        "copy",
        "-r",
        f"@{tmp_path}/refs",
        "--metric",
        "ter",
        given=b"a b c d\nx y z\n",
    )
    # One insertion for eight reference words: 12.5; the mean of the sentences, 0 and 25, happens to agree.
    assert "TER 12.5 n=2" in said.err


def test_a_reference_for_each_line_or_none(palaver: Palaver) -> None:
    said = palaver("translate", "de", "--lines", "-m", "copy", "-r", "only one", given=b"eins\nzwei\n")
    assert said.code == 4
    assert "1 lines and the input 2" in said.err


def test_jsonl_has_an_object_a_line_also_for_the_failed_one(palaver: Palaver) -> None:
    said = palaver("translate", "de", "--lines", "--jsonl", "-m", "copy", given=b"eins\n\n")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [row["status"] for row in rows] == ["complete", "failed"]
    assert rows[1]["error"]["code"] == "empty_input"


def test_a_cut_off_answer_is_printed_with_a_warning(palaver: Palaver, store: Store) -> None:
    said = palaver("generate", TEXT, "-m", "ngram", "--max-new-tokens", "2")
    assert said.code == 0
    assert said.out.strip()
    assert "warning: cut off at 2 tokens" in said.err
    assert store.turn(1).status == "truncated"


def test_no_log_leaves_no_file(palaver: Palaver, palaver_home: Path) -> None:
    said = palaver("summarize", TEXT, "-m", "lead-3", "--no-log")
    assert said.out == LEAD + "\n"
    assert "not logged" in said.err
    assert palaver("sumarize", TEXT, "--no-log").code == 3
    assert not (palaver_home / "history.db").exists()


def test_run_and_the_short_form_are_the_same(palaver: Palaver) -> None:
    assert palaver("run", "summarize", TEXT, "-m", "lead-3").out == palaver("summarize", TEXT, "-m", "lead-3").out


def test_no_answer_is_a_reference_for_a_question(palaver: Palaver) -> None:
    said = palaver("qa", TEXT, "Who flew?", "-m", "bm25", "-r", "")
    assert "EM 0.0  F1 0.0  n=1" in said.err


def test_the_flags_of_a_task_are_its_fields(palaver: Palaver) -> None:
    said = palaver("summarize", "--help")
    assert "--length N" in said.out
    assert "Number of sentences. [default: 3]" in said.out
    assert palaver("translate", "Hallo", "--target", "de", "-m", "copy").out == "Hallo\n"


def test_a_newer_history_is_refused_before_a_model_is_asked(palaver: Palaver, palaver_home: Path) -> None:
    palaver("summarize", TEXT, "-m", "lead-3")
    file = palaver_home / "history.db"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    said = palaver("summarize", TEXT, "-m", "lead-3")
    assert (said.code, said.out) == (1, "")
    assert "newer Palaver" in said.err
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
