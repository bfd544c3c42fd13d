"""Turns of other programs come in with where they are from and nothing made up, and go out as others read them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlite_utils

from palaver.again import question_of
from palaver.cli.app import run
from palaver.paths import history_file
from palaver.plugins import Plugins
from palaver.registry import Registry
from palaver.store import Store, Turn, parse_filter

CONVERSATION = {
    "title": "Storms",
    "conversation_id": "c1",
    "current_node": "d",
    "mapping": {
        "root": {"message": None, "parent": None, "children": ["a"]},
        "a": {
            "message": {"author": {"role": "user"}, "content": {"parts": ["Hello?"]}},
            "parent": "root",
            "children": ["b", "x"],
        },
        "x": {
            "message": {"author": {"role": "assistant"}, "content": {"parts": ["A branch that was left."]}},
            "parent": "a",
            "children": [],
        },
        "b": {
            "message": {
                "author": {"role": "assistant"},
                "create_time": 1700000000.5,
                "content": {"parts": ["Hi.", {"asset": "picture"}]},
                "metadata": {"model_slug": "gpt-x"},
            },
            "parent": "a",
            "children": ["c"],
        },
        "c": {
            "message": {"author": {"role": "user"}, "content": {"parts": ["And a storm?"]}},
            "parent": "b",
            "children": ["d"],
        },
        "d": {
            "message": {"author": {"role": "assistant"}, "content": {"parts": ["It came."]}},
            "parent": "c",
            "children": [],
        },
    },
}
SAMPLES = (
    {
        "doc_id": 0,
        "target": "4",
        "arguments": {"gen_args_0": {"arg_0": "2+2=", "arg_1": {"until": []}}},
        "resps": [["4 "]],
        "filtered_resps": ["4"],
    },
    {"doc_id": 1, "target": "5", "arguments": [["2+3=", {"until": []}]], "resps": [["6"]], "filtered_resps": ["6"]},
    {"doc_id": 2, "target": 0, "arguments": [["A", " b"]], "resps": [[[-3.2, False]]], "filtered_resps": [[-3.2, 0]]},
)


@pytest.fixture
def here(tmp_path: Path, palaver_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imported(*arguments: str, code: int = 0) -> list[Turn]:
    """The turns that came in, oldest first."""
    assert run(["history", "import", *arguments]) == code
    with Store.open(history_file()) as store:
        return list(store.turns(parse_filter("tag:imported")))


def exported(form: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    assert run(["history", "export", "--format", form]) == 0
    return capsys.readouterr().out.splitlines()


def said(turn: Turn) -> Sequence[tuple[str, str]]:
    return [(one.role, one.content) for one in turn.prompt]


def test_a_chatgpt_export_gives_the_branch_that_was_shown_last(here: Path) -> None:
    (here / "conversations.json").write_text(json.dumps([CONVERSATION, {"title": "empty"}]), "utf-8")
    first, second = imported("--format", "chatgpt", "conversations.json", code=4)  # the second has no messages
    assert (first.input_text, first.output, first.model, first.created) == ("Hello?", "Hi.", "gpt-x", 1700000000.5)
    assert said(second) == [("user", "Hello?"), ("assistant", "Hi."), ("user", "And a storm?")]
    assert first.run_id == second.run_id
    assert (first.seconds, first.output_tokens, first.finish_reason, first.model_digest) == (None, None, "", "")
    assert first.note == (
        "imported from chatgpt, conversations.json:conversation 1 message 2; "
        "not known: weights, decoding parameters, how the answer ended, duration"
    )
    assert "model, time" in second.note


def test_how_another_program_decoded_is_not_made_up(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "c.json").write_text(json.dumps([CONVERSATION]), "utf-8")
    first = imported("--format", "chatgpt", "c.json")[0]
    assert first.config is None
    capsys.readouterr()
    assert run(["history", "show", str(first.id)]) == 0
    assert "decoding  not known" in capsys.readouterr().out
    assert run(["history", "show", str(first.id), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["config"], told["seed"]) == (None, None)
    [sample, _] = map(json.loads, exported("lm-eval", capsys))
    assert sample["arguments"]["gen_args_0"]["arg_1"] is None
    again = question_of(Registry(Plugins()), first, model="lead-3")
    assert again.config == {}


def test_the_same_files_come_in_once_unless_said_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "c.json").write_text(json.dumps([CONVERSATION]), "utf-8")
    assert len(imported("--format", "chatgpt", "--dry-run", "c.json")) == 0
    assert len(imported("--format", "chatgpt", "c.json")) == 2
    assert len(imported("--format", "chatgpt", "c.json", code=4)) == 2
    assert "was imported before" in capsys.readouterr().err
    assert len(imported("--format", "chatgpt", "--again", "c.json")) == 4


def test_sacrebleus_files_are_turns_with_references_and_scores(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "src").write_text("Guten Tag.\nEin Hund.\n", "utf-8")
    (here / "out").write_text("Good day.\nA dog.\n", "utf-8")
    (here / "ref").write_text("Good day.\n\n", "utf-8")
    (here / "short").write_text("Good day.\n", "utf-8")
    first, second = imported("--format", "sacrebleu", "-m", "mine", "src", "out", "ref")
    assert (first.task, first.model, first.input_text, first.output) == ("translate", "mine", "Guten Tag.", "Good day.")
    assert {score.metric: score.value for score in first.scores}["chrf"] == pytest.approx(100)
    assert (second.references, second.scores) == ((), ())
    assert exported("sources", capsys) == ["Guten Tag.", "Ein Hund."]
    assert exported("txt", capsys) == ["Good day.", "A dog."]
    assert exported("references", capsys) == ["Good day.", ""]
    imported("--format", "sacrebleu", "src", "short", code=4)
    assert "src has 2 lines and short has 1: they do not go together" in capsys.readouterr().err


def test_samples_of_lm_eval_come_in_and_go_out_as_they_were(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in SAMPLES), "utf-8")
    first, second = imported("--format", "lm-eval", "-m", "gpt2", "samples.jsonl", code=4)  # the third is no answer
    assert (first.input_text, first.output, first.references[0].text) == ("2+2=", "4", "4")
    assert (second.task, second.output) == ("generate", "6")
    out = [json.loads(line) for line in exported("lm-eval", capsys)]
    assert [(one["target"], one["filtered_resps"]) for one in out] == [("4", ["4"]), ("5", ["6"])]
    assert out[0]["arguments"]["gen_args_0"]["arg_0"] == "2+2="
    # What was written is read again.
    (here / "again.jsonl").write_text("".join(json.dumps(one) + "\n" for one in out), "utf-8")
    assert [one.output for one in imported("--format", "lm-eval", "again.jsonl")][2:] == ["4", "6"]
    lines = [json.loads(line)["messages"] for line in exported("messages", capsys)]
    # The reference is what a model should learn.
    assert lines[1] == [{"role": "user", "content": "2+3="}, {"role": "assistant", "content": "5"}]


def test_llms_own_log_keeps_conversations_times_and_tokens(here: Path) -> None:
    llm = pytest.importorskip("llm")
    from llm.migrations import migrate

    class Fake(llm.Model):  # type: ignore[misc]
        model_id = "fake"

        def execute(self, prompt: object, stream: bool, response: object, conversation: object = None) -> object:
            response.set_usage(input=3, output=2)  # type: ignore[attr-defined]
            yield f"re {prompt.prompt}"  # type: ignore[attr-defined]

    database = sqlite_utils.Database("logs.db")
    migrate(database)
    conversation = Fake().conversation()
    for text in ("one", "two"):
        response = conversation.prompt(text, system="Be brief." if text == "one" else None)
        response.text()
        response.log_to_db(database)
    database.close()
    first, second = imported("--format", "llm", "logs.db")
    assert (first.model, first.output, first.prompt_tokens, first.output_tokens) == ("fake", "re one", 3, 2)
    assert first.seconds is not None
    assert first.created < second.created
    assert said(second) == [("system", "Be brief."), ("user", "one"), ("assistant", "re one"), ("user", "two")]
    assert "not known: weights, decoding parameters, how the answer ended" in first.note


def test_an_older_log_of_llm_is_read_too(here: Path) -> None:
    database = sqlite_utils.Database("old.db")
    database["conversations"].insert({"id": "c", "name": "Storms", "model": "m"})
    row = {"model": "m", "prompt": "one", "system": "Be brief.", "response": "re one", "conversation_id": "c"}
    times = {"duration_ms": 1500, "datetime_utc": "2024-01-02T03:04:05"}
    database["responses"].insert_all(
        [
            {"id": "1", **row, **times},
            {"id": "2", **row, **times, "prompt": "two"},
            {"id": "3", **row, **times, "response": None},
        ]
    )
    database.close()
    first, second = imported("--format", "llm", "old.db", code=4)
    assert (first.seconds, first.created, first.output_tokens) == (1.5, 1704164645.0, None)
    assert said(second) == [("system", "Be brief."), ("user", "one"), ("assistant", "re one"), ("user", "two")]


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        ("llm", b"no database", "is no logs.db of llm"),
        ("llm", None, "There is no file"),
        ("chatgpt", b"{", "is no JSON"),
        ("chatgpt", b"{}", "is no list of conversations"),
        ("lm-eval", b"1\n{\n", "There is no turn in it."),
        ("sacrebleu", b"x", "two or more"),
    ],
)
def test_what_is_no_such_file_is_said_in_a_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], form: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (here / "file").write_bytes(content)
    assert imported("--format", form, "file", code=4) == []
    assert message in capsys.readouterr().err


def test_an_unknown_format_names_those_that_there_are(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "file").write_text("", "utf-8")
    assert run(["history", "import", "--format", "chatgbt", "file"]) == 3
    assert "Did you mean 'chatgpt'?" in capsys.readouterr().err
    assert run(["history", "export", "--format", "mesages"]) == 3
    assert "Did you mean 'messages'?" in capsys.readouterr().err


FAKE = """
import llm

