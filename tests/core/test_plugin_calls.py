"""A plugin that is good until it is called: each command ends with a sentence, nothing is lost, and the rest works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.core.installed import Site
from tests.core.test_plugin_containment import GOOD

MEAN = '''
import ctypes, os, re, sys, time
from dataclasses import dataclass, replace
from palaver import Delta, Example, ImportedTurn, ModelInfo, Score, Task, hookimpl

MODES = ("raise", "leave", "vanish", "crash", "hang", "noise")

def do(mode):
    if mode == "raise": raise KeyError("boom")
    if mode == "leave": sys.exit(3)
    if mode == "vanish": os._exit(7)
    if mode == "crash": ctypes.string_at(0)
    if mode == "hang": re.match("(a+)+$", "a" * 60 + "b")  # holds the interpreter
    while mode == "noise": print("NOISE" * 10000)

def act(part, text):
    """A text such as `score:hang` says what happens where."""
    where, _, mode = text.partition(":")
    if where == part: do(mode.partition(":")[0])

@dataclass(frozen=True)
class Mean(Task):
    """Do as the text says."""
    name = "mean"
    metrics = ("meanness",)
    def request(self, example):
        act("request", example["text"])
        return self.ask("Copy.", example["text"], example=example)
    def parse(self, output, example):
        act("parse", example["text"])
        return output

class Meanness:
    name = title = "meanness"
    maximum, higher_is_better, needs_references = 1, True, True
    def score(self, output, example):
        act("score", example["text"])
        return Score("meanness", "meanness", 1.0, "s", 1, (1,), "c")
    def corpus(self, stats, n, signature):
        return Score("meanness", "meanness", stats[0] / n, signature, n)

class Rows:
    summary, tasks = "Some.", ("summarize",)
    def __init__(self, mode): self.name, self.mode = f"rows-{mode}", mode
    def examples(self):
        do(self.mode)
        yield Example({"text": "One."})

class Copy:
    def __init__(self, info): self.info = info
    def stream(self, requests, config, cancel):
        yield Delta("begun", 0)
        act("stream", self.info.name)
        yield Delta(finish_reason="stop")
    def close(self): pass

class Backend:
    name, isolated = "mean", False
    def resolve(self, name):
        act("resolve", name)
        return ModelInfo(name, "mean", tasks=("*",), digest="1") if name.startswith(("stream:", "load:")) else None
    def load(self, info):
        act("load", info.name)
        return Copy(info)

class In:
    summary = "Reads."
    def __init__(self, mode): self.name, self.mode = f"in-{mode}", mode
    def read(self, files):
        yield ImportedTurn("1", {"text": "a"}, "b")
        do(self.mode)

class Out:
    summary = "Writes."
    def __init__(self, mode): self.name, self.mode = f"out-{mode}", mode
    def export(self, turns, out):
        out.write("begun")
        do(self.mode)
        return 1

def palaver_metrics(): return [Meanness()]
def palaver_datasets(): return [Rows(mode) for mode in MODES]
def palaver_backends(): return [Backend()]
def palaver_importers(): return [In(mode) for mode in MODES]
def palaver_exporters(): return [Out(mode) for mode in MODES]
'''
TOLD = {
    "raise": "KeyError: 'boom' (fixture_mean.py line 9)",
    "leave": "SystemExit: 3",
    "vanish": "ended with exit code 7",
    "crash": "was killed by SIGSEGV",
    "hang": "took more than 0.5 s and was ended",
    "noise": "took more than 0.5 s and was ended",
}
"""What is done to what is said of it."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "site", tmp_path / "home", {"PALAVER_IDLE_SECONDS": "2"})
    made.install("shout", GOOD)
    made.install("mean", MEAN)
    return made


@pytest.mark.fault
@pytest.mark.parametrize("mode", TOLD)
def test_what_breaks_when_it_is_called_ends_that_call_with_a_sentence(site: Site, mode: str) -> None:
    told = TOLD[mode]
    if "0.5 s" in told:
        site.home.mkdir()
        (site.home / "config.toml").write_text('[isolation]\nmean = "process, 0.5 s"\n', "utf-8")
    with site.sitting() as sitting:
        file = site.home.parent / "file"
        file.write_text("{}\n", "utf-8")
        for part in ("request", "parse"):
            done = sitting.palaver("mean", "-m", "upper", f"{part}:{mode}", seconds=20)
            assert (done.returncode, told in done.stderr) == (1, True), done.stderr
        turns = json.loads(sitting.out("history", "list", "--json"))["turns"]
        assert [one["status"] for one in turns] == ["failed", "failed"]
        log = site.home / "state/logs/plugin-mean.log"
        assert not log.exists() or log.stat().st_size < 2**21
        if mode == "noise":  # it hangs like the rest
            return
        _begin_anew(sitting)
        done = sitting.palaver("mean", "-m", "upper", f"score:{mode}", "--ref", "x", "--json", seconds=20)
        answer = json.loads(done.stdout)
        assert (done.returncode, answer["output"]) == (0, f"SCORE:{mode.upper()}")
        assert told in answer["scores"][0]["error"]
        for command in (
            ("eval", "summarize", f"rows-{mode}", "-m", "lead-3"),
            ("history", "import", "--format", f"in-{mode}", str(file)),
            ("history", "export", "--format", f"out-{mode}"),
        ):
            _begin_anew(sitting)
            done = sitting.palaver(*command, seconds=20)
            assert (done.returncode, told in done.stderr) == (1, True), f"{command}: {done.stderr}"
        assert sitting.out("summarize", "-m", "lead-3", "One. Two. Three. Four.") == "One. Two. Three.\n"


@pytest.mark.fault
@pytest.mark.parametrize("mode", ["raise", "leave", "vanish", "crash", "hang"])
def test_a_model_that_breaks_is_told_of_and_what_it_wrote_is_kept(site: Site, mode: str) -> None:
    with site.sitting() as sitting:
        done = sitting.palaver("mean", "-m", f"stream:{mode}", "hello", seconds=20)
        said = "answered nothing for 2 seconds" if mode == "hang" else TOLD[mode].partition(" (")[0]
        assert (done.returncode, said in done.stderr) == (1, True), done.stderr
        (turn,) = json.loads(sitting.out("history", "list", "--json"))["turns"]
        assert (turn["status"], turn["output"]) == ("failed", "begun")
        if mode != "hang":  # weights may take long to load: minutes
            done = sitting.palaver("mean", "-m", f"load:{mode}", "hello", seconds=20)
            assert (done.returncode, said in done.stderr) == (1, True), done.stderr
        _begin_anew(sitting)
        done = sitting.palaver("summarize", "-m", f"resolve:{mode}", "hello", seconds=20)
        assert (done.returncode, "There is no model named" in done.stderr) == (3, True), done.stderr
        assert sitting.out("summarize", "-m", "lead-3", "One.") == "One.\n"


@pytest.mark.fault
def test_a_process_that_ends_three_times_in_a_row_is_asked_no_more(site: Site) -> None:
    rows = site.home.parent / "rows.jsonl"
    lines = [json.dumps({"text": f"score:vanish:{number}", "reference": "x"}) for number in range(9)]
    rows.write_text("\n".join(lines), "utf-8")
    run = json.loads(site.out("eval", "mean", str(rows), "-m", "upper", "--json"))["runs"][0]
    assert run["ended"] == {"complete": 9}  # the answers are there, and can be scored again when the metric is mended
    assert "failed 3 times in a row" in site.out("plugins", "info", "mean")


def _begin_anew(site: Site) -> None:
    """Three failures would set the plugin aside."""
    site.out("plugins", "enable", "mean")
