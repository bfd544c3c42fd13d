"""The command line in one process: what each command prints, where, and with which exit code."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from palaver.cli import main
from palaver.store import Store

# Two sentences more than lead-3 takes.
TEXT = "One cat sat. Two dogs ran. Three birds flew. Four fish swam. Five cows slept."
LEAD = "One cat sat. Two dogs ran. Three birds flew."


class Said:
    """What a command wrote, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Palaver = Callable[..., Said]


@pytest.fixture
def palaver(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Palaver:
    def call(*arguments: str, given: bytes = b"") -> Said:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
        code = main(arguments)
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture
def store(palaver_home: Path) -> Iterator[Store]:
    with Store.open(palaver_home / "history.db") as store:
        yield store


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


# History


@pytest.fixture
def asked(palaver: Palaver) -> Palaver:
    palaver("summarize", TEXT, "-m", "lead-3", "-r", LEAD)
    palaver("translate", "de", "日本の犬が走る", "-m", "copy")
    palaver("translate", "de", "Guten Tag", "-m", "nothing")
    return palaver


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
    assert asked("history", "export", "--format", "xml").code == 3  # a plugin could have it


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


# Models, plugins, doctor


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