class Fake(llm.Model):
    model_id = "fake"
    can_stream = True

    class Options(llm.Options):
        max_tokens: int = 0

    def execute(self, prompt, stream, response, conversation=None):
        print("NOISE")
        said = [f"{one.role}:{''.join(part.text for part in one.parts)}" for one in prompt.messages]
        response.set_usage(input=len(said), output=2)
        yield f"max {prompt.options.max_tokens} "
        yield " | ".join(said)

@llm.hookimpl
def register_models(register): register(Fake())
"""


def test_a_model_of_a_plugin_of_llm_answers_in_its_own_process(here: Path, palaver_home: Path) -> None:
    pytest.importorskip("llm")
    site = here / "site"
    info = site / "llm_fake-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "fixture_llm_fake.py").write_text(FAKE, "utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-fake\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[llm]\nfake = fixture_llm_fake\n", "utf-8")

    def palaver(*arguments: str) -> subprocess.CompletedProcess[str]:
        import os

        variables = {"PYTHONPATH": str(site), "PALAVER_NO_DAEMON": "1", "LLM_USER_PATH": str(here / "llm")}
        return subprocess.run(
            [sys.executable, "-m", "palaver", *arguments],
            capture_output=True, text=True, env={**os.environ, **variables}, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    done = palaver("generate", "-m", "llm:fake", "-o", "max_new_tokens=7", "Hello.", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["output"] == "max 7 user:Hello."
    assert (answer["timing"]["prompt_tokens"], answer["timing"]["output_tokens"]) == (1, 2)
    done = palaver("generate", "-m", "llm:nobody", "Hello.")
    assert (done.returncode, "llm knows no model 'nobody'." in done.stderr) == (3, True), done.stderr
