"""`palaver eval` and what follows it, as a shell runs them: whole, killed and resumed, compared, gated."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from palaver.store import Store

WORDS = [f"word{n}" for n in range(300)]


def text(seed: int, sentences: int) -> str:
    """Sentences of made-up words, other ones for each seed."""
    rng = random.Random(seed)
    return " ".join(" ".join(rng.choices(WORDS, k=8)).capitalize() + "." for _ in range(sentences))


def write(path: Path, count: int, *, sentences: int = 8) -> Path:
    rows = []
    for n in range(count):
        body = text(n, sentences)
        # The second sentence is the reference, with some noise: lead-3 of one sentence is wrong, two are better.
        reference = body.split(". ")[1] + " " + text(n + 10_000, 1)
        rows.append(json.dumps({"id": f"x{n}", "text": body, "summary": reference}))
    path.write_text("\n".join(rows) + "\n")
    return path


def palaver(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "palaver", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)


def record(*arguments: object) -> Mapping[str, object]:
    done = palaver(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: Mapping[str, object] = json.loads(done.stdout)
    return found


def outputs(home: Path, run: int) -> dict[str | None, str]:
    with Store.open(home / "history.db") as store:
        turns = store.run_turns(run)
    assert len({turn.example_id for turn in turns}) == len(turns)
    return {turn.example_id: turn.output for turn in turns}


def test_two_models_are_evaluated_compared_and_gated(tmp_path: Path, palaver_home: Path) -> None:
    data = write(tmp_path / "data.jsonl", 60)
    done = palaver("eval", "summarize", data, "-m", "lead-3", "-m", "copy", "-o", "length=2", "--metric", "rouge,chrf")
    assert done.returncode == 0, done.stderr
    assert "data.jsonl: 60 examples · text ← text, references ← summary, id ← id" in done.stderr
    assert "run 1: lead-3" in done.stderr
    assert "side by side: palaver compare 1 2" in done.stderr
    assert "chrF2|nrefs:1" in done.stdout
    assert len(outputs(palaver_home, 1)) == len(outputs(palaver_home, 2)) == 60

    compared = palaver("compare", 1, 2)
    assert compared.returncode == 0
    assert "60 examples that all of lead-3, copy answered" in compared.stdout
    # Two sentences of eight hold the reference as well as the whole text does, and say less besides.
    assert compared.stdout.count("lead-3\n") >= 1

    assert palaver("gate", 1, 2, "--metric", "rouge1", "--margin", "0.01").returncode == 0
    assert palaver("gate", 2, 1, "--metric", "rouge1", "--margin", "0.01").returncode == 1
    for wrong in (("--margin", "1"), ("--margin", "-1"), ("--margin", "x")):
        assert palaver("gate", 2, 1, "--metric", "rouge1", *wrong).returncode == 2
    assert palaver("gate", 2, 99, "--metric", "rouge1", "--margin", "0.01").returncode == 2
    assert palaver("gate", 1, 2, "--metric", "rouge", "--margin", "0.01").returncode == 2


def test_too_few_examples_cannot_tell(tmp_path: Path) -> None:
    data = write(tmp_path / "data.jsonl", 20)
    assert palaver("eval", "summarize", data, "-m", "lead-3,copy").returncode == 0
    assert palaver("gate", 1, 2, "--metric", "rouge1", "--margin", "0.01").returncode == 3


def test_a_run_with_failed_answers_passes_no_gate(tmp_path: Path, palaver_home: Path) -> None:
    data = write(tmp_path / "data.jsonl", 60)
    assert palaver("eval", "summarize", data, "-m", "lead-3,copy").returncode == 0
    with Store.open(palaver_home / "history.db") as store:
        store._write(lambda db: db.execute("UPDATE turns SET status = 'failed' WHERE run_id = 1 AND example_id = 'x3'"))
    done = palaver("gate", 1, 2, "--metric", "rouge1", "--margin", "0.01")
    assert done.returncode == 4
    assert "lead-3 failed on 1 of 60 examples" in done.stderr


@pytest.mark.fault
def test_kill_9_and_resume_give_what_an_undisturbed_run_gives(tmp_path: Path, palaver_home: Path) -> None:
    data = write(tmp_path / "data.jsonl", 300, sentences=40)
    whole = record("eval", "summarize", data, "-m", "lexrank", "--no-cache")["runs"][0]  # type: ignore[index]
    line = [sys.executable, "-m", "palaver", "eval", "summarize", str(data), "-m", "lexrank", "--no-cache"]
    killed = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    done, kills = 0, 0
    deadline = time.monotonic() + 60
    with Store.open(palaver_home / "history.db") as store:
        for enough in (20, 60, 120):
            while (done := len(store.answered(2))) < enough:
                assert killed.poll() is None and time.monotonic() < deadline, "it ended before it could be killed"
            os.kill(killed.pid, signal.SIGKILL)
            killed.wait()
            kills += 1
            done = len(store.answered(2))
            assert enough <= done < 300
            again = [sys.executable, "-m", "palaver", "eval", "--resume", "2", "--no-cache"]
            killed = subprocess.Popen(again, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        killed.wait(60)
        turns = store.run_turns(2)
    assert kills == 3
    resumed = record("compare", 2)
    assert resumed["ended"] == {"complete": 300}
    assert resumed["scores"] == whole["scores"]
    assert outputs(palaver_home, 2) == outputs(palaver_home, 1)
    # What was finished is not asked again: no number was given twice, and 300 rows have 300 numbers in a row.
    ids = [turn.id for turn in turns]
    assert len(ids) == 300 and ids[-1] - ids[0] == 299
    assert palaver("gate", 2, 1, "--metric", "rouge1", "--margin", "0.001").returncode == 0


@pytest.mark.fault
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path: Path, palaver_home: Path) -> None:
    data = write(tmp_path / "data.jsonl", 400, sentences=40)
    line = [sys.executable, "-m", "palaver", "eval", "summarize", str(data), "-m", "lexrank"]
    running = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with Store.open(palaver_home / "history.db") as store:
        while not (store.runs() and len(store.answered(1)) >= 10):
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=30)
        assert running.returncode == 130
        assert "the rest: palaver eval --resume 1" in told
        assert 10 <= len(store.answered(1)) < 400
    assert palaver("gate", 1, 1, "--metric", "rouge1", "--margin", "0.01").returncode == 2
    assert palaver("eval", "--resume", 1).returncode == 0
    assert len(outputs(palaver_home, 1)) == 400


@pytest.mark.fault
def test_several_workers_give_what_one_gives(tmp_path: Path, palaver_home: Path) -> None:
    data = write(tmp_path / "data.jsonl", 40)
    assert palaver("eval", "summarize", data, "-m", "lexrank").returncode == 0
    done = palaver("eval", "summarize", data, "-m", "lexrank", "--workers", 2, "--no-cache")
    assert done.returncode == 0, done.stderr
    assert outputs(palaver_home, 1) == outputs(palaver_home, 2)


def test_bad_records_are_named_and_the_rest_is_run(tmp_path: Path) -> None:
    data = write(tmp_path / "data.jsonl", 5)
    data.write_text(data.read_text() + '{"text": "half\n')
    done = palaver("eval", "summarize", data, "-m", "lead-3", "--json")
    assert done.returncode == 4
    found = json.loads(done.stdout)["dataset"]
    assert (found["n_in"], found["n_ok"], found["n_bad"]) == (6, 5, 1)
    assert found["bad"][0]["place"] == f"{data}:6"
    assert f"warning: {data}:6: not JSON" in done.stderr


def test_a_score_below_the_bound_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    data, junit, page = write(tmp_path / "data.jsonl", 5), tmp_path / "j.xml", tmp_path / "p.md"
    command = ("eval", "summarize", data, "-m", "lead-3", "--junit", junit, "--markdown", page, "--fail-under")
    assert palaver(*command, "chrf=1").returncode == 0
    assert palaver(*command, "chrf=99").returncode == 6
    suite = ElementTree.parse(junit).getroot()[0]
    assert suite.get("failures") == "1"
    assert "| data.jsonl | lead-3 | chrF |" in page.read_text()
    assert palaver(*command, "chrf=101").returncode == 2
    assert palaver(*command, "chr=1").returncode == 3


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("summarize",), 2),
        (("sumarize", "data.jsonl"), 3),
        (("summarize", "none.jsonl"), 4),
        (("summarize", "data.jsonl", "-m", "leed-3"), 3),
        (("translate", "data.jsonl"), 2),
        (("summarize", "data.jsonl", "-o", "length=0"), 2),
        (("summarize", "data.jsonl", "--metric", "rogue"), 3),
        (("--resume", "7"), 3),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, palaver_home: Path
) -> None:
    write(tmp_path / "data.jsonl", 2)
    monkeypatch.chdir(tmp_path)
    done = palaver("eval", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert "Traceback" not in done.stderr
    with Store.open(palaver_home / "history.db") as store:
        assert store.runs() == []


def test_a_preview_shows_examples_and_asks_nothing(tmp_path: Path, palaver_home: Path) -> None:
    done = palaver("eval", "summarize", write(tmp_path / "data.jsonl", 5), "--preview", "-m", "lead-3")
    assert done.returncode == 0
    assert "example x0" in done.stdout and "  reference 1: " in done.stdout
    with Store.open(palaver_home / "history.db") as store:
        assert store.runs() == []


def test_progress_is_json_when_asked(tmp_path: Path) -> None:
    done = palaver("eval", "summarize", write(tmp_path / "d.jsonl", 5), "-m", "lead-3", "--progress", "json", "--json")
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["schema"], last["done"], last["total"]) == ("palaver.progress/1", 5, 5)
    assert last["scores"][0]["signature"]


def test_files_of_lines_are_scored(tmp_path: Path) -> None:
    hypotheses, references = tmp_path / "hyp", tmp_path / "ref"
    hypotheses.write_text("the cat sat on the mat\nthe dog ran\n")
    references.write_text("the cat sat on the mat\nthe dog ran home\n")
    scores = {one["metric"]: one for one in record("score", hypotheses, references)["scores"]}  # type: ignore[attr-defined]
    # One word of ten is missing: TER is one edit.
    assert scores["ter"]["value"] == pytest.approx(10.0)
    assert scores["ter"]["signature"].startswith("TER|")
    references.write_text("one line\n")
    done = palaver("score", hypotheses, references)
    assert done.returncode == 4
    assert "2 lines" in done.stderr


def test_rescoring_adds_a_metric_and_datasets_keep_turns(tmp_path: Path, palaver_home: Path) -> None:
    assert palaver("eval", "summarize", write(tmp_path / "data.jsonl", 8), "-m", "lead-3").returncode == 0
    [ter] = record("rescore", "1", "--metric", "ter")["scores"]  # type: ignore[misc]
    assert (ter["metric"], ter["n"]) == ("ter", 8)
    shown = {one["metric"] for one in record("compare", 1)["scores"]}  # type: ignore[attr-defined]
    assert {"rouge1", "chrf", "ter"} <= shown
    assert palaver("dataset", "add", "hard", "run:1", "id<4").returncode == 0
    [kept] = record("dataset", "list")["datasets"]  # type: ignore[misc]
    assert (kept["name"], kept["n"], kept["task"]) == ("hard", 3, "summarize")
    examples = record("dataset", "show", "hard")["examples"]
    assert [one["turn"] for one in examples] == [1, 2, 3]  # type: ignore[attr-defined]
    assert palaver("eval", "summarize", "hard", "-m", "copy").returncode == 0
    assert palaver("dataset", "add", "hard", "run:1").returncode == 4
