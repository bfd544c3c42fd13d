"""Data sets and executors of plugins are used by name, and what they do wrong has their name on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.core.installed import Site

TINY = """
from dataclasses import dataclass
from palaver import Example, UsageError

@dataclass(frozen=True)
class Tiny:
    name: str
    rows: tuple = ()
    summary: str = "Two sentences, public domain."
    tasks: tuple = ("summarize",)

    def examples(self):
        if self.name == "tiny-raising":
            raise KeyError("no such column")
        if self.name == "tiny-offline":
            raise UsageError("The server is away.", fix="try later")
        yield from self.rows

def palaver_datasets():
    good = Example({"text": "One. Two."}, ("One. Two.",), "a"), Example({"text": "Three."}, ("Three.",))
    bad = Example({"text": ""}, ("x",)), Example({"text": "Four."}, ("x",), "a"), "Five.", Example({"text": 6})
    return [Tiny("tiny", good), Tiny("tiny-bad", good + bad), Tiny("tiny-raising"), Tiny("tiny-offline")]
"""
PLACES = """
from palaver import Generation, Prediction, UsageError

class Place:
    summary = "says what it was opened with"
    def __init__(self, name): self.name = name
    def open(self, argument):
        if argument == "nowhere": raise UsageError("There is no nowhere.")
        if argument == "broken": raise RuntimeError("cannot open")
        return Opened(self.name, argument)

class Opened:
    def __init__(self, name, argument): self.name, self.argument = name, argument
    def map(self, job, asked, cancel):
        for number, one in enumerate(asked):
            if self.name == "forgetful" and number: continue
            if self.name == "raising": raise OSError("the cluster is gone")
            yield Prediction("nobody asked this", Generation("x", "stop"))
            yield Prediction(one.key, Generation(f"{self.argument} {job.model.name}", "stop"))
            yield Prediction(one.key, Generation("again", "stop"))

def palaver_executors(): return [Place("echo"), Place("forgetful"), Place("raising")]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("places")
    made = Site(folder / "site", folder / "home")
    made.install("tiny", TINY)
    made.install("places", PLACES)
    return made


def evaluated(site: Site, *arguments: str) -> dict[str, object]:
    run: dict[str, object] = json.loads(site.out("eval", *arguments, "-m", "lead-3", "--json"))["runs"][0]
    return run


def test_a_data_set_is_listed_and_evaluated_by_its_name_and_resumed(site: Site) -> None:
    listed = json.loads(site.out("dataset", "list", "--json"))["datasets"]
    assert {
        "name": "tiny",
        "tasks": ["summarize"],
        "summary": "Two sentences, public domain.",
        "plugin": "tiny",
    } in listed
    assert "plugin tiny" in site.out("dataset", "list")
    run = evaluated(site, "summarize", "tiny")
    assert (run["total"], run["complete"]) == (2, True)
    again = site.palaver("eval", "--resume", str(run["id"]), "--json")
    assert again.returncode == 0, again.stderr


def test_what_cannot_be_used_of_it_is_told_one_by_one(site: Site) -> None:
    done = site.palaver("eval", "summarize", "tiny-bad", "-m", "lead-3", "--preview")
    assert done.returncode == 4
    for line in (
        "tiny-bad:3: has no text",
        "tiny-bad:4: its id 'a' is that of another example",
        "tiny-bad:5: it is no Example but str",
        "tiny-bad:6: an input, a reference or its id is no text",
    ):
        assert line in done.stderr


def test_a_data_set_that_raises_is_named_and_its_own_sentences_are_told(site: Site) -> None:
    done = site.palaver("eval", "summarize", "tiny-raising", "-m", "lead-3")
    assert done.returncode == 1
    assert "The data set 'tiny-raising' broke: KeyError: 'no such column' (fixture_tiny.py line 14)" in done.stderr
    assert "The server is away." in site.palaver("eval", "summarize", "tiny-offline", "-m", "lead-3").stderr


def test_an_executor_is_opened_with_its_argument_and_answers_each_request_once(site: Site) -> None:
    run = evaluated(site, "summarize", "tiny", "--on", "echo:tcp://host:1", "--no-cache")
    assert run["complete"]
    turns = site.out("history", "export", f"run:{run['id']}").splitlines()
    assert [json.loads(turn)["output"] for turn in turns] == ["tcp://host:1 lead-3"] * 2


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        ("echo:nowhere", 2, "There is no nowhere."),
        ("echo:broken", 1, "The executor 'echo' broke: RuntimeError: cannot open"),
        ("forgetful", 1, "The executor 'forgetful' left 1 requests unanswered."),
        ("raising", 1, "The executor 'raising' broke: OSError: the cluster is gone."),
        ("ecko", 3, "Did you mean 'echo'?"),
        ("local:many", 2, "'local' takes a number from 1 to 64, not 'many'."),
        ("inline:2", 2, "'inline' takes no argument"),
    ],
)
def test_what_goes_wrong_there_is_told_with_its_name(site: Site, place: str, code: int, said: str) -> None:
    site.out("plugins", "enable", "places")  # else three failures in a row would set it aside
    done = site.palaver("eval", "summarize", "tiny", "-m", "lead-3", "--no-cache", "--on", place)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_both_are_among_what_the_plugin_adds(site: Site) -> None:
    told = site.out("plugins", "list", "--json")
    adds = {one["name"]: one["adds"] for one in json.loads(told)["plugins"]}
    assert adds["tiny"][0] == "dataset tiny: Two sentences, public domain."
    assert adds["places"][0] == "executor echo: says what it was opened with"


def test_a_place_of_this_machine_is_reached_by_name(site: Site, tmp_path: Path) -> None:
    data = tmp_path / "data.txt"
    data.write_text("One. Two.\n", "utf-8")
    assert evaluated(site, "summarize", str(data), "--on", "inline", "--no-cache")["complete"]
    done = site.palaver("eval", "summarize", str(data), "-m", "lead-3", "--on", "inline", "--workers", "2")
    assert (done.returncode, "--on local:2" in done.stderr) == (2, True)
